"""Tensors of time series -> rows of a table, as a run reads them, and forecasts -> tensors.

Each column of numbers is a tensor [steps] or [series, steps]: those that are forecast or known for the past alone as long as the past,
those that are known in advance longer by the horizon. NaN is a missing value. The column of times has the first time of each series.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from antiphon.contracts.series import SeriesFacts
from antiphon.serving.refused import RefusedError
from antiphon.serving.series_requests import times_from
from antiphon.serving.tensor_records import check_names, check_sizes
from antiphon.serving.tensors import Tensor, numbers, texts

_LARGEST = 1e300


def tables_of(facts: SeriesFacts, tensors: Sequence[Tensor]) -> Iterator[list[dict[str, Any]]]:
    """The rows of all series as one table, or one table for each series where rows do not name theirs.

    Raises RefusedError for inputs that the model does not read, or of other shapes.
    """
    if facts.wide:
        raise RefusedError(400, "This model reads a column for each series, which this protocol has no place for. Ask it by /v1/predict.")
    given = {tensor.name: tensor for tensor in tensors}
    needed = (*facts.targets, *facts.past, *facts.known, *facts.static)
    check_names(given, (*needed, facts.time), needed=needed)
    values = {name: _values(given[name]) for name in (*facts.targets, *facts.past, *facts.known)}
    marks = {name: texts(given[name]) for name in (*facts.static, facts.time) if name in given}
    check_sizes({**{name: len(one) for name, one in values.items()}, **{name: len(one) for name, one in marks.items()}})
    count, steps = values[facts.targets[0]].shape
    for name, array in values.items():
        wanted = steps + (facts.horizon if name in facts.known else 0)
        if array.shape[1] != wanted:
            raise RefusedError(400, f"`{name}` must have {wanted} steps, but has {array.shape[1]}.")
    if not count or not steps:
        raise RefusedError(400, "A series must have at least one step.")
    table = list[dict[str, Any]]()
    for series in range(count):
        if facts.id is None and table:
            yield table
            table = []
        start = marks[facts.time][series] if facts.time in marks else None
        times = times_from(start, facts, steps + (facts.horizon if facts.known else 0), f"Series {series + 1}")
        same = {**({} if facts.id is None else {facts.id: series + 1}), **{name: marks[name][series] for name in facts.static}}
        table += _rows({name: array[series].tolist() for name, array in values.items()}, facts, times, same)
    yield table


def _rows(columns: Mapping[str, list[float]], facts: SeriesFacts, times: Sequence[Any], same: Mapping[str, Any]) -> list[dict[str, Any]]:
    if any(values[-1] != values[-1] for name, values in columns.items() if name in facts.targets):
        raise RefusedError(400, "The last value of a series must not be missing: what follows it could not be told.")

    def at(values: list[float], step: int) -> float | None:
        return None if step >= len(values) or values[step] != values[step] else values[step]

    return [{**same, facts.time: times[step], **{name: at(values, step) for name, values in columns.items()}} for step in range(len(times))]


def _values(tensor: Tensor) -> "np.ndarray":
    if len(tensor.shape) > 2:
        raise RefusedError(400, f"`{tensor.name}` must have the shape [steps] or [series, steps], but has {list(tensor.shape)}.")
    values = numbers(tensor)
    if (np.abs(values) > _LARGEST).any():
        raise RefusedError(400, f"`{tensor.name}` must have numbers that are not infinite.")
    return values[None] if values.ndim == 1 else values


def forecasts_as_tensors(facts: SeriesFacts, said: Sequence[Mapping[str, Any]]) -> list[Tensor]:
    """Each column of the forecasts, (series, horizon): points under the names of the forecast columns, and quantiles beside them."""
    tables = [one["prediction"] for one in said]
    names = [name for name in tables[0][0] if name not in (facts.id, facts.time)]
    values = {name: [[np.nan if row[name] is None else row[name] for row in table] for table in tables] for name in names}
    return [Tensor(name, "FP64", (len(tables), len(tables[0])), np.array(one, dtype=np.float64)) for name, one in values.items()]
