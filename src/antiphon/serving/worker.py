"""A process that holds one model and predicts the records sent to it, until its parent closes the connection.

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
from antiphon.serving.turns import Speakers, Turn, streams

if TYPE_CHECKING:
    from antiphon.contracts.sequences import Prediction
    from antiphon.prediction.predictor import Predictor


@dataclass(frozen=True)
class Card:
    """The description of a served model: its task, the columns that records need, and whether they are rows, sound or texts; the languages
    of source and target, where the run names them; and whether it can transcribe live speech, or why it cannot."""

    task: str
    columns: tuple[str, ...]
    is_table: bool
    hears: bool
    sample_rate: int | None
    search: Mapping[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)
    """Further facts from the task (`contracts/abilities.py`, `Describes`)."""
    languages: tuple[str, str] | None = None
    streams: bool = False
    why_not: str = "It does not hear."
    series: SeriesFacts | None = None
    """How series are sent to a forecasting model."""

    def count(self, records: Sequence[Mapping[str, Any]]) -> int:
        """The number of predictions: one for each record, or for each series where records are rows."""
        if self.series is None or self.series.wide:
            return len(records)
        return 1 if self.series.id is None else len({str(record.get(self.series.id)) for record in records})


@dataclass(frozen=True)
class Asked:
    """The records of one request, with search settings that differ from the run's, and further options.

    aligned   whether words are to be linked to those of the source (`word_alignment`), where the model can
    timed     whether words of speech are to have times, by whatever the search can do for that
    suffix    a format of the task's own in which predictions are written, too (`written`), such as `.srt`
    """

    records: Sequence[Mapping[str, Any]]
    search: Mapping[str, Any]
    aligned: bool = False
    timed: bool = False
    suffix: str | None = None
    brief: bool = False  # only what is said and its score: scores of symbols and of copies may take a pass more


Answer = list[dict[str, Any]] | str
"""The predictions for a request as plain values, or a sentence that says why there are none."""


def serve(handle: int) -> None:
    """The main loop of a worker: load the model it is sent, send back its description, and answer lists of `Asked`, or of messages of live
    speech sessions (`Turn`), one after another, until the connection at the file descriptor `handle` is closed."""
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
        speakers = Speakers(predictor)
        while True:
            message = line.recv()
            line.send(speakers.answers(message) if isinstance(message[0], Turn) else answers(predictor, message, known))


def card_of(predictor: "Predictor") -> Card:
    """What clients may want to know about a model."""
    from antiphon.contracts.abilities import Describes, Forecasts, Hears, Tabular
    from antiphon.contracts.configuration import plain

    task = predictor.task
    rate = getattr(predictor.recipe.task, "sample_rate", None)
    follows, why_not = streams(predictor, rate)
    languages = getattr(getattr(predictor.recipe.task, "vocabulary", None), "languages", None)
    return Card(
        task.name,
        tuple(task.source_columns),
        isinstance(task, Tabular),
        isinstance(task, Hears),
        rate,
        plain(predictor.recipe.search),
        languages=languages,
        streams=follows,
        why_not=why_not,
        about=task.about() if isinstance(task, Describes) else {},
        series=task.series_facts() if isinstance(task, Forecasts) else None,
    )


def answers(predictor: "Predictor", asked: Sequence[Asked], known: dict[str, "Predictor"]) -> list[Answer]:
    """The predictions for several requests; those with the same search settings are predicted together, unless their records are rows."""
    from antiphon.contracts.abilities import Tabular

    found: dict[int, Answer] = {}
    groups: dict[str, list[int]] = {}
    for number, one in enumerate(asked):
        alone = f"{number} " if isinstance(predictor.task, Tabular) else ""
        groups.setdefault(alone + repr((one.aligned, one.timed, one.brief, sorted(one.search.items()))), []).append(number)
    for numbers in groups.values():
        records = [record for number in numbers for record in asked[number].records]
        suffixes = [asked[number].suffix for number in numbers for _ in asked[number].records]
        try:
            first = asked[numbers[0]]
            said = iter(_predicted(_searching(predictor, first.search, known), records, suffixes, first))
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


def _predicted(
    predictor: "Predictor", records: Sequence[Mapping[str, Any]], suffixes: Sequence[str | None], asked: Asked
) -> list[dict[str, Any]]:
    from antiphon.contracts.abilities import Tabular, WritesFormats
    from antiphon.prediction.writers import as_plain
    from antiphon.serving.linked_words import with_links

    task, table = predictor.task, isinstance(predictor.task, Tabular)
    asking = predictor.without_copies() if asked.brief else predictor
    predictions = _timed(asking, records) if asked.timed else asking.predict(list(records), on_error="keep")
    if asked.brief and not table:
        plain = [_brief(one) for one in predictions]
    else:
        plain = [as_plain(one, {} if table else record, task) for one, record in zip(predictions, records, strict=not table)]
    if isinstance(task, WritesFormats) and not table:
        for one, record, prediction, suffix in zip(plain, records, predictions, suffixes, strict=True):
            if suffix is not None and "error" not in one:
                one["written"] = task.written_as(prediction, record, suffix)
    return with_links(predictor, records, plain) if asked.aligned else plain


def _timed(predictor: "Predictor", records: Sequence[Mapping[str, Any]]) -> "list[Prediction]":
    """Predictions whose words have times: from the frames of each symbol, or else from attention."""
    for search in ({"spans": True}, {"alignment": True}):
        with contextlib.suppress(AntiphonError):  # this search knows no such setting, or the model has nothing for it
            return predictor.with_search(search).predict(list(records), on_error="keep")
    return predictor.predict(list(records), on_error="keep")


def _brief(prediction: "Prediction") -> dict[str, Any]:
    """The prediction with its score, or its error; the same for its alternatives."""
    score = prediction.hypothesis.score
    plain = {"prediction": prediction.value, "score": round(score, 4) if math.isfinite(score) else None}
    if "error" in prediction.details:
        plain["error"] = prediction.details["error"]
    return {**plain, "alternatives": [_brief(one) for one in prediction.alternatives]} if prediction.alternatives else plain
