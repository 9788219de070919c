"""The common part of all forecast metrics: an error for each value, and one of two ways to average.

    over "values"   all values of all items count alike, and a root is taken at the end (MAE, RMSE, pinball, CRPS, coverage, width)
    over "items"    an item's mean over its steps, with its root, then over its channels; items count alike (MASE, RMSSE, sMAPE)

An item is one forecast: a series, or a window of one. Errors in the units of the data are taken over values; errors that are ratios, over
items, as the M competitions do, so that a long forecast counts no more than a short one.

Unusual: an error is NaN where it does not count (the actual value is missing, or what to divide by is zero). `left_out` counts the
second kind, so that nothing goes unseen.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, final

import numpy as np
from jaxtyping import Float

from antiphon.errors import DataError
from antiphon.metrics.forecasts import Actual, Forecast
from antiphon.metrics.interface import Metric
from antiphon.metrics.items import check_items

Error = Callable[[Forecast, Actual], Float[np.ndarray, "H C"]]


@final
class ForecastMetric(Metric):
    """The mean of an error; `root` takes the root of the mean over steps, `target` is the best mean.

    Statistics: a sum and a count, of values or of items. An item none of whose values counts adds nothing; where no value of any item
    counts, the metric is NaN.
    """

    def __init__(
        self,
        name: str,
        summary: str,
        error: Error,
        signature: str,
        *,
        over: Literal["values", "items"],
        root: bool = False,
        higher_is_better: bool = False,
        target: float | None = None,
        spread: bool = False,
    ):
        self.name, self.summary, self.target = name, summary, target
        self.higher_is_better = None if target is not None else higher_is_better
        self.signature, self.spread = f"{signature}|mean:{over}", spread
        self._error, self._over, self._root = error, over, root

    def errors(self, prediction: Forecast, actual: Actual) -> Float[np.ndarray, "H C"]:
        """The error of each value; NaN where it does not count. Raises DataError when forecast and actual values have different shapes."""
        check_forecast(prediction, actual)
        return self._error(prediction, actual)

    def statistics(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Float[np.ndarray, "N 2"]:
        """Sum and count of each item."""
        check_items(predictions, references)
        return np.stack([self.reduce(self.errors(*pair)) for pair in _pairs(predictions, references)])

    def reduce(self, errors: Float[np.ndarray, "... H C"]) -> Float[np.ndarray, "... 2"]:
        """Sum and count of one item's errors, or of the errors of some of its steps; leading axes are parts that are reduced separately."""
        counted = ~np.isnan(errors)
        sums, counts = np.where(counted, errors, 0.0).sum(axis=-2), counted.sum(axis=-2)  # (..., C)
        if self._over == "values":
            return np.stack([sums.sum(axis=-1), counts.sum(axis=-1)], axis=-1).astype(np.float64)
        means = sums / np.maximum(counts, 1)  # 0 where a channel has no value that counts
        channels = (counts > 0).sum(axis=-1)
        mean = (np.sqrt(means) if self._root else means).sum(axis=-1) / np.maximum(channels, 1)
        return np.stack([mean, channels > 0], axis=-1).astype(np.float64)

    def aggregate(self, total: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "..."]:
        """The mean."""
        sums, counts = total[..., 0], total[..., 1]
        mean = np.where(counts > 0, sums / np.where(counts > 0, counts, 1.0), np.nan)
        # Differences of sums, as in tests by swapping, may round to just below zero.
        return np.asarray(np.sqrt(np.maximum(mean, 0.0)) if self._root and self._over == "values" else mean)

    def taking_part(self, statistics: Float[np.ndarray, "N 2"]) -> int:
        """The number of items with a value that counts."""
        return int((statistics[:, 1] > 0).sum())

    def left_out(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> int:
        """The number of observed values that do not count, since the divisor of their error is zero or unknown."""
        check_items(predictions, references)
        pairs = _pairs(predictions, references)
        return sum(int((np.isnan(self.errors(said, actual)) & ~np.isnan(actual.values)).sum()) for said, actual in pairs)


def check_forecast(prediction: Forecast, actual: Actual) -> None:
    """Raise DataError unless both have the same steps and channels, and the forecast is finite."""
    if prediction.point.shape != actual.values.shape:
        raise DataError(
            f"The forecast of series `{prediction.unique_id}` must have the shape of what happened {actual.values.shape},"
            f" but has {prediction.point.shape}."
        )
    if not np.isfinite(prediction.point).all():
        raise DataError(f"The forecast of series `{prediction.unique_id}` must be finite, but is not. Has the model diverged?")


def _pairs(predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> list[tuple[Forecast, Actual]]:
    pairs: list[tuple[Forecast, Actual]] = []
    for number, (prediction, alternatives) in enumerate(zip(predictions, references, strict=True), start=1):
        if not isinstance(prediction, Forecast) or not isinstance(alternatives[0], Actual) or len(alternatives) > 1:
            raise DataError(
                f"Item {number} must be a forecast and the one future that happened, but is {prediction!r:.60} and {alternatives!r:.60}."
            )
        pairs.append((prediction, alternatives[0]))
    return pairs
