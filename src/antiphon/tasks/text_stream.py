"""Simultaneous translation of a text: words of the source in, words of the target out as soon as they are decided."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Example, Hypothesis, Prediction, Request
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError, DataError
from antiphon.search.limits import LimitsConfig
from antiphon.search.processors import ProcessorsConfig
from antiphon.search.wait_k_stream import Told, stream
from antiphon.tasks.growing_words import GrowingWords


@runtime_checkable
class _Texts(Protocol):
    """The methods of the task that are used."""

    @property
    def source_columns(self) -> tuple[str, ...]: ...
    @property
    def source_spec(self) -> TokenSpec: ...
    @property
    def target_spec(self) -> TokenSpec: ...
    @property
    def target_text(self) -> Any: ...

    def encode(self, record: Mapping[str, Any], index: int = -1, *, seed: int | None = None) -> Example: ...
    def request(self, record: Mapping[str, Any]) -> Request: ...
    def decode(self, hypotheses: Sequence[Hypothesis], example: Example) -> Prediction: ...


def stream_words(task: _Texts, model: Seq2SeqModel, search: Any, words: Iterable[str], record: Mapping[str, Any]) -> Iterator[Prediction]:
    """The translation so far, after each word, and once more at the end.

    `details`: `read` counts the words of the source so far, `words` has the words that are decided, each with how many had been read
    (`after`), and `final` is true of the last prediction, which is that of the whole.

    Raises ConfigError for a model that does not wait, and DataError for words that are no texts.
    """
    if task.target_spec.open_words:
        raise ConfigError("`task.open_words` must be 0 for a stream of words, since which words are open is known only at the end.")
    column, said = task.source_columns[0], list[str]()
    example = task.encode({**record, column: ""})

    def sources() -> Iterator[tuple[np.ndarray, bool]]:
        nonlocal example
        for word in _checked(words):
            said.append(word)
            example = task.encode({**record, column: " ".join(said)})
            ends = len(example.source) > 0 and example.source[-1] == task.source_spec.end
            yield example.source[:-1] if ends else example.source, False
        if said:  # else there is nothing to say
            yield example.source, True

    settings = getattr(search, "limits", LimitsConfig()), getattr(search, "processors", ProcessorsConfig())
    if settings[0].unit != "symbols":
        raise ConfigError("`search.limits.unit` must be `symbols` for a stream of words, whose number is known only at the end.")
    _check(search)
    found = stream(model, sources(), limits=settings[0], processors=settings[1], request=task.request({**record, column: ""}))
    shown = _Shown(task.target_text.decode, at_once=_are_words(task.target_spec))
    told = Told(np.zeros(0, dtype=np.int64), (), np.zeros(0, dtype=np.int64), "end")
    for told in found:
        final = told.ended is not None
        shown.extend(told.elements, len(said), final=final)
        details = {"read": len(said), "words": list(shown.words), "final": False}
        yield Prediction(shown.text, Hypothesis(told.elements, float("nan"), float("nan"), read=told.read), (), details)
    total = sum(told.step_scores, 0.0)
    reason = told.ended or "end"
    whole = task.decode([Hypothesis(told.elements, total, total, told.step_scores, finish_reason=reason, read=told.read)], example)
    yield Prediction(whole.value, whole.hypothesis, (), {**whole.details, "read": len(said), "words": list(shown.words), "final": True})


def _check(search: Any) -> None:
    """Refuse settings that need the whole source."""
    for name in ("ctc_weight", "language_model", "length_reward", "hot_words"):
        field = getattr(type(search), "__dataclass_fields__", {}).get(name)
        if field is not None and getattr(search, name) != field.default:
            raise ConfigError(f"`search.{name}` must be left out for a stream of words, where it has no effect.")


def _checked(words: Iterable[str]) -> Iterator[str]:
    """Words one by one; texts of several words are split."""
    if isinstance(words, str):
        words = words.split()
    for word in words:
        if not isinstance(word, str):
            raise DataError(f"A word must be a text, but is {word!r:.80}.")
        yield from word.split()


def _are_words(spec: TokenSpec) -> bool:
    """Whether every symbol is a word, so that a word is complete at once."""
    if spec.word_starts is None:
        return False
    special = [spec.pad, spec.unknown, spec.start, spec.end]
    return bool(np.delete(spec.word_starts, special).all())


class _Shown:
    """The words that are decided, with the number of source words read by then."""

    def __init__(self, decode: Callable[[np.ndarray], str], *, at_once: bool):
        self._growing, self._at_once = GrowingWords(decode), at_once
        self.words: list[dict[str, Any]] = []
        self._told = 0

    def extend(self, elements: np.ndarray, read: int, *, final: bool) -> None:
        """Process all symbols so far."""
        complete, last = self._growing.extend(elements)
        self._told += len(complete)
        fresh = [word.text for word in complete]
        if self._at_once or final:
            fresh += [word.text for word in last]
        known = len(self.words) - (self._told - len(complete))
        self.words += [{"word": text, "after": read} for text in fresh[known:]]

    @property
    def text(self) -> str:
        """The words that are decided."""
        return " ".join(str(entry["word"]) for entry in self.words)
