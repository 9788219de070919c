"""The settings for encoding texts as symbols, and checks that they go together."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from antiphon.contracts.configuration import config
from antiphon.errors import ConfigError
from antiphon.features.normalization import Form, Side
from antiphon.features.vocabulary import BYTE_PIECES, SPECIAL_PIECES

DEFAULT_SIZE = 8000

SUBWORDS = ("unigram", "bpe")
# A setting that has no effect is an error: the kinds that use each setting.
USED_BY = {
    "size": ("unigram", "bpe", "word", "character"),
    "model": (*SUBWORDS, "byte_bpe", "pretrained"),
    "opening": ("byte_bpe",),
    "languages": ("pretrained",),
    "lossless": ("unigram", "bpe", "character", "byte"),
    "byte_fallback": ("unigram", "bpe", "character"),
    "character_coverage": SUBWORDS,
    "training_lines": SUBWORDS,
    "sampling": SUBWORDS,
    "min_frequency": ("word", "character"),
    "separator": ("word",),
    "punctuation": ("word",),
}


@config
class TextConfig:
    """How texts are encoded as symbols. The defaults suit most languages and tasks."""

    kind: Literal["unigram", "bpe", "byte_bpe", "word", "character", "byte", "pretrained"] = "unigram"
    """What a symbol stands for: a subword (`unigram`, `bpe`; `byte_bpe` is read from a `tokenizer.json`), a word, a character, a byte of
    UTF-8, or a symbol of a published checkpoint's tokenizer (`pretrained`)."""
    size: Annotated[int, Field(ge=5)] | Literal["auto"] | None = None
    """The vocabulary size asked for, special pieces and tags included. `auto`: as many pieces as the training texts can teach (subwords
    that occur often enough, by Gowda and May 2020; words that occur three times). Left out: 8000 for subwords and words, all characters."""
    model: Path | None = None
    """An existing sentencepiece `.model` file to use instead of training one; for `byte_bpe` the `tokenizer.json`, for `pretrained` the
    checkpoint's folder or its name on the hub."""
    run: Path | None = None
    """A run whose vocabulary, with all its settings, is used instead of learning one, as a model needs that starts from the weights of that
    run (`training.init_from`). If the run has two vocabularies name one, such as `runs/mine/features/source`."""
    languages: tuple[str, str] | None = None
    """Codes of the source's and the target's language, for a `pretrained` tokenizer of many languages, such as [eng_Latn, deu_Latn]. For
    Whisper they are those of speech and text: equal ones transcribe, others translate."""
    lossless: bool = False
    """Guarantee that decoding restores every text exactly: no normalization, spaces kept, unseen characters as bytes."""
    byte_fallback: bool | None = None
    """Encode unseen characters as bytes, so that nothing is unknown. Left out: yes for subwords, no for characters unless `lossless`."""
    normalization: Form | None = None
    """Unicode normalization. NFC only composes accents; NFKC also unifies compatibility forms (full-width letters, ligatures), which
    predictions then lack. Left out: `nfkc` for sources cut into subwords (any white space is then a blank), `nfc` for targets, words and
    characters, `none` for bytes, `model` and `lossless`."""
    lowercase: bool = False
    """Lower-case the text. It cannot be undone, so predictions are in lower case, too."""
    min_frequency: Annotated[int, Field(ge=1)] = 1
    """Words or characters that occur less often in the training texts are left out of the vocabulary."""
    separator: Annotated[str, Field(min_length=1)] | None = None
    """The separator of words. Left out: any whitespace."""
    punctuation: Literal["attached", "split"] = "attached"
    """Whether punctuation marks stay attached to their words, or are words of their own, which are joined again in predictions."""
    character_coverage: Annotated[float, Field(gt=0, le=1)] = 0.9995
    """The share of running characters that get pieces of their own; the others are bytes or unknown."""
    training_lines: Annotated[int, Field(ge=1)] = 2_000_000
    """Subwords are learned from at most this many texts, randomly chosen if there are more."""
    sampling: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Sample other segmentations in training (subword regularization); 0 for none. With `unigram` the smoothing exponent (0.1 to 0.5; a
    smaller one varies more), with `bpe` the probability to skip a merge (0.1)."""
    opening: tuple[str, ...] | None = None
    """Special pieces of a `byte_bpe` that every text begins with, such as ["<|en|>", "<|transcribe|>", "<|notimestamps|>"] in Whisper; null
    means none, or with `run` those of the run."""
    prefix: str = ""
    """A text put before each text, such as "translate to German: "."""
    tags: tuple[str, ...] = ()
    """Symbols that are kept whole wherever they appear, such as "<2de>"."""

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other or have no effect."""
        for name, kinds in USED_BY.items():
            if self.kind not in kinds and self.run is None and getattr(self, name) != self.__dataclass_fields__[name].default:
                raise ConfigError(f"`{name}` needs `kind` to be one of {', '.join(kinds)}, but it is {self.kind}.")
        if self.kind == "pretrained":
            self._check_pretrained()
        if self.kind == "byte_bpe" and self.model is None:
            raise ConfigError("`model` is missing: give the `tokenizer.json` that a vocabulary of kind `byte_bpe` is read from.")
        if self.run is not None:
            self._check_run()
        if self.model is not None and self.kind != "pretrained":
            for name in ("size", "byte_fallback", "character_coverage", "training_lines"):
                if getattr(self, name) != self.__dataclass_fields__[name].default:
                    raise ConfigError(f"`{name}` must be left out, since `model` decides it, but is {getattr(self, name)}.")
        if self.separator is not None and self.punctuation == "split":
            raise ConfigError("`punctuation` must be attached when a `separator` says what a word is, but is split.")
        if self.lossless:
            for name, kept in {"lowercase": (False,), "normalization": (None, "none"), "byte_fallback": (None, True)}.items():
                if getattr(self, name) not in kept:
                    raise ConfigError(f"`{name}` must be left out, since it loses what `lossless` keeps, but is {getattr(self, name)}.")
        for tag in self.tags:
            if not tag or tag in SPECIAL_PIECES or tag in BYTE_PIECES or any(letter.isspace() or letter == "\u2581" for letter in tag):
                raise ConfigError(f"`tags` must be symbols without spaces, other than {' '.join(SPECIAL_PIECES)}, but one is {tag!r}.")
        if len(set(self.tags)) < len(self.tags):
            raise ConfigError(f"`tags` must differ from each other, but are {', '.join(self.tags)}.")

    def _check_pretrained(self) -> None:
        """Refuse settings that the checkpoint's tokenizer determines."""
        if self.model is None:
            raise ConfigError(
                "`model` is missing: give the folder, or the name on the hub, of the checkpoint whose tokenizer is to be used."
            )
        for name, field in self.__dataclass_fields__.items():
            if name not in ("kind", "model", "languages") and getattr(self, name) != field.default:
                raise ConfigError(
                    f"`{name}` must be left out, since the checkpoint's tokenizer decides it, but is {getattr(self, name)!r}."
                )

    def _check_run(self) -> None:
        """Refuse settings that the run determines: all but what is put before a text, and subword sampling in training."""
        for name, field in self.__dataclass_fields__.items():
            if name not in ("run", "prefix", "opening", "sampling", "tags") and getattr(self, name) != field.default:
                raise ConfigError(f"`{name}` must be left out, since the vocabulary of `run` decides it, but is {getattr(self, name)!r}.")

    @property
    def resolved_byte_fallback(self) -> bool:
        """Whether unseen characters are encoded as bytes, including the default."""
        return self.byte_fallback if self.byte_fallback is not None else self.kind in (*SUBWORDS, "byte") or self.lossless

    def resolved_normalization(self, side: Side) -> Form:
        """The Unicode normalization of a side, including the default."""
        if self.normalization is not None:
            return self.normalization
        if self.lossless or self.model is not None or self.kind == "byte":
            return "none"
        return "nfkc" if self.kind in SUBWORDS and side == "source" else "nfc"
