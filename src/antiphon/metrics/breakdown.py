"""Splits a forecast metric by series, and by step of the horizon.

Unusual: each part is the metric of that part alone, by the same statistics as the whole, so that a metric over values (MAE) is the mean of
its steps weighted by their counts, and no second definition can drift from the first.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from antiphon.errors import ConfigError
from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.interface import Metric
from antiphon.metrics.items import check_items


@dataclass(frozen=True)
class Breakdown:
    """A metric's values by series and by step.

    steps     (H,) the metric of the first step of all forecasts, of the second ...; NaN where nothing counts
    counts    (H,) how many forecasts have a value that counts at that step
    series    the metric of each series over all its windows, in the order in which they come
    """

    name: str
    steps: Float[np.ndarray, " H"]
    counts: Int[np.ndarray, " H"]
    series: dict[Hashable, float]


def breakdown(metric: Metric, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Breakdown:
    """The metric by series and by step. Horizons may differ: a step's value covers the forecasts that reach it.

    Raises ConfigError when the metric is not one of forecasts, and DataError as the metric itself does.
    """
    if not isinstance(metric, ForecastMetric):
        raise ConfigError(f"Only metrics of forecasts have steps, but `{metric.name}` is none.")
    check_items(predictions, references)
    horizon = max(len(prediction.point) for prediction in predictions)
    steps, counts, series = np.zeros((horizon, 2)), np.zeros(horizon, dtype=np.int64), dict[Hashable, np.ndarray]()
    for prediction, alternatives in zip(predictions, references, strict=True):
        errors = metric.errors(prediction, alternatives[0])
        series[prediction.unique_id] = series.get(prediction.unique_id, np.zeros(2)) + metric.reduce(errors)
        steps[: len(errors)] += metric.reduce(errors[:, None])  # each step is a part by itself
        counts[: len(errors)] += ~np.isnan(errors).all(axis=1)
    return Breakdown(
        metric.name, np.asarray(metric.aggregate(steps)), counts, {name: float(metric.aggregate(sums)) for name, sums in series.items()}
    )
