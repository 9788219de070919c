"""Calibrated prediction intervals: split conformal calibration on validation windows, separately for each step of the horizon.

For two levels around the middle, say 0.1 and 0.9, how far a value lies outside of its interval (less than 0: inside) is measured on n
windows that training has not seen, and the interval is widened on both sides by the ceil((n + 1) 0.8)-th smallest of these distances:
conformalized quantile regression (Romano et al. 2019). A point forecast counts as an interval of no width, which is the method of
Stankeviciute et al. 2021 with each step at its own level. If windows are exchangeable, a new value is covered with at least 80 percent.

Unusual here:
- Distances are divided by the scale of their window, since series of different sizes share the windows to calibrate on.
- Where intervals would cross, the outer one is widened to hold the inner one, never the other way round: no coverage is lost.
- Margins know no limits: what a value cannot be, such as a negative count, the task cuts off afterwards. No coverage is lost by it.
- Where a level has no counterpart on the other side (or is the median), it is left as it is.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from antiphon.errors import CheckpointError, ConfigError, DataError
from antiphon.metrics.forecasts import Actual, Forecast
from antiphon.store.atomic import replacing
from antiphon.store.json_text import json_text

_TOLERANCE = 1e-9  # levels are decimal fractions
_FORMAT = 1
CALIBRATION = "calibration.json"


@dataclass(frozen=True)
class Calibration:
    """How far to widen each interval: margins (H, C, I) in units of a window's scale, for `percents` (I,), narrow to wide. The forecasts
    that they were measured on were averaged with those of the baselines in `combine`."""

    percents: tuple[float, ...]
    margins: Float[np.ndarray, "H C I"]
    combine: tuple[str, ...] = ()

    def apply(self, forecast: Forecast, scale: Float[np.ndarray, " C"]) -> Forecast:
        """The forecast with calibrated quantiles; `scale` (C,) is the scale of its window. A point forecast gets quantiles.

        Raises DataError when the forecast has more steps or other channels than were calibrated, or has not the levels.
        """
        steps, channels, _ = self.margins.shape
        if len(forecast.point) > steps or forecast.point.shape[1] != channels:
            raise DataError(
                f"The intervals were calibrated for {steps} steps of {channels} channels, but the forecast of series `{forecast.unique_id}`"
                f" has the shape {forecast.point.shape}. Set `task.intervals: []` to do without."
            )
        if forecast.quantiles is None:
            forecast = _degenerate(forecast, self.percents)
        assert forecast.quantiles is not None, "it has just been given some"
        quantiles = np.array(forecast.quantiles, dtype=np.float64)
        margins = self.margins[: len(quantiles)] * scale[:, None]
        for number, percent in enumerate(self.percents):
            low, high = _places(forecast, percent)
            quantiles[..., low] -= margins[..., number]
            quantiles[..., high] += margins[..., number]
        return replace(forecast, quantiles=_nested(quantiles, forecast.levels))

    def save(self, path: Path) -> None:
        """Write the margins as JSON."""
        plain = {"format": _FORMAT, "percents": list(self.percents), "margins": self.margins.tolist(), "combine": list(self.combine)}
        with replacing(path) as file:
            file.write(json_text(plain))


def load_calibration(path: Path) -> Calibration:
    """Read what `save` wrote. Raises CheckpointError when it is missing or damaged."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["format"] != _FORMAT:
            raise CheckpointError(f"The calibration in {path} must be of format {_FORMAT}, but is of {plain['format']}. Update Antiphon.")
        percents, margins = tuple(map(float, plain["percents"])), np.array(plain["margins"], dtype=np.float64)
        combine = tuple(map(str, plain.get("combine", ())))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"The calibration in {path} cannot be read: {error}.") from error
    if margins.ndim != 3 or margins.shape[2] != len(percents) or not np.isfinite(margins).all():
        raise CheckpointError(f"The calibration in {path} is damaged: its margins do not fit its intervals. Calibrate again.")
    return Calibration(percents, margins, combine)


def calibrate(
    forecasts: Sequence[Forecast],
    actuals: Sequence[Actual],
    scales: Sequence[Float[np.ndarray, " C"]],
    percents: Sequence[float] = (),
) -> Calibration:
    """Measure how far to widen the intervals, on windows that were not used in training.

    `scales[i]` (C,) is what window i is measured in; missing values do not count. `percents` are the central intervals to calibrate, with
    all narrower ones that the forecasts' levels make: one that is left as it is would hold a wider one open. Without them it is all that
    the levels make; forecasts without quantiles need them.

    Raises DataError when there are no windows, when shapes differ, or when too few windows are observed for the widest interval, and
    ConfigError when there is no interval to calibrate.
    """
    if not forecasts or not len(forecasts) == len(actuals) == len(scales):
        raise DataError(
            f"Calibration needs as many forecasts as actuals and scales, but has {len(forecasts)}, {len(actuals)}, {len(scales)}."
        )
    widest = max(percents, default=100.0)
    percents = tuple(sorted({*percents, *(own for own in _intervals(forecasts[0].levels) if own <= widest)}))
    if not percents or not 0 < percents[0] <= percents[-1] < 100:
        raise ConfigError(f"There must be intervals to calibrate, between 0 and 100 percent, but they are {list(percents)}.")
    distances = np.stack([_distances(*window, percents) for window in zip(forecasts, actuals, scales, strict=True)])  # (N, H, C, I)
    return Calibration(percents, np.stack([_margins(distances[..., i], percent) for i, percent in enumerate(percents)], axis=-1))


def _distances(
    forecast: Forecast, actual: Actual, scale: Float[np.ndarray, " C"], percents: tuple[float, ...]
) -> Float[np.ndarray, "H C I"]:
    """How far values lie outside of their intervals, in units of the window's scale; NaN for missing values."""
    if forecast.point.shape != actual.values.shape:
        raise DataError(
            f"The forecast of series `{forecast.unique_id}` must have the shape of what happened {actual.values.shape},"
            f" but has {forecast.point.shape}."
        )
    if not (scale > 0).all():
        raise DataError(f"The scale of series `{forecast.unique_id}` must be positive to calibrate, but is {scale.tolist()}.")
    forecast = forecast if forecast.quantiles is not None else _degenerate(forecast, percents)
    found = []
    for percent in percents:
        low, high = _places(forecast, percent)
        assert forecast.quantiles is not None, "it has been given some"
        found.append(np.maximum(forecast.quantiles[..., low] - actual.values, actual.values - forecast.quantiles[..., high]))
    return np.asarray(np.stack(found, axis=-1) / scale[:, None])


def _margins(distances: Float[np.ndarray, "N H C"], percent: float) -> Float[np.ndarray, "H C"]:
    """The ceil((n + 1) percent)-th smallest distance of each step and channel, out of the n observed there."""
    ordered = np.sort(distances, axis=0)  # NaN last
    counts = (~np.isnan(ordered)).sum(axis=0)
    ranks = np.ceil((counts + 1) * percent / 100 - _TOLERANCE).astype(np.int64)
    if (ranks > counts).any():
        step = int(np.argwhere(ranks > counts)[0][0])
        needed = math.ceil(percent / (100 - percent) - _TOLERANCE)
        raise DataError(
            f"To calibrate the {percent:g} % interval at least {needed} windows must be observed at each step, but at step {step + 1} it is"
            f" {int(counts.min())}. Give more validation data, or calibrate narrower intervals."
        )
    return np.asarray(np.take_along_axis(ordered, np.maximum(ranks - 1, 0)[None], axis=0)[0])


def _intervals(levels: tuple[float, ...]) -> list[float]:
    """The central intervals, in percent, both of whose levels exist."""
    return [
        round(100 - 200 * low, 6) for low in levels if low < 0.5 - _TOLERANCE and any(abs(1 - low - high) < _TOLERANCE for high in levels)
    ]


def _places(forecast: Forecast, percent: float) -> tuple[int, int]:
    """The indices of the two levels of a central interval."""
    places = []
    for wanted in (0.5 - percent / 200, 0.5 + percent / 200):
        near = [place for place, level in enumerate(forecast.levels) if abs(level - wanted) < 1e-7]
        if not near:
            raise DataError(
                f"To calibrate the {percent:g} % interval, the forecast of series `{forecast.unique_id}` must have the level {wanted:g},"
                f" but it has {', '.join(f'{level:g}' for level in forecast.levels)}. Set `levels` of the head or the search."
            )
        places.append(near[0])
    return places[0], places[1]


def _degenerate(forecast: Forecast, percents: tuple[float, ...]) -> Forecast:
    """A point forecast with quantiles that all equal the point."""
    sides = [0.5 - percent / 200 for percent in reversed(percents)]
    levels = (*sides, 0.5, *(1 - low for low in reversed(sides)))
    return replace(
        forecast, quantiles=np.repeat(forecast.point[..., None], len(levels), axis=-1), levels=tuple(round(x, 9) for x in levels)
    )


def _nested(quantiles: Float[np.ndarray, "H C Q"], levels: tuple[float, ...]) -> Float[np.ndarray, "H C Q"]:
    """Quantiles in order, by moving crossing ones outwards: upwards above the median, downwards below it."""
    upper = next((place for place, level in enumerate(levels) if level >= 0.5 - _TOLERANCE), len(levels))
    above = np.maximum.accumulate(quantiles[..., upper:], axis=-1)
    # Nothing above the middle may stand below it, so the lower half starts from the least of the upper one.
    first = above[..., :1] if above.shape[-1] else np.full((*quantiles.shape[:-1], 1), np.inf)
    below = np.minimum.accumulate(np.concatenate([first, quantiles[..., :upper][..., ::-1]], axis=-1), axis=-1)[..., 1:]
    return np.concatenate([below[..., ::-1], above], axis=-1)
