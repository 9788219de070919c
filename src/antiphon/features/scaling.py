"""Scales series of different sizes to a common one: a transform (log, Box-Cox), then location and scale. It is invertible, and separate for
each channel.

`over` decides what location and scale are measured on. "window" measures each context window by itself, which makes a model blind to
level (reversible instance normalization; Kim et al. 2022); "series" the history of the series; "all" the training data as a whole.

`season` first takes off what repeats within a window (`seasonal.py`); location and scale are then those of what is left.

Missing values (NaN) are left out of every measure. A constant part has no spread: its scale is 1, so that nothing is divided by zero.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from antiphon.contracts.configuration import config
from antiphon.features.seasonal import seasonal_indices

ScalingName = Literal["none", "mean", "size", "standard", "robust", "min_max", "last"]
TransformName = Literal["none", "log", "log1p", "box_cox"]


@config
class ScalingConfig:
    """Location and scale of the target."""

    name: ScalingName = "standard"
    """none; mean (divide by the mean absolute value, keeping 0 at 0); size (divide by 1 + the mean absolute value, and tell the decoder
    its logarithm, as DeepAR does); standard (mean 0, deviation 1); robust (median 0, quartiles 1 apart); min_max (from 0 to 1); last
    (relative to the last value, in deviations)."""
    over: Literal["window", "series", "all"] = "window"
    """What is measured: each window separately, the history of its series, or all training data."""
    season: Annotated[int, Field(ge=2)] | Literal["auto"] | None = None
    """Steps of a season that is measured on each window and taken off before it is scaled; null takes nothing off, and `auto` takes the
    season of the frequency, or another usual one, where the autocorrelation of most series confirms it. It is added in units of
    the transform: under `transform: log` it multiplies. The less sure a window is of its season, the less of it is taken off."""
    unit: Annotated[float, Field(gt=0)] | None = None
    """A fixed number to divide by, in place of a measured one. Under `transform: log` 0.2 makes about a fifth a unit, so that a loss counts
    errors in percent, and calm series are distinguished from volatile ones."""

    def __post_init__(self) -> None:
        if self.unit is not None and self.name == "none":
            raise ValueError("`unit` has no effect when `name` is `none`: give the data in that unit, or choose another scaling.")
        if self.unit is not None and self.over == "all":
            raise ValueError("`unit` is for a location that changes: `over` must be `window` or `series`.")
        if self.season is not None and self.over != "window":
            raise ValueError("`season` is measured on each window: `over` must be `window`.")
        if self.name == "last" and self.over != "window":
            raise ValueError("the scaling `last` is relative to the end of a window: `over` must be `window`.")


@config
class TransformConfig:
    """A transform of the target before scaling."""

    name: TransformName = "none"
    """none; log (values above 0); log1p (log(1 + x), values from 0); box_cox (values above 0; Box and Cox 1964)."""
    power: Annotated[float, Field(ge=-2, le=3)] | None = None
    """The power of box_cox; null means the most likely one for the training data."""

    def __post_init__(self) -> None:
        if self.power is not None and self.name != "box_cox":
            raise ValueError(f"`power` belongs to the transform `box_cox`, but `name` is `{self.name}`.")


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


Scaling = Annotated[ScalingConfig, BeforeValidator(_named, json_schema_input_type=ScalingConfig | ScalingName)]
Transform = Annotated[TransformConfig, BeforeValidator(_named, json_schema_input_type=TransformConfig | TransformName)]


@dataclass(frozen=True)
class Scale:
    """Location and scale of each channel, both float64 (C,), and the season to subtract first: (P, C), or None.

    Row i of the season belongs to step i, i + P, ... of the horizon; so the steps of a context have negative numbers.
    """

    location: np.ndarray
    scale: np.ndarray
    season: np.ndarray | None = None

    def apply(self, values: np.ndarray, first: int = 0) -> np.ndarray:
        """(T, C) in units of the scale; `first` is the step of the first value, counted from the horizon's start, negative in the
        context."""
        seasonless = values if self.season is None else values - self._pattern(first, values.shape)
        scaled: np.ndarray = (seasonless - self.location) / self.scale
        return scaled

    def undo(self, values: np.ndarray) -> np.ndarray:
        """(..., T, C) values of the horizon in the original units."""
        restored: np.ndarray = values * self.scale + self.location + self._pattern(0, values.shape)
        return restored

    def spread(self, values: np.ndarray) -> np.ndarray:
        """(T, C, K) numbers per channel (quantiles) of the horizon in the original units."""
        restored: np.ndarray = values * self.scale[:, None] + self.location[:, None]
        return restored if self.season is None else restored + self._pattern(0, values.shape[:-1])[..., None]

    def without_season(self) -> "Scale":
        """Only location and scale, for values at no particular step."""
        return Scale(self.location, self.scale)

    def _pattern(self, first: int, shape: tuple[int, ...]) -> np.ndarray:
        if self.season is None:
            return np.zeros(shape[-1])
        pattern: np.ndarray = self.season[(first + np.arange(shape[-2])) % len(self.season)]
        return pattern


def measure(name: str, values: np.ndarray, season: int | None = None, unit: float | None = None) -> Scale:
    """Location and scale of values (T, C) for the scaling `name`; a channel without any value gets 0 and 1.

    With `season` the season that ends with the values is taken off before, and kept in the scale; `unit` replaces the measured scale.
    """
    channels = values.shape[1]
    location, scale, size, pattern = np.zeros(channels), np.ones(channels), np.zeros(channels), None
    if season is not None:
        pattern = np.stack([seasonal_indices(column, season) for column in values.T], axis=1)
        values = values - pattern[np.arange(-len(values), 0) % season]
    if name != "none":
        for channel in range(channels):
            column = values[:, channel]
            seen = column[~np.isnan(column)]
            if len(seen):
                location[channel], scale[channel] = _measure(name, seen)
                size[channel] = np.abs(seen).max()
    scale = _positive(scale, size) if unit is None else np.full(channels, unit)
    return Scale(location, scale, pattern)


def _measure(name: str, seen: np.ndarray) -> tuple[float, float]:
    if name == "mean":
        return 0.0, float(np.abs(seen).mean())
    if name == "size":
        # The decoder is told the logarithm in single precision, and must divide by the same number.
        return 0.0, float(np.exp(np.float64(np.float32(np.log1p(np.abs(seen).mean())))))
    if name == "standard":
        return _mean_and_deviation(seen)
    if name == "robust":
        low, middle, high = np.quantile(seen, [0.25, 0.5, 0.75])
        return float(middle), float(high - low)
    if name == "min_max":
        return float(seen.min()), float(seen.max() - seen.min())
    return float(seen[-1]), _mean_and_deviation(seen)[1]


def _mean_and_deviation(seen: np.ndarray) -> tuple[float, float]:
    """The same numbers as `mean` and `std`, which for so few values spend most of their time on checks."""
    mean = np.add.reduce(seen) / len(seen)
    apart = seen - mean
    return float(mean), float(np.sqrt(np.add.reduce(apart * apart) / len(seen)))


def _positive(scale: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Scales with 1 in place of zeros, and of scales so small beside the largest value that they are only rounding errors."""
    return np.where(scale > 1e-12 * np.maximum(size, 1e-300), scale, 1.0)


def transform(settings: TransformConfig, values: np.ndarray, power: float = 1.0) -> np.ndarray:
    """Values (...) transformed. They must lie within the bound of `lowest`."""
    result: np.ndarray = values
    if settings.name == "log" or (settings.name == "box_cox" and power == 0):
        result = np.log(values)
    elif settings.name == "log1p":
        result = np.log1p(values)
    elif settings.name == "box_cox":
        result = np.expm1(power * np.log(values)) / power
    return result


def undo_transform(settings: TransformConfig, values: np.ndarray, power: float = 1.0) -> np.ndarray:
    """The inverse transform; arguments outside of the transform's range become the nearest ones within."""
    result: np.ndarray = values
    if settings.name == "log" or (settings.name == "box_cox" and power == 0):
        result = np.exp(values)
    elif settings.name == "log1p":
        result = np.expm1(values)
    elif settings.name == "box_cox":
        inside = np.maximum(power * values, -1 + 1e-12)
        result = np.exp(np.log1p(inside) / power)
    return result


def out_of_range(settings: TransformConfig, values: np.ndarray) -> np.ndarray:
    """Which values have no transform: those up to 0 for log and box_cox, those below 0 for log1p. NaN is never out of range."""
    if settings.name in ("log", "box_cox"):
        return values <= 0
    return values < 0 if settings.name == "log1p" else np.zeros(values.shape, dtype=bool)


POWERS = np.linspace(-1, 2, 61)


def power_likelihoods(values: np.ndarray) -> np.ndarray:
    """Profile log-likelihood of the Box-Cox power for one series of positive values (T,), at each of `POWERS`; to be summed over series."""
    logs = np.log(values[~np.isnan(values)])
    if len(logs) < 3 or np.ptp(logs) == 0:
        return np.zeros(len(POWERS))
    logs = logs - logs.mean()  # the same power, since a factor only shifts the likelihood; and large values cannot overflow
    settings = TransformConfig(name="box_cox")
    likelihoods = [-0.5 * len(logs) * np.log(transform(settings, np.exp(logs), float(power)).var()) for power in POWERS]
    return np.array(likelihoods)
