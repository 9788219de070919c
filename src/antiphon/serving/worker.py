"""A process that holds one model and predicts what it is sent, until its parent closes the line.

A process each, since searches hold the interpreter's lock for most of their time: threads of one process would take turns. What goes over
the line are plain values: records in, predictions as `antiphon predict` writes them into JSON lines out. So whoever serves needs no torch.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antiphon.contracts.series import SeriesFacts
from antiphon.errors import AntiphonError

if TYPE_CHECKING:
    from antiphon.contracts.sequences import Prediction
    from antiphon.prediction.predictor import Predictor


@dataclass(frozen=True)
class Card:
    """What is known of a model that is served: its task, the columns that records need, and whether they are rows, sound or texts."""

    task: str
    columns: tuple[str, ...]
    is_table: bool
    hears: bool
    sample_rate: int | None
    search: Mapping[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)
    """What else the task says of itself (`contracts/abilities.py`, `Describes`)."""
    series: SeriesFacts | None = None
    """How series are given to a model that forecasts."""

    def count(self, records: Sequence[Mapping[str, Any]]) -> int:
        """How many predictions there will be: one for each record, or for each series where records are rows."""
        if self.series is None or self.series.wide:
            return len(records)
        return 1 if self.series.id is None else len({str(record.get(self.series.id)) for record in records})


@dataclass(frozen=True)
class Asked:
    """Records of one request, with search settings that differ from the run's, and whether words are to be aligned where the model can."""

    records: Sequence[Mapping[str, Any]]
    search: Mapping[str, Any]
    aligned: bool = False
    brief: bool = False  # only what is said and its score: scores of symbols and of copies may take a pass more


Answer = list[dict[str, Any]] | str
"""The predictions for what was asked, as plain values, or a sentence that says why there are none."""


def serve(handle: int) -> None:
    """What a worker does: load the model that it is told of, say what it is, and answer lists of `Asked` one after another, until the line
    at the file descriptor `handle` is closed."""
    with Connection(handle) as line, contextlib.suppress(EOFError, ConnectionError):
        run, overrides, trust_code = line.recv()
        try:
            from antiphon.prediction.loading import load

            predictor = load([Path(one) for one in run], overrides=overrides, trust_code=trust_code)
        except AntiphonError as error:
            line.send(str(error))
            return
        line.send(card_of(predictor))
        known: dict[str, Predictor] = {}
        while True:
            line.send(answers(predictor, line.recv(), known))


def card_of(predictor: "Predictor") -> Card:
    """What a client may want to know of a model."""
    from antiphon.contracts.abilities import Describes, Forecasts, Hears, Tabular
    from antiphon.contracts.configuration import plain

    task = predictor.task
    return Card(
        task.name,
        tuple(task.source_columns),
        isinstance(task, Tabular),
        isinstance(task, Hears),
        getattr(task.source_spec, "sample_rate", None),
        plain(predictor.recipe.search),
        about=task.about() if isinstance(task, Describes) else {},
        series=task.series_facts() if isinstance(task, Forecasts) else None,
    )


def answers(predictor: "Predictor", asked: Sequence[Asked], known: dict[str, "Predictor"]) -> list[Answer]:
    """What is said of several requests; those with the same search settings are predicted together, unless their records are rows."""
    from antiphon.contracts.abilities import Tabular

    found: dict[int, Answer] = {}
    groups: dict[str, list[int]] = {}
    for number, one in enumerate(asked):
        alone = f"{number} " if isinstance(predictor.task, Tabular) else ""
        groups.setdefault(alone + repr((one.aligned, one.brief, sorted(one.search.items()))), []).append(number)
    for numbers in groups.values():
        records = [record for number in numbers for record in asked[number].records]
        try:
            first = asked[numbers[0]]
            said = iter(_predicted(_searching(predictor, first.search, known), records, first))
        except AntiphonError as error:
            found.update(dict.fromkeys(numbers, str(error)))
            continue
        for number in numbers:
            found[number] = list(said) if len(numbers) == 1 else [next(said) for _ in asked[number].records]
    return [found[number] for number in range(len(asked))]


def _searching(predictor: "Predictor", search: Mapping[str, Any], known: dict[str, "Predictor"]) -> "Predictor":
    if not search:
        return predictor
    name = repr(sorted(search.items()))
    if name not in known:
        if len(known) >= 64:  # whoever asks for ever new settings must not fill the memory
            known.clear()
        known[name] = predictor.with_search(search)
    return known[name]


def _predicted(predictor: "Predictor", records: Sequence[Mapping[str, Any]], asked: Asked) -> list[dict[str, Any]]:
    from antiphon.contracts.abilities import Tabular
    from antiphon.prediction.writers import as_plain
    from antiphon.serving.linked_words import with_links

    table = isinstance(predictor.task, Tabular)
    predictions = (predictor.without_copies() if asked.brief else predictor).predict(list(records), on_error="keep")
    if asked.brief and not table:
        plain = [_brief(one) for one in predictions]
    else:
        plain = [as_plain(one, {} if table else record, predictor.task) for one, record in zip(predictions, records, strict=not table)]
    return with_links(predictor, records, plain) if asked.aligned else plain


def _brief(prediction: "Prediction") -> dict[str, Any]:
    """What is said, with its score, or why nothing is; and so of the alternatives."""
    score = prediction.hypothesis.score
    plain = {"prediction": prediction.value, "score": round(score, 4) if math.isfinite(score) else None}
    if "error" in prediction.details:
        plain["error"] = prediction.details["error"]
    return {**plain, "alternatives": [_brief(one) for one in prediction.alternatives]} if prediction.alternatives else plain
