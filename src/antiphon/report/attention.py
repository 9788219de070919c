"""The attention section: which source pieces each target piece attended to, for some good, typical and bad outputs; as shaded text for long
sources.

The weights come from one more pass over the model, since evaluations do not store them. The shade is relative to the largest weight of
a map: an average over many heads is spread thin, and would look like nothing on an absolute scale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float

from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Prediction
from antiphon.errors import AntiphonError, ConfigError
from antiphon.prediction.predictor import Predictor
from antiphon.prediction.scoring import group_references
from antiphon.recipe.assembly import read_given
from antiphon.recipe.splits import open_splits
from antiphon.report.heat_map import MOST_CELLS, heat_map
from antiphon.report.items import Kind, ScoredItems, orders, pick, prediction, references, source
from antiphon.report.markup import Markup, clipped, code, element, note, section
from antiphon.report.quantities import number
from antiphon.report.run_record import Plain, RunRecord
from antiphon.report.scores import score_name
from antiphon.report.source_view import source_view
from antiphon.runs.validation_records import validation_source

_EACH: dict[Kind, int] = {"best": 2, "typical": 2, "worst": 2}
_CAPTION = 80
_MOST_CHARACTERS = 160  # longer ones make maps that nobody can read, and are shown as text
_MOST_TEXT = 4000


@final
@dataclass(frozen=True)
class _Look:
    """A record to show, and the remark about it."""

    record: Record
    title: str
    stored: str | None
    references: tuple[str, ...] = ()


def attention_section(record: RunRecord, predictor: Predictor | str, scored: ScoredItems | str | None, data: Any = None) -> Markup:
    """The section on attention. `predictor` is a sentence when the model could not be loaded."""
    if isinstance(predictor, str):
        return _section(note(predictor))
    chosen = _chosen(record, predictor, scored, data)
    if isinstance(chosen, str):
        return _section(note(chosen))
    if not chosen:
        return _section(note("There is nothing to look at yet: ", code(f"antiphon evaluate {record.folder}"), " adds examples."))
    try:
        predictions = _aligned(predictor).predict([look.record for look in chosen], on_error="keep")
    except ConfigError as error:
        reason = str(error).split(". ")[0].rstrip(".")
        return _section(note(f"This model gives no attention weights, so there is nothing to draw ({reason})."))
    except AntiphonError as error:
        return _section(note(f"There are no attention maps: {error}"))
    maps_are_text = any(map(_is_long, predictions))
    maps = [_figure(look, one, as_text=maps_are_text) for look, one in zip(chosen, predictions, strict=True)]
    drawn = [one for one in maps if one is not None]
    if not drawn:
        return _section(note("This model gives no attention weights, so there is nothing to draw."))
    meaning = _OF_TEXT if maps_are_text else _OF_MAPS
    return _section(note(meaning), element("div", {"class": "cards" if maps_are_text else "maps"}, *drawn))


_OF_MAPS = (
    "Each row is a piece of the output, each column a piece of the source. The stronger a cell's colour, the more the model looked at that"
    " source piece when it predicted the row's. Attention shows where information was taken from, not why."
)
_OF_TEXT = (
    "The stronger a word of the source is shaded, the more the model looked at it for the whole output. Underlined: copied, in the source"
    " and in the output, where the model copies. Attention shows where information was taken from, not why."
)


def _is_long(found: Prediction) -> bool:
    """Whether a source is too long for a map."""
    weights = found.hypothesis.alignment
    return weights is not None and weights.shape[1] > 2 * MOST_CELLS


def _section(*parts: Markup) -> Markup:
    return section("attention", "Attention", *parts)


def _aligned(predictor: Predictor) -> Predictor:
    """The same model with a search that gives alignments: its own, or greedy search where that one does not."""
    if hasattr(predictor.recipe.search, "alignment"):
        return predictor.with_search({"alignment": True})
    return predictor.with_search({"name": "greedy", "alignment": True})


def _figure(look: _Look, found: Prediction, *, as_text: bool) -> Markup | None:
    weights = found.hypothesis.alignment
    if weights is None or not weights.size:
        return None
    if as_text:
        return _shaded(look, found, weights)
    pieces = [list(found.details.get(key) or ()) for key in ("source_pieces", "target_pieces")]
    columns, rows = (_named(labels, length) for labels, length in zip(pieces, reversed(weights.shape), strict=True))
    changed = "" if look.stored is None or look.stored == str(found.value) else " The output now differs from that in the evaluation."
    said, more = clipped(str(found.value), _CAPTION)
    caption = f"{look.title}: {said}{more}. Strongest: {number(float(np.max(weights)), 2)}.{changed}"
    return heat_map(_clean(weights), rows, columns, caption)


def _shaded(look: _Look, found: Prediction, weights: np.ndarray) -> Markup:
    pieces = [list(found.details.get(key) or ()) for key in ("source_pieces", "target_pieces")]
    copied = [(float(one["probability"]), int(one["position"])) for one in found.details.get("copied") or ()]
    source_pieces, target_pieces = (_named(own, length) for own, length in zip(pieces, reversed(weights.shape), strict=True))
    return source_view(_clean(weights), source_pieces, target_pieces, copied, f"{look.title}.", look.references)


def _clean(weights: np.ndarray) -> Float[np.ndarray, "T S"]:
    return np.nan_to_num(np.asarray(weights, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0).clip(0.0, None)


def _named(labels: Sequence[str], length: int) -> list[str]:
    """A label for each position; the number of the position where the task has no names (a series, frames of audio)."""
    return [str(label) for label in labels] if len(labels) == length else [str(position + 1) for position in range(length)]


def _chosen(record: RunRecord, predictor: Predictor, scored: ScoredItems | str | None, data: Any) -> list[_Look] | str:
    """The records to show: items of the evaluation, or the validation samples; or a sentence why there are none."""
    if not isinstance(scored, ScoredItems):
        if len(predictor.task.source_columns) > 1:
            return []
        samples = record.of_kind("sample")[-sum(_EACH.values()) :]
        column = predictor.task.source_columns[0]
        return [_Look({column: str(one["source"])}, "Validation sample", None) for one in samples if one.get("source")]

    numbered = _short_enough(scored, _MOST_CHARACTERS) or _short_enough(scored, _MOST_TEXT)
    if not numbered:
        return f"No item is shorter than {_MOST_TEXT:,} characters."
    records = _records(predictor, scored, [index for _, index in numbered], record, data)
    if records is None:
        return "The records of the evaluation cannot be read again, and this task needs more than the source text of each."
    looks = []
    for one, (kind, index) in zip(records, numbered, strict=True):
        score = f"{score_name(scored.metric.name)} {number(scored.values[index].item())}"
        title = f"{kind.capitalize()} (item {scored.numbers[index] + 1:,}, {score})"
        looks.append(_Look(one, title, prediction(scored.items[index]), tuple(references(scored.items[index])[:1])))
    return looks


def _short_enough(scored: ScoredItems, most: int) -> list[tuple[Kind, int]]:
    """Items of each kind whose source and output have at most `most` characters; none when hardly any item is that short."""

    def short(item: Plain) -> bool:
        return 0 < len(source(item)) <= most and 0 < len(prediction(item)) <= most

    if sum(map(short, scored.items)) < min(len(scored.items), 20) / 2:
        return []
    fitting = {kind: [index for index in order if short(scored.items[index])] for kind, order in orders(scored).items()}
    return [(kind, index) for kind, indices in pick(fitting, _EACH).items() for index in indices]


def _records(predictor: Predictor, scored: ScoredItems, indices: Sequence[int], record: RunRecord, data: Any) -> list[Record] | None:
    """The records behind items. With one column it is the source itself; more columns (tags) are read again from the evaluated data."""
    columns = predictor.task.source_columns
    if len(columns) == 1:
        return [{columns[0]: source(scored.items[index])} for index in indices]
    evaluated = evaluated_data(predictor, record) if data is None else data
    if evaluated is None:
        return None
    try:
        records = [one for _, one in read_given(evaluated, predictor.task, with_targets=True)()]
    except AntiphonError:
        return None
    pairs = group_references(predictor.task, records, alternatives=predictor.recipe.evaluation.alternatives)
    if len(pairs) != scored.total:
        return None
    found = [pairs[scored.numbers[index]][0] for index in indices]
    same = [str(predictor.task.source_of(one)) == source(scored.items[index]) for one, index in zip(found, indices, strict=True)]
    return found if all(same) else None


def evaluated_data(predictor: Predictor, record: RunRecord) -> Any:
    """The data of the newest evaluation: the recipe's test data if it used these, or its validation data, else a file that still exists.

    None where there is none of these, or what was held out of the training data cannot be held out again.
    """
    name = record.evaluations[0].data
    test = record.setting("data.test")
    try:
        if name == "validation" and not Path(name).exists():
            return validation_source(predictor.recipe, predictor.task)
        if isinstance(test, int):
            return open_splits(predictor.recipe, predictor.task)["test"].whole if name == "test" else _there(name)
    except AntiphonError:
        return None
    files = [str(file.get("path") or file.get("source")) for file in test or () if isinstance(file, Mapping)]
    if files and ", ".join(files) == name:
        return predictor.recipe.data.test
    return _there(name)


def _there(name: str) -> str | None:
    return name if Path(name).is_file() else None
