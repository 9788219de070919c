"""Texts <-> symbols by the tokenizer of a published checkpoint (extra `hf`).

The symbols around a text (a language in front, the end behind) are those that the tokenizer itself puts there for its model, so they are
right for every family: T5, BART, mBART, Marian, Pegasus, M2M-100, NLLB, LED, Blenderbot, Whisper ...

Unusual here: the decoder's start symbol and the symbols that an output must begin with (the target language) are no settings. They are read
from the checkpoint, and kept with the fitted feature, so a trained run needs the checkpoint no more.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from antiphon.contracts.feature import TargetFeature
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import CheckpointError, ConfigError, DataError, nearest
from antiphon.features import pretrained_whisper as whisper
from antiphon.features.pretrained_reader import (
    Reader,
    SentencepieceReader,
    TokenizerReader,
    differing,
    lost_to_bytes,
    model_in,
    special_symbols,
)
from antiphon.features.published import need_transformers, published_folder
from antiphon.store.json_text import json_text

_WRAPPING = ("mbart",)  # families whose decoder starts with the last symbol of the target instead of one for all
_SPACES = ("\u2581", "\u0120")  # what stands for a space in pieces of sentencepiece, and of byte-level BPE
_FACTS = "pretrained.json"
_TEXT = -1  # where a text stands among the symbols around it
_DECISIVE = ("size", "pad", "unknown", "start", "end", "opening")  # for how a text becomes symbols


@dataclass(frozen=True)
class _Facts:
    """What the checkpoint says beside its tokenizer: sizes and special symbols, and what every output begins with."""

    size: int
    pad: int
    unknown: int
    start: int
    end: int
    opening: tuple[int, ...]
    suppressed: tuple[int, ...] = ()
    suppressed_first: tuple[int, ...] = ()
    kept: dict[str, Any] = field(default_factory=dict)
    reader: Literal["tokenizer", "sentencepiece"] = "tokenizer"


@final
class PretrainedText(TargetFeature):
    """One side of a published tokenizer. `languages` are the codes of source and target, for tokenizers of many languages."""

    closes = False  # the tokenizer itself ends a source

    def __init__(self, model: str, side: Literal["source", "target"], languages: tuple[str, str] | None = None):
        self.model, self.side, self.languages = model, side, languages
        self.notes: tuple[str, ...] = ()
        self.sampling = 0.0
        self._tokenizer: Any = None
        self._facts: _Facts | None = None
        self._reader: Reader

    @cached_property
    def spec(self) -> TokenSpec:
        """The checkpoint's vocabulary and special symbols."""
        facts = self._known()
        starts = np.array([piece.startswith(_SPACES) for piece in self.pieces(np.arange(facts.size))])
        return TokenSpec(
            facts.size,
            facts.pad,
            facts.unknown,
            facts.start,
            facts.end,
            self._vocabulary(),
            word_starts=starts,
            suppressed=facts.suppressed,
            suppressed_first=facts.suppressed_first,
        )

    @property
    def fingerprint(self) -> str:
        """A hash that changes with the tokenizer and its rules, with the languages, and with the side."""
        return f"{self._vocabulary()}:{self.side}"

    @property
    def opening(self) -> tuple[int, ...]:
        """The symbols with which every output must begin: the target language, if there are several."""
        return self._known().opening if self.side == "target" else ()

    @property
    def kept(self) -> dict[str, Any]:
        """What transformers needs to know about a Whisper besides its weights and a search."""
        return self._known().kept

    @property
    def by_sentencepiece(self) -> bool:
        """Whether the published sentencepiece model is used, since the tokenizer of transformers encodes some texts differently."""
        return self._known().reader == "sentencepiece"

    def fit(self, values: Iterable[Any]) -> None:
        """Open the checkpoint's tokenizer; the texts are not used.

        Raises ConfigError when there is no such checkpoint, or it has no such language or no start symbol.
        """
        need_transformers()
        folder = published_folder(self.model)
        if self.side == "source" and whisper.is_whisper(folder):
            raise ConfigError(
                f"`task.name` must be speech_recognition for {self.model}, which is a Whisper: it reads recordings, not texts."
            )
        self._tokenizer = self._opened(folder)
        self._facts = self._read(folder)
        self._reader = self._chosen_reader(folder)

    def encode(self, value: Any, *, seed: int | None = None) -> np.ndarray:
        """A source with all its special symbols; a target without start and end, but with its fixed beginning. (T,) int64."""
        return self.encode_many([value])[0]

    def encode_many(self, values: Sequence[Any]) -> list[np.ndarray]:
        """`encode` for each text, faster."""
        for number, value in enumerate(values, start=1):
            if not isinstance(value, str):
                raise DataError(f"Text {number}: A text must be a string, but is {value!r:.80}.")
        before, behind = self._around
        return [np.concatenate([before, symbols, behind]) for symbols in self._reader.encode_many(values)]

    def phrase(self, text: str) -> tuple[int, ...]:
        """A phrase of a target: only its own symbols."""
        return tuple(self._reader.encode_many([text])[0].tolist())

    def decode(self, array: np.ndarray) -> str:
        """The text, without special symbols and without the fixed beginning."""
        opening, symbols = self.opening, [int(symbol) for symbol in array]
        symbols = symbols[len(opening) :] if tuple(symbols[: len(opening)]) == opening else symbols
        known = [symbol for symbol in symbols if symbol < len(self._tokenizer)]  # a model may have more embeddings than there are pieces
        text = self._reader.decode(known)
        return text.removeprefix(" ") if self._listens else text  # Whisper writes a space in front

    def pieces(self, array: np.ndarray) -> list[str]:
        """The tokenizer's pieces; embeddings without a piece are shown as their numbers."""
        return [self._piece(int(symbol)) for symbol in array]

    def save(self, folder: Path) -> None:
        """Write the tokenizer in its published format, and further facts."""
        folder.mkdir(parents=True, exist_ok=True)
        self.publish(folder)
        (folder / _FACTS).write_text(json_text({**asdict(self._known()), "languages": self.languages}) + "\n", encoding="utf-8")

    def publish(self, folder: Path) -> None:
        """Write only the tokenizer, for transformers."""
        self._tokenizer.save_pretrained(folder)
        if isinstance(self._reader, SentencepieceReader):
            self._reader.publish(folder)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote. Raises CheckpointError when it is missing, damaged, or for other languages."""
        need_transformers()
        try:
            saved = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
            languages = saved.pop("languages")
            saved.pop("length", None)  # which the model says now
            facts: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in saved.items()}
            self._facts = _Facts(**facts)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"The tokenizer in {folder} cannot be read: {error}.") from error
        if languages != (None if self.languages is None else list(self.languages)):
            raise CheckpointError(f"`languages` must be {languages}, as when the run began, but is {self.languages}.")
        self._tokenizer = self._opened(folder)
        self._reader = TokenizerReader(self._tokenizer, target=self.side == "target")
        if self.by_sentencepiece:
            model = SentencepieceReader.of(folder, self._tokenizer)
            if model is None:
                raise CheckpointError(f"The tokenizer in {folder} cannot be read: its sentencepiece model is missing, or another.")
            self._reader = model

    def _chosen_reader(self, folder: Path) -> Reader:
        """What encodes the texts of a new run: the tokenizer, or its original sentencepiece model if the two differ."""
        tokenizer = self._tokenizer
        notes = [f"The vocabulary is that of a published checkpoint: {len(tokenizer):,} pieces of {self.model}."]
        reader: Reader = TokenizerReader(tokenizer, target=self.side == "target")
        model = SentencepieceReader.of(folder, tokenizer)
        if model is not None and (texts := differing(model, reader, list(special_symbols(tokenizer)))):
            notes.append(f"  {model.name} reads its texts: the tokenizer of transformers reads some otherwise, such as {_listed(texts)}.")
            reader, self._facts = model, replace(self._known(), reader="sentencepiece")
        elif lost := lost_to_bytes(reader, tokenizer):
            remedy = "" if model_in(folder) else " Put the sentencepiece model that it was made of (spiece.model) into its folder."
            notes.append(f"  Its tokenizer reads {_listed(lost)} as unknown, though the vocabulary can write everything as bytes.{remedy}")
        self.notes = tuple(notes) if self.side == "source" else ()
        return reader

    def _piece(self, symbol: int) -> str:
        try:
            return str(self._tokenizer.convert_ids_to_tokens(symbol) or f"#{symbol}")
        except (KeyError, IndexError):
            return f"#{symbol}"

    def _known(self) -> _Facts:
        assert self._facts is not None, "fit or load the text feature before using it"
        return self._facts

    @property
    def _listens(self) -> bool:
        return hasattr(self._tokenizer, "set_prefix_tokens")

    def _vocabulary(self) -> str:
        """A hash of the tokenizer's pieces and rules, which both sides share."""
        facts = {name: value for name, value in asdict(self._known()).items() if name in _DECISIVE}
        parts: list[Any] = [sorted(self._tokenizer.get_vocab().items()), facts, self.languages]
        parts += [self._known().reader] if self.by_sentencepiece else []
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def _opened(self, folder: Path) -> Any:
        from transformers import AutoTokenizer

        listens = whisper.is_whisper(folder)
        codes = {} if self.languages is None or listens else {"src_lang": self.languages[0], "tgt_lang": self.languages[1]}
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **codes)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ConfigError(f"The tokenizer of {self.model} cannot be opened: {str(error).splitlines()[0]}") from error
        if listens:
            self._check_whisper(tokenizer, folder)
            whisper.begin_with(tokenizer, self.languages)
        else:
            self._check_languages(tokenizer)
        return tokenizer

    def _check_whisper(self, tokenizer: Any, folder: Path) -> None:
        if self._facts is None:  # those of a trained run have been checked when it began
            config, generation = _written(folder / "config.json"), _written(folder / "generation_config.json")
            known = whisper.known_languages(tokenizer, generation, int(config.get("vocab_size", 0)))
            whisper.check_languages(self.languages, self.model, known)

    def _check_languages(self, tokenizer: Any) -> None:
        known = set(getattr(tokenizer, "lang_code_to_id", None) or ())
        if not known and hasattr(tokenizer, "tgt_lang"):
            known = set(map(str, tokenizer.extra_special_tokens))
        if self.languages is None and known:
            raise ConfigError(
                f"`vocabulary.languages` is missing: {self.model} knows many languages. Name two, the source's and the target's, such as"
                f" [{', '.join(sorted(known)[:2])}]."
            )
        if self.languages is None:
            return
        if not known:
            raise ConfigError(f"`vocabulary.languages` must be left out: {self.model} has no language codes.")
        for code in self.languages:
            if code not in known:
                raise ConfigError(f"`vocabulary.languages` must be codes of {self.model}, but {code!r} is none.{nearest(code, known)}")

    def _read(self, folder: Path) -> _Facts:
        from transformers import AutoConfig, GenerationConfig

        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.model} has no configuration that transformers knows: {str(error).splitlines()[0]}") from error
        written = _written(folder / "config.json")
        generation = GenerationConfig.from_pretrained(folder).to_dict() if (folder / "generation_config.json").is_file() else {}
        labels = self._tokenizer(text_target="")["input_ids"]
        end = self._tokenizer.eos_token_id
        start = labels[-1] if config.model_type in _WRAPPING else _first(generation, written, "decoder_start_token_id")
        if start is None or end is None:
            raise ConfigError(
                f"{self.model} says no {'end symbol' if end is None else '`decoder_start_token_id`'}: it is no encoder-decoder."
            )
        opening = tuple(symbol for symbol in labels if symbol not in (start, end)) if self.languages or self._listens else ()
        forced = _first(generation, written, "forced_bos_token_id")
        if not opening and forced is not None and self.languages is None:
            opening = (int(forced),)
        pad = self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else end
        unknown = self._tokenizer.unk_token_id if self._tokenizer.unk_token_id is not None else pad
        size = getattr(config.get_text_config(decoder=True), "vocab_size", len(self._tokenizer))
        if len(self._tokenizer) > size:
            raise ConfigError(
                f"The tokenizer of {self.model} must fit its embeddings, but has {len(self._tokenizer):,} pieces for {size:,} embeddings."
            )
        facts = _Facts(size, int(pad), int(unknown), int(start), int(end), opening)
        return self._with_rules(facts, generation or written) if self._listens else facts

    @staticmethod
    def _with_rules(facts: _Facts, generation: dict[str, Any]) -> _Facts:
        """The spec with the symbols that a Whisper must not output."""
        return replace(
            facts,
            suppressed=whisper.suppressed_of(generation, "suppress_tokens", facts.size),
            suppressed_first=whisper.suppressed_of(generation, "begin_suppress_tokens", facts.size),
            kept=whisper.kept_of(generation),
        )

    @cached_property
    def _around(self) -> tuple[np.ndarray, np.ndarray]:
        """The symbols before and after a text: for a source all that the tokenizer adds, for a target without start and end."""
        argument = "text" if self.side == "source" else "text_target"
        alone, framed = (list(self._tokenizer(**{argument: "a"}, add_special_tokens=add)["input_ids"]) for add in (False, True))
        place = next(place for place in range(len(framed)) if framed[place : place + len(alone)] == alone)
        found = [*framed[:place], _TEXT, *framed[place + len(alone) :]]
        if self.side == "target":
            found = self._inner(found)
        place = found.index(_TEXT)
        return np.array(found[:place], dtype=np.int64), np.array(found[place + 1 :], dtype=np.int64)

    def _inner(self, ids: Sequence[int]) -> list[int]:
        """Labels without the end, and without a symbol after it (the language, in the oldest mBART) or the start (Whisper)."""
        end = self._known().end
        inner = list(ids)[1:] if self._listens else list(ids)
        while inner and (inner[-1] == end or (inner[-1] == self._known().start and end in inner)):
            last = inner.pop()
            if last == end:
                break
        return inner


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts[:3])


def _written(path: Path) -> dict[str, Any]:
    """The content of a JSON file; empty if there is none."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _first(generation: dict[str, Any], config: dict[str, Any], name: str) -> Any:
    found = generation.get(name)
    return config.get(name) if found is None else found
