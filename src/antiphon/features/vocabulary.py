"""Vocabularies: fixed lists of pieces; a text is encoded as the numbers of its pieces.

Every vocabulary begins with the same four special pieces, so that a model never has to ask where the padding is. Tags such as `<2de>`
follow them and are kept whole wherever they appear in a text.

Here are the vocabularies that need nothing but counting: words, characters and bytes. Subwords are in `subwords.py`.

Unusual: bytes are the character vocabulary without characters. A character that has no piece of its own falls back to the bytes of its
UTF-8 form, and then nothing is ever unknown.
"""

import hashlib
import json
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np

from antiphon.errors import CheckpointError, DataError
from antiphon.store.json_text import json_text

PAD, UNKNOWN, START, END = 0, 1, 2, 3
SPECIAL_PIECES = ("<pad>", "<unk>", "<s>", "</s>")
UNKNOWN_MARK = "⁇"
"""What an unknown symbol is decoded to, as sentencepiece does: it shows, and no ordinary text has it."""

BYTE_PIECES = tuple(f"<0x{byte:02X}>" for byte in range(256))


class Vocabulary(ABC):
    """Texts <-> symbols. `pieces[i]` is the piece of symbol i; symbols 0 to 3 are padding, unknown, start and end."""

    pieces: tuple[str, ...]

    @property
    def size(self) -> int:
        """The number of symbols."""
        return len(self.pieces)

    @cached_property
    def word_starts(self) -> np.ndarray | None:
        """Which symbols begin a word (size,); None if symbols do not tell, like characters and bytes."""
        return None

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the pieces in their order: equal vocabularies have equal ones."""
        return hashlib.sha256(json.dumps(self.pieces).encode()).hexdigest()

    @abstractmethod
    def encode(self, text: str) -> np.ndarray:
        """The symbols of a text, (T,) int64, without start and end; none for the empty text."""

    def encode_many(self, texts: Sequence[str]) -> list[np.ndarray]:
        """`encode` for each text."""
        return [self.encode(text) for text in texts]

    @abstractmethod
    def decode(self, symbols: np.ndarray) -> str:
        """The text of symbols (T,). Padding, start and end are left out; unknown becomes a visible mark."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the vocabulary into an existing folder."""

    def labels(self, symbols: np.ndarray) -> list[str]:
        """The piece of each symbol, for display."""
        return [self.pieces[symbol] for symbol in self.checked(symbols)]

    def checked(self, symbols: np.ndarray) -> list[int]:
        """The symbols as plain integers.

        Raises DataError when one is outside the vocabulary.
        """
        array = np.asarray(symbols)
        if array.size == 0:
            return []
        if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
            raise DataError(f"Symbols must be a row of integers, but are {array.dtype} of shape {array.shape}.")
        outside = array[(array < 0) | (array >= self.size)]
        if outside.size:
            raise DataError(f"A symbol must be in 0..{self.size - 1} (the vocabulary has {self.size} pieces), but is {outside[0]}.")
        return array.tolist()  # type: ignore[no-any-return]


def tag_splitter(tags: Sequence[str]) -> re.Pattern[str] | None:
    """A pattern whose `split` puts the tags at odd positions; None without tags. A longer tag takes precedence over one that it begins
    with."""
    if not tags:
        return None
    return re.compile("(" + "|".join(re.escape(tag) for tag in sorted(tags, key=len, reverse=True)) + ")")


def split_tags(splitter: re.Pattern[str] | None, text: str) -> list[str]:
    """The text as alternating parts: ordinary, tag, ordinary, tag, ..., ordinary. Ordinary parts may be empty."""
    return [text] if splitter is None else splitter.split(text)


@final
class WordVocabulary(Vocabulary):
    """A vocabulary of words, separated by whitespace (None), or by an exact string ("|": `a||b` has an empty word in the middle).

    With `punctuation`, punctuation marks are words of their own, and decoding joins them again to what they stood at; `marks_apart` says
    that combining marks are, too, as they were in earlier versions.

    A word that is not in the vocabulary is unknown: what was said is lost, unless a model may copy it as an open word.
    """

    def __init__(
        self,
        words: Sequence[str],
        tags: Sequence[str] = (),
        separator: str | None = None,
        *,
        punctuation: bool = False,
        marks_apart: bool = False,
    ):
        self.words, self.tags, self.separator = tuple(words), tuple(tags), separator
        self.punctuation, self.marks_apart = punctuation, marks_apart
        self.pieces = (*SPECIAL_PIECES, *self.tags, *self.words)
        first = len(SPECIAL_PIECES)
        self._tag_symbols = {tag: first + number for number, tag in enumerate(self.tags)}
        # Words have their own index: a text that says "<s>" means the word, never the start symbol.
        self._symbols = {word: first + len(self.tags) + number for number, word in enumerate(self.words)}
        self._splitter = tag_splitter(self.tags)

    def encode(self, text: str) -> np.ndarray:
        """The symbols of a text, (T,) int64."""
        return np.array([symbol for symbol, _ in self._read_words(text)], dtype=np.int64)

    def encode_open(self, text: str, known: Sequence[str], most: int, *, learn: bool) -> tuple[np.ndarray, tuple[str, ...]]:
        """The symbols (T,) of a text, in which unknown words are numbered after the vocabulary, and these words.

        `known` are open words that have a number already. With `learn`, other unknown words get the next ones, at most `most` in all.
        """
        numbers = {word: number for number, word in enumerate(known)}
        symbols = []
        for symbol, word in self._read_words(text):
            if symbol == UNKNOWN and learn and word not in numbers and len(numbers) < most:
                numbers[word] = len(numbers)
            symbols.append(self.size + numbers[word] if symbol == UNKNOWN and word in numbers else symbol)
        return np.array(symbols, dtype=np.int64), tuple(numbers)

    @cached_property
    def word_starts(self) -> np.ndarray:
        """Every word and tag, but no punctuation mark that continues one."""
        first = len(SPECIAL_PIECES)
        return np.array([False] * first + [not piece.startswith(JOINER) for piece in self.pieces[first:]])

    def decode(self, symbols: np.ndarray, open_words: Sequence[str] | None = None) -> str:
        """The words joined by separators. With `open_words`, symbols after the vocabulary stand for these."""
        shown = [word for word in self.words_of(symbols, open_words) if word is not None]
        text = (" " if self.separator is None else self.separator).join(shown)
        return joined_punctuation(text) if self.punctuation else text

    def words_of(self, symbols: np.ndarray, open_words: Sequence[str] | None) -> list[str | None]:
        """The word of each symbol; None for padding, start and end. An open word that is not given is shown as its number."""
        array = np.asarray(symbols)
        inside = iter(self.checked(array if open_words is None else array[array < self.size]))
        words: list[str | None] = []
        for symbol in array.tolist():
            if open_words is not None and symbol >= self.size:
                number = symbol - self.size
                words.append(open_words[number] if number < len(open_words) else f"{UNKNOWN_MARK}{number + 1}")
                continue
            known = next(inside)
            words.append(UNKNOWN_MARK if known == UNKNOWN else None if known in (PAD, START, END) else self.pieces[known])
        return words

    def save(self, folder: Path) -> None:
        """Write `vocabulary.json`."""
        content = {"words": self.words, "tags": self.tags, "separator": self.separator}
        _write(folder, {**content, "punctuation": self.punctuation, "marks_apart": self.marks_apart})

    @staticmethod
    def load(folder: Path) -> "WordVocabulary":
        """Read what `save` wrote."""
        saved = _read(folder, "words", "tags", "separator")
        punctuation, apart = saved.get("punctuation", False), saved.get("marks_apart", True)  # both came with a later version
        return WordVocabulary(saved["words"], saved["tags"], saved["separator"], punctuation=punctuation, marks_apart=apart)

    def _read_words(self, text: str) -> Iterator[tuple[int, str]]:
        """(symbol, word) in order."""
        parts = split_tags_and_words(self._splitter, text, self.separator, punctuation=self.punctuation, marks_apart=self.marks_apart)
        for is_tag, part in parts:
            yield (self._tag_symbols[part] if is_tag else self._symbols.get(part, UNKNOWN)), part


@final
class CharacterVocabulary(Vocabulary):
    """A vocabulary of characters (Unicode code points), optionally with byte pieces for characters outside of it.

    Without any character this is the byte vocabulary of ByT5 (Xue et al. 2022): 256 bytes behind the special pieces and tags.
    """

    def __init__(self, characters: Sequence[str] = (), tags: Sequence[str] = (), byte_fallback: bool = True):
        self.characters, self.tags, self.byte_fallback = tuple(characters), tuple(tags), byte_fallback
        byte_pieces = BYTE_PIECES if byte_fallback else ()
        self.pieces = (*SPECIAL_PIECES, *self.tags, *byte_pieces, *self.characters)
        self._first_byte = len(SPECIAL_PIECES) + len(self.tags)
        first_character = self._first_byte + len(byte_pieces)
        self._tag_symbols = {tag: len(SPECIAL_PIECES) + number for number, tag in enumerate(self.tags)}
        self._symbols = {character: first_character + number for number, character in enumerate(self.characters)}
        self._splitter = tag_splitter(self.tags)
        # What each symbol contributes to the UTF-8 form of the text: bytes and characters mix, so decoding is one join.
        self._bytes = [b"", UNKNOWN_MARK.encode(), b"", b"", *(tag.encode() for tag in self.tags)]
        self._bytes += [bytes([byte]) for byte in range(len(byte_pieces))]
        self._bytes += [character.encode() for character in self.characters]

    def encode(self, text: str) -> np.ndarray:
        """The symbols of a text, (T,) int64."""
        parts = []
        for place, part in enumerate(split_tags(self._splitter, text)):
            parts.append(np.array([self._tag_symbols[part]], dtype=np.int64) if place % 2 else self._encode_part(part))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _encode_part(self, text: str) -> np.ndarray:
        if not self.characters and self.byte_fallback:
            return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64) + self._first_byte
        symbols: list[int] = []
        for character in text:
            symbol = self._symbols.get(character)
            if symbol is not None:
                symbols.append(symbol)
            elif self.byte_fallback:
                symbols += [self._first_byte + byte for byte in character.encode()]
            else:
                symbols.append(UNKNOWN)
        return np.array(symbols, dtype=np.int64)

    def decode(self, symbols: np.ndarray) -> str:
        """The text; invalid UTF-8 bytes (which a model may output) become U+FFFD."""
        return b"".join(self._bytes[symbol] for symbol in self.checked(symbols)).decode("utf-8", errors="replace")

    def save(self, folder: Path) -> None:
        """Write `vocabulary.json`."""
        _write(folder, {"characters": self.characters, "tags": self.tags, "byte_fallback": self.byte_fallback})

    @staticmethod
    def load(folder: Path) -> "CharacterVocabulary":
        """Read what `save` wrote."""
        saved = _read(folder, "characters", "tags", "byte_fallback")
        return CharacterVocabulary(saved["characters"], saved["tags"], saved["byte_fallback"])


def split_words(text: str, separator: str | None) -> list[str]:
    """The words of a text; none for an empty text, with any separator."""
    return text.split(separator) if text else []


JOINER = "\uffed"
"""Marks the side of a punctuation mark on which no space stood, as the tokenizer of OpenNMT does."""

_MARK = "\u0300"  # stands for every combining mark
_WORD_OR_PUNCTUATION = re.compile(rf"\w[\w{_MARK}]*(?:[-'\u2019.+_]\w[\w{_MARK}]*)*|[^\w\s]{_MARK}*")
_MARKS_APART = re.compile(r"\w+(?:[-'\u2019.+_]\w+)*|[^\w\s]")


class _Marks(dict[int, str]):
    """Maps characters that belong to the preceding letter to a common mark, for `str.translate`: accents, vowel signs of India, vowels of
    Arabic and Hebrew, invisible joiners. Python's `re` has no class for them."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = found = _MARK if unicodedata.category(character)[0] == "M" or character in "\u00ad\u200c\u200d\u2060" else character
        return found


_MARKS = _Marks()


def split_punctuation(word: str, *, marks_apart: bool = False) -> list[str]:
    """A word split from the punctuation marks around it, in order; hyphens, dots and apostrophes inside are kept."""
    if marks_apart or word.isascii():
        parts = _MARKS_APART.findall(word)
    else:
        parts = [word[found.start() : found.end()] for found in _WORD_OR_PUNCTUATION.finditer(word.translate(_MARKS))]
    is_word = [part[0].isalnum() or part[0] == "_" for part in parts]
    for place, part in enumerate(parts):
        if not is_word[place]:
            before = JOINER if place else ""
            parts[place] = before + part + (JOINER if place + 1 < len(parts) and is_word[place + 1] else "")
    return parts


def joined_punctuation(text: str) -> str:
    """Undo `split_punctuation`, given its parts joined by spaces."""
    return text.replace(f" {JOINER}", "").replace(f"{JOINER} ", "").replace(JOINER, "")


def split_tags_and_words(
    splitter: re.Pattern[str] | None, text: str, separator: str | None, *, punctuation: bool = False, marks_apart: bool = False
) -> Iterator[tuple[bool, str]]:
    """(whether it is a tag, tag or word) in order. The separator between a tag and a word belongs to neither."""
    parts = split_tags(splitter, text)
    for place, part in enumerate(parts):
        if place % 2:
            yield True, part
            continue
        if separator is not None and place > 0:
            part = part.removeprefix(separator)
        if separator is not None and place < len(parts) - 1:
            part = part.removesuffix(separator)
        words = split_words(part, separator)
        yield from (
            (False, one) for word in words for one in (split_punctuation(word, marks_apart=marks_apart) if punctuation else (word,))
        )


def _write(folder: Path, content: dict[str, Any]) -> None:
    (folder / "vocabulary.json").write_text(json_text(content, indent=0) + "\n", encoding="utf-8")


def _read(folder: Path, *keys: str) -> dict[str, Any]:
    path = folder / "vocabulary.json"
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"`{path}` cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CheckpointError(f"`{path}` must be JSON, but is not: {error}.") from error
    if not isinstance(saved, dict) or not set(keys) <= set(saved):
        raise CheckpointError(f"`{path}` must be a JSON object with {', '.join(keys)}, but is not.")
    for key in keys[:2]:
        if not isinstance(saved[key], list) or not all(isinstance(piece, str) for piece in saved[key]):
            raise CheckpointError(f"`{path}`: `{key}` must be a list of texts, but is not.")
    return saved
