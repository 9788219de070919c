"""A predictor with a glossary and a translation memory: what they contain for an input is added to it, and to its prediction."""

import copy
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, final

from antiphon.contracts.abilities import KnowsWords, ReadsMatches
from antiphon.contracts.asking import Items
from antiphon.contracts.limits import Limits
from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Prediction
from antiphon.contracts.task import Task
from antiphon.data.content import content
from antiphon.data.records import open_records
from antiphon.data.translation_memory import TranslationMemory
from antiphon.errors import ConfigError, DataError
from antiphon.prediction.glossary import Glossary, Mode
from antiphon.prediction.predictor import Predictor
from antiphon.prediction.windows import Live
from antiphon.recipe.named_files import named_files

Use = Literal["tell", "reuse"]
"""What a memory is for: `tell` what it has, or `reuse` its translation of the same source as the prediction."""


def open_glossary(named: str, task: Task, mode: Mode) -> Glossary:
    """The glossary that an option names: a file of pairs in any format. Raises ConfigError for a task without texts, DataError if there are
    no pairs."""
    return Glossary(_pairs(named, task, "--glossary"), mode)


def open_memory(named: str, task: Task) -> TranslationMemory:
    """The translation memory that an option names; a task that reads matches finds them in it. Raises the same errors as
    `open_glossary`."""
    memory = TranslationMemory(_pairs(named, task, "--memory"))
    if isinstance(task, ReadsMatches):
        task.remember({task.source_columns[0]: source, str(task.target_column): target} for source, target in memory.pairs())
    return memory


def with_help(
    predictor: Predictor, glossary: str | None = None, mode: Mode = "soft", memory: str | None = None, use: Use = "tell"
) -> "Predictor | HelpedPredictor":
    """The predictor, with a glossary and a translation memory if they are named. Raises the same errors as `open_glossary`."""
    if glossary is None and memory is None:
        return predictor
    terms = None if glossary is None else open_glossary(glossary, predictor.task, mode)
    return HelpedPredictor(predictor, terms, None if memory is None else open_memory(memory, predictor.task), use)


def pairs_digest(named: str, task: Task, option: str) -> str:
    """A hash of the content of a glossary or a memory."""
    total = hashlib.sha256()
    for pair in _pairs(named, task, option):
        total.update(content(pair).encode("utf-8", "surrogatepass") + b"\n")
    return total.hexdigest()


def _pairs(named: str, task: Task, option: str) -> Iterator[tuple[str, str]]:
    target = task.target_column
    if not isinstance(task, KnowsWords) or target is None:
        raise ConfigError(f"`{option}` needs a run that turns texts into texts, but this is one of {task.name}.")
    source = task.source_columns[0]
    records = open_records(named_files(named, option), required=(source, target), source_column=source, target_column=target)
    for number, record in records():
        pair = record.get(source), record.get(target)
        if not isinstance(pair[0], str) or not isinstance(pair[1], str):
            raise DataError(f"{records.place(number)}: `{option}` must hold texts, but here are {pair[0]!r:.80} and {pair[1]!r:.80}.")
        yield pair[0], pair[1]


@final
class HelpedPredictor:
    """Like `Predictor`, with a glossary or a translation memory.

    glossary   terms that should, or must, be said
    memory     what was translated before: `details["memory"]` tells the best match
    use        `reuse` says what the memory has for the same source, instead of what the model says
    """

    def __init__(self, predictor: Predictor, glossary: Glossary | None = None, memory: TranslationMemory | None = None, use: Use = "tell"):
        self._predictor, self._glossary, self._memory, self._use = predictor, glossary, memory, use
        self._counts = Counter[str]()

    @property
    def task(self) -> Task:
        """The task of the model."""
        return self._predictor.task

    @property
    def limits(self) -> Limits:
        """The limits of inputs."""
        return self._predictor.limits

    def without_copies(self) -> "HelpedPredictor":
        """The same, without reporting copied words; the counts are shared."""
        other = copy.copy(self)
        other._predictor = self._predictor.without_copies()
        return other

    @property
    def remarks(self) -> list[str]:
        """Sentences about the use of glossary and memory, after those of the model."""
        told, counts = [], self._counts
        if self._glossary is not None:
            found = f"{counts['found']:,} were found, and {counts['said']:,} of these were said"
            told.append(f"the glossary has {len(self._glossary):,} terms; {found}.")
        if self._memory is not None:
            reused = f", and {counts['reused']:,} translations were reused" if self._use == "reuse" else ""
            told.append(f"the memory has {len(self._memory):,} sources; {counts['alike']:,} inputs are like one of them{reused}.")
        return [*self._predictor.remarks, *told]

    def predict(self, inputs: Any, *, on_error: Any = "raise", blank: Any = "refuse") -> Any:
        """Like `Predictor.predict`, for a list or an iterator. Only inputs of iterators are counted."""
        helped = (_LiveHelped if isinstance(inputs, Live) else _Helped)(inputs, self._wished)
        if isinstance(inputs, Sequence):
            listed = Items(helped) if isinstance(inputs, Items) else list(helped)
            answers = self._predictor.predict(listed, on_error=on_error, blank=blank)
            return [self._told(one, source, Counter()) for one, source in zip(answers, helped.sources, strict=True)]
        found = self._predictor.predict(helped, on_error=on_error, blank=blank)
        return (self._told(one, helped.sources.popleft(), self._counts) for one in found)

    def score(self, records: Sequence[Record], *, alignment: bool = False, on_error: Any = "raise") -> list[Prediction]:
        """Like `Predictor.score`; given targets need no glossary or memory."""
        return self._predictor.score(records, alignment=alignment, on_error=on_error)

    def _wished(self, item: Any) -> tuple[Any, str]:
        """An input with the preferred phrases from the glossary, and its text."""
        column = self.task.source_columns[0]
        source = item.get(column) if isinstance(item, Mapping) else item
        text = source if isinstance(source, str) else ""
        return (item if self._glossary is None else self._glossary.added_to(item, column)), text

    def _told(self, prediction: Prediction, source: str, counts: Counter[str]) -> Prediction:
        """A prediction with its match in the memory, or the translation from the memory itself."""
        match = None if self._memory is None else self._memory.best(source)
        if match is not None:
            reuses = match.alike == 1 and self._use == "reuse"
            counts.update(alike=1, reused=int(reuses))
            known = {"source": match.source, "target": match.target, "alike": round(match.alike, 3)}
            details = {name: value for name, value in prediction.details.items() if not (reuses and name == "error")}
            value = match.target if reuses else prediction.value
            prediction = replace(prediction, value=value, details={**details, "memory": known})
        if self._glossary is not None:
            found, said = self._glossary.said(source, str(prediction.value))
            counts.update(found=found, said=said)
        return prediction


class _Helped(Iterator[Any]):
    """Inputs with glossary and memory; `sources` are the texts of inputs without a prediction so far."""

    def __init__(self, inputs: Any, wished: Callable[[Any], tuple[Any, str]]):
        self._inputs: Any = iter(inputs)
        self._wished = wished
        self.sources: deque[str] = deque()

    def __next__(self) -> Any:
        item, text = self._wished(next(self._inputs))
        self.sources.append(text)
        return item


@final
class _LiveHelped(_Helped):
    """The same for inputs that arrive one by one."""

    def is_ready(self) -> bool:
        """Whether the next input is available."""
        return bool(self._inputs.is_ready())
