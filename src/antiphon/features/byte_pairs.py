"""Byte-level BPE (Sennrich et al. 2016; over bytes, Radford et al. 2019), read from a `tokenizer.json`: what GPT-2 and Whisper use.

A text is cut into words, numbers and punctuation with the space before them; each part is written as bytes, and neighbours are merged in
the order that was learned. Nothing is ever unknown.

Unusual here: special symbols are never found in a text. A text that says `<|endoftext|>` means these letters. And classes of characters
come from Python's Unicode tables, so no package beyond it is needed.
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, final

import numpy as np

from antiphon.errors import CheckpointError
from antiphon.features.vocabulary import SPECIAL_PIECES, UNKNOWN_MARK, Vocabulary
from antiphon.store.json_text import json_text

FILE = "tokenizer.json"

_SPACE = "\u0120"  # what stands for a space in pieces
# The names under which files have our four special pieces, most particular first.
_NAMES = (("<pad>",), ("<unk>",), ("<|startoftranscript|>", "<s>"), ("<|endoftext|>", "</s>"))
_CACHED_PARTS = 65_536

# GPT-2's pattern over classes of characters: L letter, N number, w white space other than the blank, P everything else. The letters of
# English contractions and the apostrophe stand for themselves.
_PARTS = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[Lstremvld]+| ?N+| ?[P']+|[ w]+(?![^ w])|[ w]+")
_THEMSELVES = frozenset("'stremvld ")
_SEPARATORS = "\x1c\x1d\x1e\x1f"  # white space to Python, but not to Unicode


class _Classes(dict[int, str]):
    """The class of each character, for `str.translate`."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        kind = unicodedata.category(character)[0]
        if character in _THEMSELVES:
            found = character
        elif kind in "LN":
            found = kind
        else:
            found = "w" if character.isspace() and character not in _SEPARATORS else "P"
        self[code] = found
        return found


_CLASSES = _Classes()


@final
class BytePairVocabulary(Vocabulary):
    """A byte-level BPE vocabulary. Symbols have our own numbers, not the file's: the four special pieces come first, and the file's special
    tokens are mapped to them.

    `numbers` (size,) has the file's number of each symbol, -1 where it has none. Symbols of the file that are no text (languages, tasks)
    decode to nothing.
    """

    def __init__(self, content: Mapping[str, Any], name: str = "the tokenizer"):
        self._content = _kept(content, name)
        model = self._content["model"]
        specials = {token["content"]: token["id"] for token in self._content["added_tokens"]}
        pieces = _by_number({**model["vocab"], **specials}, name)
        first = [next((specials[piece] for piece in names if piece in specials), -1) for names in _NAMES]
        others = [number for number in range(len(pieces)) if number not in first]
        self.numbers = np.array([*first, *others], dtype=np.int64)
        self.pieces = (*SPECIAL_PIECES, *(pieces[number] for number in others))
        symbols = {number: symbol for symbol, number in enumerate(self.numbers.tolist()) if number >= 0}
        self._symbols = {piece: symbols[number] for piece, number in model["vocab"].items()}
        self._specials = {piece: symbols[number] for piece, number in specials.items()}
        self._ranks = {tuple(pair): rank for rank, pair in enumerate(model["merges"])}
        self._adds_space = self._content["pre_tokenizer"]["add_prefix_space"]
        letters = {letter: byte for byte, letter in enumerate(_byte_letters())}
        self._bytes = [b""] * len(self.pieces)
        for piece, symbol in self._symbols.items():
            if piece not in specials:
                self._bytes[symbol] = bytes(letters[letter] for letter in piece)
        self._bytes[1] = UNKNOWN_MARK.encode() if first[1] < 0 else b""
        self._part = lru_cache(_CACHED_PARTS)(self._merged)

    @cached_property
    def word_starts(self) -> np.ndarray:
        """The pieces that begin with a space."""
        return np.array([piece.startswith(_SPACE) for piece in self.pieces])

    def special(self, piece: str) -> int:
        """The symbol of a special piece. Raises KeyError when there is none."""
        return self._specials[piece]

    def encode(self, text: str) -> np.ndarray:
        """The symbols of a text, (T,) int64; with a leading space if the file asks for one."""
        if self._adds_space and text and not text[0].isspace():
            text = " " + text
        classes = text.translate(_CLASSES)
        symbols = [symbol for found in _PARTS.finditer(classes) for symbol in self._part(text[found.start() : found.end()])]
        return np.array(symbols, dtype=np.int64)

    def decode(self, symbols: np.ndarray) -> str:
        """The text; bytes that are not UTF-8 become U+FFFD."""
        text = b"".join(self._bytes[symbol] for symbol in self.checked(symbols)).decode("utf-8", errors="replace")
        return text.removeprefix(" ") if self._adds_space else text

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json`, which the package tokenizers can read, too."""
        (folder / FILE).write_text(json_text(self._content) + "\n", encoding="utf-8")

    @staticmethod
    def open(path: Path) -> "BytePairVocabulary":
        """Read a `tokenizer.json`, from any source. Raises CheckpointError when it cannot be read or is of another kind."""
        return BytePairVocabulary(read_tokenizer(path), f"`{path}`")

    def _merged(self, part: str) -> tuple[int, ...]:
        """The symbols of one part: its bytes, merged by the rules."""
        letters = _byte_letters()
        pieces = [letters[byte] for byte in part.encode()]
        while len(pieces) > 1:
            ranks = [self._ranks.get(pair, len(self._ranks)) for pair in pairwise(pieces)]
            best = min(ranks)
            if best == len(self._ranks):
                break
            merged, place = [], 0
            while place < len(pieces):
                joined = place < len(ranks) and ranks[place] == best
                merged.append(pieces[place] + pieces[place + 1] if joined else pieces[place])
                place += 2 if joined else 1
            pieces = merged
        return tuple(self._symbols[piece] for piece in pieces)


def read_tokenizer(path: Path) -> dict[str, Any]:
    """The content of a `tokenizer.json`. Raises CheckpointError when it is not a JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"`{path}` cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CheckpointError(f"`{path}` must be JSON, but is not: {error}.") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"`{path}` must be a JSON object, but is not.")
    return content


def _kept(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The relevant content of a file, checked. Raises CheckpointError for tokenizers that work differently."""
    model, before = content.get("model"), content.get("pre_tokenizer")
    if not isinstance(model, dict) or model.get("type") != "BPE" or not isinstance(before, dict) or before.get("type") != "ByteLevel":
        raise CheckpointError(f"{name} must be a byte-level BPE (model `BPE`, pre-tokenizer `ByteLevel`), but is another tokenizer.")
    for setting in ("continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges", "dropout"):
        if model.get(setting):
            raise CheckpointError(f"{name} must be a byte-level BPE without `{setting}`, but has it.")
    if content.get("normalizer") or before.get("use_regex") is False:
        raise CheckpointError(f"{name} must be a byte-level BPE without a normalizer or a pattern of its own, but has one.")
    vocab: Any = model.get("vocab")
    merges: Any = model.get("merges")
    added: Any = content.get("added_tokens") or []
    try:
        pairs = [merge.split(" ") if isinstance(merge, str) else [str(part) for part in merge] for merge in merges]
        specials = {str(token["content"]): int(token["id"]) for token in added}
        numbered = {str(piece): int(number) for piece, number in vocab.items()}
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{name} must have `vocab`, `merges` and `added_tokens` of a byte-level BPE, but has not.") from error
    _check_merges(numbered, pairs, set(specials), name)
    whole = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    bytes_first = {"type": "ByteLevel", "add_prefix_space": bool(before.get("add_prefix_space")), "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "added_tokens": [{"id": number, "content": piece, **whole} for piece, number in specials.items()],
        "pre_tokenizer": bytes_first,
        "decoder": bytes_first,
        "model": {"type": "BPE", "vocab": numbered, "merges": pairs},
    }


def _check_merges(vocab: Mapping[str, int], pairs: Sequence[Sequence[str]], specials: set[str], name: str) -> None:
    letters = set(_byte_letters())
    missing = [letter for letter in letters if letter not in vocab]
    if missing:
        raise CheckpointError(f"{name} must have a piece for every byte, but lacks {len(missing)}.")
    for pair in pairs:
        if len(pair) != 2 or "".join(pair) not in vocab:
            raise CheckpointError(f"{name} must merge two pieces into one of its vocabulary, but merges {' '.join(pair)!r:.40}.")
    foreign = next((piece for piece in vocab if piece not in specials and not letters.issuperset(piece)), None)
    if foreign is not None:
        raise CheckpointError(f"{name} must have pieces made of bytes, but has {foreign!r:.40}.")


def _by_number(numbered: Mapping[str, int], name: str) -> list[str]:
    pieces = {number: piece for piece, number in numbered.items()}
    if sorted(pieces) != list(range(len(numbered))):
        raise CheckpointError(f"{name} must number its {len(numbered):,} pieces from 0 on, each once, but does not.")
    return [pieces[number] for number in range(len(pieces))]


@lru_cache(maxsize=1)
def _byte_letters() -> tuple[str, ...]:
    """The character that stands for each byte: itself if it is visible, else one from U+0100 on (Radford et al. 2019)."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = iter(range(0x100, 0x200))
    return tuple(chr(byte) if byte in seen else chr(next(hidden)) for byte in range(256))


__all__ = ["FILE", "BytePairVocabulary", "read_tokenizer"]
