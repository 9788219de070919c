"""Subwords by sentencepiece: unigram (Kudo 2018) or byte-pair encoding (Sennrich et al. 2016), trained within the run.

    train_subwords(texts, ...) -> (SubwordVocabulary, notes)
    SubwordVocabulary.open(path)    an existing `.model` file, whoever made it

Unusual:
- Symbols are ours, not the model's: published models number their special pieces in any way and often have no padding, so a table maps
  between the two. For models trained here the table is the identity and is skipped.
- sentencepiece writes a space as U+2581, so a text that itself contains U+2581 comes back with a space. With `exact`, that character is
  written with its three byte pieces instead, and decode(encode(x)) == x without exception.
- Segmentations are drawn by `segmentation.py`, since sentencepiece cannot draw the same ones in another process.
"""

import io
import re
from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import sentencepiece

from antiphon.errors import CheckpointError, ConfigError, DataError
from antiphon.features.model_proto import NORMAL, USER_DEFINED, read_facts
from antiphon.features.segmentation import SPACE_PIECE, Segmenter
from antiphon.features.vocabulary import BYTE_PIECES, END, PAD, SPECIAL_PIECES, START, UNKNOWN, Vocabulary

# Training skips a line with one of these: the end of a string, the tab and U+2585, which sentencepiece uses as marks of its own.
_RESERVED_IN_TRAINING = str.maketrans({"\0": " ", "\t": " ", "\u2585": " "})

# The trained unigram model depends on the number of threads in its last bits, and with them on its pieces: fixed, so that a run gives the
# same vocabulary on any machine.
_TRAINING_THREADS = 8

# sentencepiece needs 64-bit positions above about 2**31 characters of text.
_EXTREMELY_LARGE = 1_000_000_000


@final
class SubwordVocabulary(Vocabulary):
    """A sentencepiece model in which pieces have our own numbers.

    `exact` says that the model restores texts exactly, apart from U+2581, which this class then takes care of.
    """

    def __init__(self, model: bytes, *, exact: bool = False, name: str = "the model"):
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise CheckpointError(f"{name} must be a sentencepiece model, but cannot be read as one: {error}.") from error
        self._model, self._exact = model, exact
        count = len(self._processor)
        special = [self._processor.pad_id(), self._processor.unk_id(), self._processor.bos_id(), self._processor.eos_id()]
        others = [number for number in range(count) if number not in special]
        model_pieces = self._processor.id_to_piece(list(range(count)))
        self.pieces = (*SPECIAL_PIECES, *(model_pieces[number] for number in others))
        # -1 where the model lacks a special piece: it is then never produced by encoding, and skipped in decoding.
        self._to_model = np.array([*special, *others], dtype=np.int64)
        self._to_symbol = np.full(count, UNKNOWN, dtype=np.int64)
        for symbol, number in enumerate(self._to_model):
            if number >= 0:
                self._to_symbol[number] = symbol
        self._renumbered = special != [PAD, UNKNOWN, START, END]
        self._symbol_of = {piece: symbol for symbol, piece in enumerate(self.pieces)}
        self._byte_symbols = [self._symbol_of.get(piece, UNKNOWN) for piece in BYTE_PIECES]
        self._space_piece_bytes = [self._byte_symbols[byte] for byte in SPACE_PIECE.encode()]
        facts = read_facts(model)
        self.algorithm = facts.algorithm
        self._piece_types = facts.types
        self._segmenter: Segmenter | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is pickled: worker processes rebuild it from the model, without the cache of earlier texts."""
        return (partial(SubwordVocabulary, exact=self._exact), (self._model,))

    @property
    def model_proto(self) -> bytes:
        """The serialized model, as in its file."""
        return self._model

    @property
    def model_numbers(self) -> np.ndarray:
        """The model's own number for each symbol (size,), -1 if it has no such piece."""
        return self._to_model

    @cached_property
    def word_starts(self) -> np.ndarray:
        """The pieces that begin with a space."""
        first = len(SPECIAL_PIECES)
        return np.array([False] * first + [piece.startswith(SPACE_PIECE) for piece in self.pieces[first:]])

    def encode(self, text: str) -> np.ndarray:
        """The symbols of a text, (T,) int64: its best segmentation."""
        parts = [self._symbols(self._processor.encode(part, out_type=int)).tolist() for part in self._parts(text)]
        return np.array(self._with_space_pieces(parts), dtype=np.int64)

    def encode_many(self, texts: Sequence[str]) -> list[np.ndarray]:
        """`encode` for each text, on several threads."""
        if self._exact and any(SPACE_PIECE in text for text in texts):
            return [self.encode(text) for text in texts]
        return [self._symbols(numbers) for numbers in self._processor.encode(list(texts), out_type=int)]

    def sample(self, text: str, strength: float, seed: int) -> np.ndarray:
        """Sample one of the segmentations of a text, (T,) int64; the same seed gives the same one, in any process.

        `strength` is what the model's algorithm makes of it: for unigram the smoothing exponent of subword regularization (towards 0 all
        segmentations are equally likely), for BPE the probability to skip a merge.
        """
        if self._segmenter is None:  # most vocabularies are never sampled
            self._segmenter = self._make_segmenter()
        parts = []
        for number, part in enumerate(self._parts(text)):
            pieces = self._segmenter.draw(self._processor.normalize(part), strength, seed + number)
            parts.append(self._symbols_of_pieces(pieces))
        return np.array(self._with_space_pieces(parts), dtype=np.int64)

    def _make_segmenter(self) -> Segmenter:
        if self.algorithm not in ("unigram", "bpe"):
            raise ConfigError(f"`sampling` must be 0 with a sentencepiece model of {self.algorithm}s, which has one segmentation per text.")
        pieces = self._processor.id_to_piece(list(range(len(self._processor))))
        typed = list(zip(pieces, self._processor.get_score(list(range(len(pieces)))), self._piece_types, strict=True))
        return Segmenter(
            "unigram" if self.algorithm == "unigram" else "bpe",
            {piece: score for piece, score, kind in typed if kind == NORMAL},
            whole=[piece for piece, _, kind in typed if kind == USER_DEFINED],
        )

    def _symbols_of_pieces(self, pieces: Sequence[str]) -> list[int]:
        """Symbols, with bytes or one unknown symbol for each run of characters outside of all pieces, as in sentencepiece."""
        bytes_known = UNKNOWN not in self._byte_symbols
        symbols: list[int] = []
        for piece in pieces:
            symbol = self._symbol_of.get(piece)
            if symbol is not None and symbol > END:
                symbols.append(symbol)
            elif bytes_known:
                symbols += [self._byte_symbols[byte] for byte in piece.encode()]
            elif not symbols or symbols[-1] != UNKNOWN:
                symbols.append(UNKNOWN)
        return symbols

    def decode(self, symbols: np.ndarray) -> str:
        """The text of symbols (T,)."""
        numbers = self.checked(symbols)
        if self._renumbered:
            numbers = [number for number in self._to_model[numbers].tolist() if number >= 0] if numbers else []
        text = self._processor.decode(numbers)
        assert isinstance(text, str)
        return text

    def save(self, folder: Path) -> None:
        """Write `vocabulary.model`, which any version of sentencepiece reads."""
        (folder / "vocabulary.model").write_bytes(self._model)

    @staticmethod
    def load(folder: Path, *, exact: bool) -> "SubwordVocabulary":
        """Read what `save` wrote."""
        return SubwordVocabulary.open(folder / "vocabulary.model", exact=exact)

    @staticmethod
    def open(path: Path, *, exact: bool = False) -> "SubwordVocabulary":
        """Read a sentencepiece model from a file.

        Raises CheckpointError when it cannot be read.
        """
        try:
            model = path.read_bytes()
        except OSError as error:
            raise CheckpointError(f"`{path}` cannot be read: {error.strerror}.") from error
        return SubwordVocabulary(model, exact=exact, name=f"`{path}`")

    def _parts(self, text: str) -> list[str]:
        return text.split(SPACE_PIECE) if self._exact else [text]

    def _with_space_pieces(self, parts: list[list[int]]) -> list[int]:
        """The symbols of a text, combined from those of its parts between the characters U+2581."""
        symbols = parts[0]
        for part in parts[1:]:
            symbols = [*symbols, *self._space_piece_bytes, *part]
        return symbols

    def _symbols(self, numbers: list[int]) -> np.ndarray:
        array = np.array(numbers, dtype=np.int64)
        return self._to_symbol[array] if self._renumbered else array


def train_subwords(
    texts: Iterable[str],
    *,
    kind: Literal["unigram", "bpe"],
    size: int,
    tags: Sequence[str] = (),
    exact: bool = False,
    byte_fallback: bool = True,
    character_coverage: float = 0.9995,
) -> tuple[SubwordVocabulary, list[str]]:
    """Train a model on texts; returns (vocabulary, notes for the user).

    The model normalizes nothing but runs of blanks, which become one, and blanks at the ends, which go; `exact` keeps them and needs
    `byte_fallback`. A `size` that the texts do not fill is lowered, and a note says so.

    Raises DataError without any text, and ConfigError when `size` has no room for the characters.
    """
    assert not exact or byte_fallback, "an exact vocabulary needs byte fallback"
    lines = [text.translate(_RESERVED_IN_TRAINING) for text in texts]
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise DataError("A vocabulary of subwords needs training texts, but there are none, or all are empty.")
    longest = max(len(line.encode()) for line in lines)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type=kind,
            vocab_size=size,
            hard_vocab_limit=False,
            character_coverage=character_coverage,
            user_defined_symbols=list(tags),
            byte_fallback=byte_fallback,
            normalization_rule_name="identity",
            remove_extra_whitespaces=not exact,
            add_dummy_prefix=not exact,
            pad_id=PAD,
            unk_id=UNKNOWN,
            bos_id=START,
            eos_id=END,
            pad_piece=SPECIAL_PIECES[PAD],
            unk_piece=SPECIAL_PIECES[UNKNOWN],
            bos_piece=SPECIAL_PIECES[START],
            eos_piece=SPECIAL_PIECES[END],
            # Bytes; sentencepiece leaves out longer lines without an error, so nothing may be longer.
            max_sentence_length=max(longest, 4192) + 1,
            train_extremely_large_corpus=sum(map(len, lines)) > _EXTREMELY_LARGE,
            num_threads=_TRAINING_THREADS,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise _training_error(error, size, byte_fallback) from error
    vocabulary = SubwordVocabulary(model.getvalue(), exact=exact)
    notes = []
    if vocabulary.size < size:
        notes.append(f"The vocabulary has {vocabulary.size:,} pieces, not the {size:,} asked for: the training texts do not give more.")
    return vocabulary, notes


def _training_error(error: RuntimeError, size: int, byte_fallback: bool) -> Exception:
    needed = re.search(r"smaller than required_chars\. (\d+) vs (\d+)", str(error))
    if needed:
        remedy = " 256 of them are bytes, which `byte_fallback: false` leaves out." if byte_fallback else ""
        return ConfigError(f"`size` must be at least {needed[2]} (special pieces, tags and characters), but is {size}.{remedy}")
    return DataError(f"The subwords cannot be learned from these texts; sentencepiece says: {error}")
