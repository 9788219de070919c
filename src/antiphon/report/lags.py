"""The attention section of a forecasting model: which past steps each future step attended to, for the best, a middling and the worst
forecast.

Unusual: columns are lags, not dates: 0 is the last known value, -11 lies a year before the first forecast month. A model that has found
the season shows a diagonal. The weights come from one pass over the forecast itself, each step reading the point forecast before it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float

from antiphon.contracts.asking import items_of
from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Padded, pad
from antiphon.contracts.specs import ValueSpec
from antiphon.errors import AntiphonError
from antiphon.prediction.predictor import Predictor
from antiphon.recipe.assembly import read_given
from antiphon.report.attention import evaluated_data
from antiphon.report.heat_map import MOST_CELLS, heat_map
from antiphon.report.markup import Markup, clipped, code, element, note, section
from antiphon.report.quantities import number
from antiphon.report.run_record import Plain, RunRecord
from antiphon.report.scores import score_name
from antiphon.training.decoder_inputs import inputs_to_measure

_TITLES = ("Best", "Middling", "Worst")
_CAPTION = 60


@final
class _NoAttentionError(AntiphonError):
    """The model has no attention weights to show."""


def lags_section(record: RunRecord, predictor: Predictor | str, data: Any = None) -> Markup:
    """The section on attention. `predictor` is a sentence when the model could not be loaded."""
    if isinstance(predictor, str):
        return _section(note(predictor))
    drawn = record.evaluations[0].details.get("forecasts") if record.evaluations else None
    if not isinstance(drawn, list) or not drawn:
        return _section(note("There is nothing to look at yet: ", code(f"antiphon evaluate {record.folder}"), " adds forecasts."))
    chosen = [drawn[0], drawn[(len(drawn) - 1) // 2], drawn[-1]] if len(drawn) >= len(_TITLES) else drawn[:1]
    try:
        items = _items(record, predictor, [one for one in chosen if isinstance(one, Mapping)], data)
        maps = [_map(title, one, item, predictor) for title, (one, item) in zip(_TITLES, items, strict=False)]
    except _NoAttentionError:
        return _section(note("This model gives no attention weights, so there is nothing to draw."))
    except AntiphonError as error:
        return _section(note(f"There are no attention maps: {error}"))
    if not maps:
        return _section(note("The series of the evaluation cannot be read again, so there is nothing to draw."))
    meaning = note(
        "Each row is a step ahead, each column a past step: 0 is the last known value. The stronger a cell's colour, the more the model"
        " looked at that step when it predicted the row's. A model that uses the season shows a diagonal. Attention"
        " shows where information was"
        " taken from, not why."
    )
    return _section(meaning, element("div", {"class": "maps"}, *maps))


def _section(*parts: Markup) -> Markup:
    return section("attention", "Attention", *parts)


def _items(record: RunRecord, predictor: Predictor, chosen: Sequence[Plain], data: Any) -> list[tuple[Plain, Record]]:
    """The forecasts with their items, as far as these can be read again. Raises AntiphonError when the data cannot."""
    source = evaluated_data(predictor, record) if data is None else data
    if source is None:
        return []
    wanted = {(str(one.get("unique_id")), one.get("history_steps")) for one in chosen}
    found = {}
    for item in items_of(predictor.task, read_given(source, predictor.task, with_targets=True), scored=True):
        place = (str(item.get("unique_id")), item.get("origin"))
        if place in wanted:
            found[place] = item
    places = ((one, (str(one.get("unique_id")), one.get("history_steps"))) for one in chosen)
    return [(one, found[place]) for one, place in places if place in found]


def _map(title: str, one: Plain, item: Record, predictor: Predictor) -> Markup:
    weights = _weights(item, predictor)
    steps, past = weights.shape
    shown = weights[:, max(0, past - MOST_CELLS) :]
    columns = [str(lag) for lag in range(1 - shown.shape[1], 1)]
    value = one.get("value")
    score = f", {score_name(str(one.get('metric')))} {number(value, 3)}" if value is not None else ""
    name, more = clipped(str(one.get("unique_id")), _CAPTION)
    cut = f" Only the last {shown.shape[1]} of {past} past steps are shown." if shown.shape[1] < past else ""
    caption = f"{title}: {name}{more}{score}. Strongest: {number(float(weights.max()), 2)}.{cut}"
    return heat_map(shown, [f"+{step}" for step in range(1, steps + 1)], columns, caption)


@torch.inference_mode()
def _weights(item: Record, predictor: Predictor) -> Float[np.ndarray, "H S"]:
    """The attention weights of one pass with the item's own point forecast as input. Raises _NoAttentionError when the model gives none."""
    task, model, device = predictor.task, predictor.model, predictor.device
    (prediction,) = predictor.predict_items([item])
    said, known = prediction.hypothesis.elements, task.request(item).known
    assert isinstance(task.target_spec, ValueSpec), "forecasts are values"
    assert known is not None, "a forecast knows its start element"
    inputs = np.array(known, dtype=np.float32)
    inputs[1:, : task.target_spec.channels] = said[:-1]
    padded, source = (pad([array]) for array in (inputs, task.encode(item).source))
    source = Padded(source.values.to(device), source.lengths.to(device))
    padded = inputs_to_measure(predictor.recipe.training.decoder_inputs, model, Padded(padded.values.to(device), padded.lengths.to(device)))
    found = model.decode(padded, model.encode(source), attention=True).attention
    if found is None:
        raise _NoAttentionError("The model gives no attention weights.")
    weights = np.nan_to_num(found[0].float().cpu().numpy().astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    if not weights.size:
        raise _NoAttentionError("The model gives no attention weights.")
    return weights
