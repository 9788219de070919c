"""Text <-> symbols, by a vocabulary of subwords, words, characters or bytes that is fitted on the training texts.

A text is prepared the same way in training and afterwards: prefix, Unicode normalization, lower case; tags such as `<2de>` are left as
they are. Sources may be normalized otherwise than targets (`normalization.py`), also where both share a vocabulary. Then the vocabulary
(`vocabulary.py`, `subwords.py`) turns it into numbers, without start and end: those belong to the task.

Unusual: `lossless` is a promise, not a hint. With it decode(encode(x)) == x for every text, and a setting that would break it is refused.
"""

import copy
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from antiphon.contracts.configuration import plain, validate
from antiphon.contracts.feature import TargetFeature
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.trust import FOREIGN
from antiphon.errors import CheckpointError, ConfigError, DataError
from antiphon.features import byte_pairs
from antiphon.features.byte_pairs import BytePairVocabulary
from antiphon.features.counting import draw_lines, learn_characters, learn_words
from antiphon.features.normalization import SIDES, Form, Rule, Side, normalized
from antiphon.features.reused import adopted, vocabulary_of
from antiphon.features.subwords import SubwordVocabulary, train_subwords
from antiphon.features.text_config import DEFAULT_SIZE, SUBWORDS, USED_BY, TextConfig
from antiphon.features.vocabulary import (
    END,
    PAD,
    SPECIAL_PIECES,
    START,
    UNKNOWN,
    CharacterVocabulary,
    Vocabulary,
    WordVocabulary,
    split_tags,
    tag_splitter,
)
from antiphon.features.vocabulary_size import sized_subwords
from antiphon.store.json_text import json_text

# What decides how texts become symbols: it must not change between fitting and loading.
_FITTED_SETTINGS = ("kind", "lossless", "byte_fallback", "lowercase", "separator", "punctuation", "tags")
# What only decides how the vocabulary is learned or where it is taken from, or draws other segmentations in training.
_LEARNING = frozenset({"size", "model", "run", "min_frequency", "character_coverage", "training_lines", "sampling"})
_FORMAT = 1
# Lossy models give themselves away on this: spaces, compatibility characters, control characters, rare characters, U+2581.
_PROBE = "  A  \ufb01\t\n\u00e9\U0001f600\u2581x "


@final
class TextFeature(TargetFeature):
    """Texts <-> arrays of symbols (T,) int64.

    `side` is that of the texts in a pair: what a model reads, or what it writes. `notes` tells what the user should know about the fitted
    vocabulary, one sentence each.
    """

    closes = True
    """Whether a source still needs the end symbol behind it."""

    def __init__(self, settings: TextConfig, side: Side = "target"):
        self.config, self.side = settings, side
        self._forms: dict[Side, Form] = {name: settings.resolved_normalization(name) for name in SIDES}
        self._model_normalizes = False  # as models of earlier versions do, on both sides
        self.notes: tuple[str, ...] = ()
        self._vocabulary: Vocabulary | None = None
        self._described: tuple[Vocabulary, TokenSpec] | None = None
        self._splitter = tag_splitter(settings.tags)
        self._run = settings.run

    @staticmethod
    def of(settings: TextConfig, vocabulary: Vocabulary) -> "TextFeature":
        """A feature with an existing vocabulary."""
        feature = TextFeature(settings)
        feature._vocabulary = vocabulary
        return feature

    @property
    def vocabulary(self) -> Vocabulary:
        """The fitted vocabulary."""
        assert self._vocabulary is not None, "fit or load the text feature before using it"
        return self._vocabulary

    @property
    def opening(self) -> tuple[int, ...]:
        """The symbols that begin every text, and so every output: special symbols of a published model, or none."""
        if not self.config.opening or not isinstance(self.vocabulary, BytePairVocabulary):
            return ()
        try:
            return tuple(self.vocabulary.special(piece) for piece in self.config.opening)
        except KeyError as error:
            raise ConfigError(f"`opening` must be special pieces of the vocabulary, but {error.args[0]!r} is none.") from error

    @property
    def spec(self) -> TokenSpec:
        """The size, the special symbols and the fingerprint of the vocabulary, and which symbols begin a word."""
        vocabulary = self.vocabulary
        if self._described is None or self._described[0] is not vocabulary:  # asked for several times with each text
            spec = TokenSpec(vocabulary.size, PAD, UNKNOWN, START, END, vocabulary.fingerprint, word_starts=vocabulary.word_starts)
            self._described = vocabulary, spec
        return self._described[1]

    @property
    def fingerprint(self) -> str:
        """A hash that changes with the vocabulary, and with every setting except those that are only for learning it."""
        settings = {name: value for name, value in plain(self.config).items() if name not in _LEARNING}
        normalization = [self.normalization, self._model_normalizes]
        marks = isinstance(self.vocabulary, WordVocabulary) and self.vocabulary.marks_apart
        facts = [settings | self._fitted_settings() | {"normalization": normalization}, marks, self.vocabulary.fingerprint]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def fit(self, values: Iterable[Any]) -> None:
        """Learn the vocabulary from texts, which are read once. Bytes, a `run` and an existing `model` need no texts, which are then not
        read.

        A joint vocabulary of two languages comes from fitting on the texts of both.

        Raises DataError for a value that is no text and when there is none, ConfigError when `size` is too small for the texts.
        """
        self._fit(self._texts(values, "Training text"))

    def fit_pairs(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        """Learn one vocabulary from the texts of both sides, (source, target), each preprocessed like its side. Otherwise like `fit`."""
        sides = [self.on(side) for side in SIDES]
        self._fit(
            text
            for number, pair in enumerate(pairs, start=1)
            for side, value in zip(sides, pair, strict=True)
            for text in side._texts([value], "Training pair", number)
        )

    def _fit(self, texts: Iterator[str]) -> None:
        if self._run is not None:
            folder = vocabulary_of(self._run)
            self.load(folder)
            notes = [f"The vocabulary of {self.vocabulary.size:,} pieces is that in {folder}."]
        elif self.config.model is not None:
            self._vocabulary, notes = self._existing(self.config.model), list[str]()
        elif self.config.kind == "byte":
            self._vocabulary, notes = CharacterVocabulary((), self.config.tags), list[str]()
        else:
            self._vocabulary, notes = self._learn(texts)
        self.notes = tuple(notes)

    def encode(self, value: Any, *, seed: int | None = None) -> np.ndarray:
        """The symbols of a text, (T,) int64, without start and end; none for the empty text (unless there is a prefix).

        With a `seed`, and `sampling` above 0, one of the text's segmentations is drawn; without a seed it is always the best one.

        Raises DataError when the value is no text or holds a lone surrogate.
        """
        text = self._prepared(value)
        if seed is not None and self.config.sampling > 0:
            assert isinstance(self.vocabulary, SubwordVocabulary), "only subwords are sampled"
            return self.vocabulary.sample(text, self.config.sampling, seed)
        return self._opened(self.vocabulary.encode(text))

    def encode_many(self, values: Sequence[Any]) -> list[np.ndarray]:
        """`encode` for each text, faster. Raises DataError with the number of a value that is no text."""
        return [self._opened(symbols) for symbols in self.vocabulary.encode_many(list(self._texts(values, "Text")))]

    def _opened(self, symbols: np.ndarray) -> np.ndarray:
        return np.concatenate([self.opening, symbols]).astype(np.int64) if self.config.opening else symbols

    @property
    def can_be_open(self) -> bool:
        """Whether texts may have words outside of the vocabulary that could be copied."""
        return self.config.kind == "word"

    def encode_open(self, value: Any, known: Sequence[str], most: int, *, learn: bool) -> tuple[np.ndarray, tuple[str, ...]]:
        """Like `encode`, with additional symbols for unknown words, see `WordVocabulary.encode_open`."""
        assert isinstance(self.vocabulary, WordVocabulary), "only words can be open"
        return self.vocabulary.encode_open(self._prepared(value), known, most, learn=learn)

    def decode(self, array: np.ndarray, open_words: Sequence[str] = ()) -> str:
        """The text of symbols (T,), which may be any output of a model; unknown symbols are shown as U+2047."""
        if isinstance(self.vocabulary, WordVocabulary):
            return self.vocabulary.decode(array, open_words)
        return self.vocabulary.decode(array)

    def pieces(self, array: np.ndarray, open_words: Sequence[str] = ()) -> list[str]:
        """The piece of each symbol, for reports."""
        if isinstance(self.vocabulary, WordVocabulary) and (np.asarray(array) >= self.vocabulary.size).any():
            words = self.vocabulary.words_of(array, open_words)
            return [SPECIAL_PIECES[symbol] if word is None else word for symbol, word in zip(array, words, strict=True)]
        return self.vocabulary.labels(array)

    @property
    def sampling(self) -> float:
        """The strength of subword sampling in training; 0 for none."""
        return self.config.sampling

    def phrase(self, text: str) -> tuple[int, ...]:
        """A phrase within a text as symbols."""
        return tuple(self.encode(text).tolist())[len(self.opening) :]

    def on(self, side: Side) -> "TextFeature":
        """A feature with the same vocabulary for the texts of one side."""
        other = copy.copy(self)
        other.side = side
        return other

    @property
    def normalization(self) -> Form:
        """The Unicode normalization of texts of this side."""
        return self._forms[self.side]

    def save(self, folder: Path) -> None:
        """Write `text.json` (the relevant settings, notes, fingerprint) and the vocabulary, as JSON or a sentencepiece model."""
        folder.mkdir(parents=True, exist_ok=True)
        self.vocabulary.save(folder)
        content = {
            "format": _FORMAT,
            "settings": {**self._fitted_settings(), "normalization": "nfkc" if self._model_normalizes else self._forms},
            "exact": self._exact,
            "existing": self.config.model is not None,
            "opening": self.config.opening,
            "size": self.vocabulary.size,
            "fingerprint": self.vocabulary.fingerprint,
            "notes": self.notes,
        }
        (folder / "text.json").write_text(json_text(content, indent=2) + "\n", encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote. `prefix`, `sampling` and the settings of fitting may have changed; with `run`, no other settings are
        checked.

        Raises CheckpointError when a file is missing or damaged, or another setting differs.
        """
        saved = _read_settings(folder / "text.json")
        if self._run is not None:
            opening = saved.get("opening") if self.config.opening is None else self.config.opening
            kept = {"prefix": self.config.prefix, "sampling": self.config.sampling, "opening": opening}
            self.config = validate(TextConfig, {**adopted(saved, folder, USED_BY, self.config.tags), **kept}, trust=FOREIGN)
            self._splitter = tag_splitter(self.config.tags)
        self._read_forms(saved)
        settings = saved["settings"] | {"normalization": self.normalization}
        asked = {} if self.config.normalization is None else {"normalization": self.config.normalization}
        for name, value in (self._fitted_settings() | asked).items():
            if settings.get(name, self.config.__dataclass_fields__[name].default) != value:
                raise CheckpointError(
                    f"`{name}` must be {settings.get(name)!r}, as when the vocabulary in `{folder}` was fitted, but is {value!r}."
                )
        kind = self.config.kind
        if kind == "word":
            self._vocabulary = WordVocabulary.load(folder)
        elif kind in ("character", "byte"):
            self._vocabulary = CharacterVocabulary.load(folder)
        elif kind == "byte_bpe":
            self._vocabulary = BytePairVocabulary.open(folder / byte_pairs.FILE)
        else:
            self._vocabulary = SubwordVocabulary.load(folder, exact=saved["exact"])
        if self._vocabulary.fingerprint != saved["fingerprint"]:
            raise CheckpointError(
                f"The vocabulary in `{folder}` must have the fingerprint in `text.json`, but has another: a file changed."
            )
        self.notes = tuple(saved["notes"])

    def _read_forms(self, saved: dict[str, Any]) -> None:
        """How each side is normalized. Earlier versions had one form for both, and left NFKC for subwords to the model."""
        form = saved["settings"].get("normalization", "none")
        self._forms = form if isinstance(form, dict) else dict.fromkeys(SIDES, form)
        self._model_normalizes = form == "nfkc" and self.config.kind in SUBWORDS and self.config.model is None

    # ---------------------------------------------------------------------------------------------------------- preparation

    def _prepared(self, value: Any) -> str:
        """The vocabulary's input for a value."""
        if not isinstance(value, str):
            raise DataError(f"A text must be a string, but is {value!r:.80}.")
        if not value.isascii():
            _refuse_surrogates(value)
        text = self.config.prefix + value
        rule = self.rule
        if rule == "none" and not self.config.lowercase:
            return text
        parts = split_tags(self._splitter, text)
        for place in range(0, len(parts), 2):
            parts[place] = normalized(parts[place], rule)
            if self.config.lowercase:
                parts[place] = parts[place].lower()
        return "".join(parts)

    @property
    def rule(self) -> Rule:
        """The normalization of texts of this side before the vocabulary."""
        if self._model_normalizes:  # and only lower-casing needs it done before
            return self.normalization if self.config.lowercase else "none"
        ours = self.config.kind in SUBWORDS and self.config.model is None
        return "nmt_nfkc" if ours and self.normalization == "nfkc" else self.normalization

    def _texts(self, values: Iterable[Any], what: str, first: int = 1) -> Iterator[str]:
        for number, value in enumerate(values, start=first):
            try:
                yield self._prepared(value)
            except DataError as error:
                raise DataError(f"{what} {number}: {error}") from error

    # -------------------------------------------------------------------------------------------------------------- fitting

    def _existing(self, path: Path) -> Vocabulary:
        if self.config.kind == "byte_bpe":
            return BytePairVocabulary.open(path)
        try:
            vocabulary = SubwordVocabulary.open(path)
        except CheckpointError as error:
            raise ConfigError(f"`model` must be a sentencepiece model: {error}") from error
        if vocabulary.algorithm != self.config.kind:
            raise ConfigError(f"`kind` must be {vocabulary.algorithm}, as `{path}` is, but is {self.config.kind}.")
        missing = [tag for tag in self.config.tags if tag not in vocabulary.pieces]
        if missing:
            raise ConfigError(f"`tags` must be pieces of `{path}`, but {', '.join(missing)} are not.")
        if self.config.lossless and vocabulary.decode(vocabulary.encode(_PROBE)) != _PROBE:
            raise ConfigError(f"`lossless` must be false with `{path}`, since that model does not restore every text, but is true.")
        return vocabulary

    def _learn(self, texts: Iterator[str]) -> tuple[Vocabulary, list[str]]:
        settings = self.config
        rare, tags, fallback = settings.min_frequency, settings.tags, settings.resolved_byte_fallback
        if settings.kind == "word":
            return learn_words(
                texts,
                size=settings.size or DEFAULT_SIZE,
                minimum=rare,
                tags=tags,
                separator=settings.separator,
                punctuation=settings.punctuation == "split",
            )
        if settings.kind == "character":
            most = None if settings.size == "auto" else settings.size
            return learn_characters(texts, size=most, minimum=rare, tags=tags, byte_fallback=fallback)
        assert settings.kind in ("unigram", "bpe"), "bytes and published tokenizers learn nothing"
        lines, total = draw_lines(texts, settings.training_lines)
        fitting = sized_subwords(lines, total, tags, byte_fallback=fallback) if settings.size == "auto" else None
        vocabulary, notes = train_subwords(
            lines,
            kind="bpe" if settings.kind == "bpe" else "unigram",
            size=fitting.size if fitting else settings.size or DEFAULT_SIZE,  # type: ignore[arg-type]
            tags=tags,
            exact=settings.lossless,
            byte_fallback=fallback,
            character_coverage=settings.character_coverage,
        )
        notes += [f"The vocabulary has {vocabulary.size:,} subwords: {fitting.reason}."] if fitting else []
        if total > len(lines):
            notes.append(f"The vocabulary was learned from {len(lines):,} of {total:,} training texts, drawn at random.")
        return vocabulary, notes

    # --------------------------------------------------------------------------------------------------------------- saving

    @property
    def _exact(self) -> bool:
        return self.config.lossless and self.config.model is None

    def _fitted_settings(self) -> dict[str, Any]:
        """The settings that must not change, including defaults, as plain values."""
        settings = {name: getattr(self.config, name) for name in _FITTED_SETTINGS}
        return settings | {"byte_fallback": self.config.resolved_byte_fallback, "tags": list(self.config.tags)}


def _refuse_surrogates(text: str) -> None:
    """Raise DataError for lone surrogates, which are no characters; they come from files that were read with `surrogateescape` or cut in
    the middle."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"A text must be valid Unicode, but has a lone surrogate (U+{ord(text[error.start]):04X}) at character {error.start + 1}. "
            "Store the file as UTF-8."
        ) from error


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"`{path}` cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CheckpointError(f"`{path}` must be JSON, but is not: {error}.") from error
    if not isinstance(saved, dict) or not {"format", "settings", "exact", "fingerprint", "notes"} <= set(saved):
        raise CheckpointError(f"`{path}` must hold the settings of a text feature, but does not.")
    if saved["format"] != _FORMAT:
        raise CheckpointError(
            f"`{path}` must have format {_FORMAT}, but has {saved['format']!r}. Use the version of Antiphon that wrote it."
        )
    return saved
