"""Our symbols as sherpa-onnx's file `tokens.txt`: a name and its number on each line, from which it assembles the text.

What it takes for something else is refused here, since it says no word of it: names with white space in them, a space within a name, names
that it leaves out of texts (`SIL`, `</s>`), and bytes of which some are missing. Seen with version 2.0.1.
"""

from antiphon.errors import ExportError
from antiphon.features.subwords import SubwordVocabulary
from antiphon.features.vocabulary import (
    BYTE_PIECES,
    END,
    PAD,
    SPECIAL_PIECES,
    UNKNOWN,
    UNKNOWN_MARK,
    CharacterVocabulary,
    Vocabulary,
    WordVocabulary,
)

SPACE = "\u2581"
_BLANK = "<blk>"
_BLANKS = (_BLANK, "<eps>", "<blank>")
_UNHEARD = ("SIL", SPECIAL_PIECES[END])


def tokens_file(vocabulary: Vocabulary) -> str:
    """The content of the file. Raises ExportError for a vocabulary that sherpa-onnx would interpret differently."""
    names = _names(vocabulary)
    for number, name in enumerate(names):
        if number not in (PAD, END):
            _check(name, characters=isinstance(vocabulary, CharacterVocabulary))
    twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    if twice:
        raise ExportError(f"sherpa-onnx reads symbols by their names, but two of this vocabulary are named {min(twice)!r}.")
    if 0 < len(set(names) & set(BYTE_PIECES)) < len(BYTE_PIECES):
        raise ExportError("sherpa-onnx writes bytes as `<0x41>` unless all 256 are in the vocabulary, and this one has only some of them.")
    return "".join(f"{number}\n" if name == " " else f"{name} {number}\n" for number, name in enumerate(names))


def _names(vocabulary: Vocabulary) -> list[str]:
    if isinstance(vocabulary, WordVocabulary):
        if vocabulary.separator is not None or vocabulary.punctuation:
            raise ExportError(
                "sherpa-onnx puts a space between words, but `vocabulary.separator` or `punctuation: split` puts something else there."
            )
        first = len(SPECIAL_PIECES)
        return [_BLANK, f"{SPACE}{UNKNOWN_MARK}", *SPECIAL_PIECES[2:], *(f"{SPACE}{word}" for word in vocabulary.pieces[first:])]
    if isinstance(vocabulary, CharacterVocabulary | SubwordVocabulary):
        return [_BLANK, UNKNOWN_MARK, *vocabulary.pieces[UNKNOWN + 1 :]]
    raise ExportError("sherpa-onnx reads vocabularies of characters, bytes, words, unigram and bpe, but not those of published models.")


def _check(name: str, *, characters: bool) -> None:
    if name in _UNHEARD or name in _BLANKS:
        raise ExportError(f"sherpa-onnx leaves the symbol {name!r} out of texts, but in this vocabulary it is a part of them.")
    if name != " " and (not name or any(mark in name for mark in " \t\n\v\f\r")):
        raise ExportError(f"sherpa-onnx cannot read symbols with white space in them, but this vocabulary has {name!r}.")
    if SPACE in (name if characters else name[1:]):
        raise ExportError(f"sherpa-onnx makes a space of U+2581 only at the beginning of a symbol, but this vocabulary has {name!r}.")
