"""A vocabulary: a fixed list of pieces; a text becomes the numbers of its pieces.

Every vocabulary begins with the same four special pieces, so that a model never has to ask where the padding is. Tags such as `<2de>`
follow them and are kept whole wherever they appear in a text.

Here are the vocabularies that need nothing but counting: words, characters and bytes. Subwords are in `subwords.py`.

Unusual: bytes are the character vocabulary without characters. A character that has no piece of its own falls back to the bytes of its
UTF-8 form, and then nothing is ever unknown.
"""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from antiphon.errors import CheckpointError, DataError

PAD, UNKNOWN, START, END = 0, 1, 2, 3
SPECIAL_PIECES = ("<pad>", "<unk>", "<s>", "</s>")
UNKNOWN_MARK = "⁇"
"""What an unknown symbol is decoded to, as sentencepiece does: it shows, and no ordinary text has it."""

BYTE_PIECES = tuple(f"<0x{byte:02X}>" for byte in range(256))


class Vocabulary(ABC):
    """Texts <-> symbols. `pieces[i]` is what symbol i stands for; symbols 0 to 3 are padding, unknown, start and end."""

    pieces: tuple[str, ...]

    @property
    def size(self) -> int:
        """The number of symbols."""
        return len(self.pieces)

    @property
    def fingerprint(self) -> str:
        """A digest of the pieces in their order: equal vocabularies have equal ones."""
        return hashlib.sha256(json.dumps(self.pieces).encode()).hexdigest()

    @abstractmethod
    def encode(self, text: str) -> np.ndarray:
        """The symbols of a text, (T,) int64, without start and end; none for the empty text."""

    def encode_many(self, texts: Sequence[str]) -> list[np.ndarray]:
        """`encode` for each text."""
        return [self.encode(text) for text in texts]

    @abstractmethod
    def decode(self, symbols: np.ndarray) -> str:
        """The text of symbols (T,). Padding, start and end stand for nothing; unknown for a visible mark."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the vocabulary into a folder that exists."""

    def labels(self, symbols: np.ndarray) -> list[str]:
        """The piece of each symbol, for people to read."""
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
    """A pattern whose `split` puts the tags at the odd places; None without tags. A longer tag wins over its own beginning."""
    if not tags:
        return None
    return re.compile("(" + "|".join(re.escape(tag) for tag in sorted(tags, key=len, reverse=True)) + ")")


def split_tags(splitter: re.Pattern[str] | None, text: str) -> list[str]:
    """The text in turns: ordinary, tag, ordinary, tag, ..., ordinary. Ordinary parts may be empty."""
    return [text] if splitter is None else splitter.split(text)


@final
class WordVocabulary(Vocabulary):
    """Words between separators: whitespace (None), or a string that separates exactly ("|": `a||b` has an empty word in the middle).

    A word that is not in the vocabulary is unknown: what was said is lost.
    """

    def __init__(self, words: Sequence[str], tags: Sequence[str] = (), separator: str | None = None):
        self.words, self.tags, self.separator = tuple(words), tuple(tags), separator
        self.pieces = (*SPECIAL_PIECES, *self.tags, *self.words)
        first = len(SPECIAL_PIECES)
        self._tag_symbols = {tag: first + number for number, tag in enumerate(self.tags)}
        # Words have their own index: a text that says "<s>" means the word, never the start symbol.
        self._symbols = {word: first + len(self.tags) + number for number, word in enumerate(self.words)}
        self._splitter = tag_splitter(self.tags)

    def encode(self, text: str) -> np.ndarray:
        """The symbols of a text, (T,) int64."""
        parts = split_tags_and_words(self._splitter, text, self.separator)
        symbols = [self._tag_symbols[part] if is_tag else self._symbols.get(part, UNKNOWN) for is_tag, part in parts]
        return np.array(symbols, dtype=np.int64)

    def decode(self, symbols: np.ndarray) -> str:
        """The words with separators between them."""
        shown = (
            UNKNOWN_MARK if symbol == UNKNOWN else self.pieces[symbol]
            for symbol in self.checked(symbols)
            if symbol not in (PAD, START, END)
        )
        return (" " if self.separator is None else self.separator).join(shown)

    def save(self, folder: Path) -> None:
        """Write `vocabulary.json`."""
        _write(folder, {"words": self.words, "tags": self.tags, "separator": self.separator})

    @staticmethod
    def load(folder: Path) -> "WordVocabulary":
        """Read what `save` wrote."""
        saved = _read(folder, "words", "tags", "separator")
        return WordVocabulary(saved["words"], saved["tags"], saved["separator"])


@final
class CharacterVocabulary(Vocabulary):
    """Characters (Unicode code points), with or without byte pieces for those that have none of their own.

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
        """The text; bytes that are not UTF-8 (a model may say anything) become U+FFFD."""
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
    """The words of a text; none for the empty text, whatever the separator."""
    return text.split(separator) if text else []


def split_tags_and_words(splitter: re.Pattern[str] | None, text: str, separator: str | None) -> Iterator[tuple[bool, str]]:
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
        yield from ((False, word) for word in split_words(part, separator))


def _write(folder: Path, content: dict[str, Any]) -> None:
    (folder / "vocabulary.json").write_text(json.dumps(content, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


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
