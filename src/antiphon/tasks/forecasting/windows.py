"""Cuts windows from a series at an origin: what a model reads and should predict.

    source (S, ...)       C scaled targets, C observed marks (when asked for), past covariates, known covariates, static channels
    target (1 + H, ...)   row 0 is the start element: the last value, and what is known of step 1; row t is the value of step t, and
                          what is known of step t + 1 (zeros behind the last); in all rows last, under the scaling `size`, the
                          logarithms of the C sizes

Missing targets are filled from within the window, never from behind its origin; among the labels they stay NaN and do not count.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example
from antiphon.data.series import Missing, Series, fill
from antiphon.features.scaling import Scale, ScalingConfig, TransformConfig, measure, transform, undo_transform
from antiphon.features.times import TimeStyle


@dataclass(frozen=True)
class WindowContext:
    """What is needed to turn a hypothesis for a window into a forecast: the series, the H times, the scale of its values, and the format of
    times. `unused` rows of the future lie beyond the horizon. `past` is the series and its origin, for baselines that forecast it, too."""

    unique_id: Hashable
    times: np.ndarray
    scale: Scale
    unused: int = 0
    style: TimeStyle | None = None
    past: tuple[Series, int] | None = None


@final
class WindowEncoder:
    """Cuts windows and scales them; `restore` undoes the scale.

    overall   location and scale of all training data, for a scaling over "all"
    past      how many of the covariates are known for the past only; the others are known in advance
    """

    def __init__(
        self,
        scaling: ScalingConfig,
        transforming: TransformConfig,
        power: float,
        overall: Scale | None,
        missing: Missing,
        *,
        observed_mask: bool,
        context: int,
        horizon: int,
        past: int,
    ):
        self.scaling, self.transforming, self.power, self.overall = scaling, transforming, power, overall
        self.missing, self.observed_mask = missing, observed_mask
        self.context, self.horizon, self.past = context, horizon, past

    def transformed(self, values: np.ndarray) -> np.ndarray:
        """Transformed targets, before scaling."""
        return transform(self.transforming, values, self.power)

    def scale_of(self, series: Series, origin: int) -> Scale:
        """Location and scale of a window, measured only before its origin, except for the stored scale of a training series."""
        if self.scaling.over == "all" and self.overall is not None:
            return self.overall
        if self.scaling.over == "series":
            return series.scale or self.measured(series.targets[:origin])
        return self.measured(series.targets[max(0, origin - self.context) : origin])

    def measured(self, values: np.ndarray) -> Scale:
        """Location and scale of targets (T, C) in the data's units."""
        season = self.scaling.season
        assert season != "auto", "decided when the task was fitted"
        return measure(self.scaling.name, self.transformed(values), season, self.scaling.unit)

    def source(self, series: Series, covariates: np.ndarray, static: np.ndarray, origin: int, scale: Scale) -> np.ndarray:
        """The model's input: float32 (S, ...)."""
        begin = max(0, origin - self.context)
        raw = series.targets[begin:origin]
        values = scale.apply(self.transformed(fill(raw, "previous" if self.missing == "error" else self.missing)), -len(raw))
        channels, beside = values.shape[1], covariates.shape[1]
        marks = channels if self.observed_mask else 0
        source = np.empty((len(raw), channels + marks + beside + len(static)), dtype=np.float32)
        source[:, :channels] = values
        if marks:
            source[:, channels : channels + marks] = ~np.isnan(raw)
        source[:, channels + marks : channels + marks + beside] = covariates[begin:origin]
        source[:, channels + marks + beside :] = static
        return source

    def known(self, source: np.ndarray, covariates: np.ndarray, scale: Scale, origin: int, horizon: int) -> np.ndarray:
        """The decoder's input: (H, C + F) with the start element in front, known channels in all rows, and zeros for values."""
        channels, advance = len(scale.scale), covariates[origin : origin + horizon, self.past :]
        if self.scaling.name == "size":
            sizes = np.broadcast_to(np.log(scale.scale), (horizon, channels))
            advance = np.concatenate([advance, sizes.astype(np.float32)], axis=1)
        known = np.zeros((horizon, channels + advance.shape[1]), dtype=np.float32)
        known[0, :channels] = source[-1, :channels]
        known[:, channels:] = advance
        return known

    def example(self, series: Series, covariates: np.ndarray, static: np.ndarray, origin: int, number: int, times: np.ndarray) -> Example:
        """The window at `origin`; with a target where the series continues for a whole horizon. `times` are those of the horizon."""
        scale = self.scale_of(series, origin)
        source = self.source(series, covariates, static, origin, scale)
        target = None
        if len(series) >= origin + self.horizon:
            channels = series.targets.shape[1]
            known = self.known(source, covariates, scale, origin, self.horizon)
            target = np.concatenate([known, np.zeros_like(known[:1])])
            if self.scaling.name == "size":
                target[-1, -channels:] = known[-1, -channels:]
            target[1:, :channels] = scale.apply(self.transformed(series.targets[origin : origin + self.horizon]))
        unused = len(series.times) - len(series) - self.horizon if origin == len(series) else 0
        return Example(source, target, number, WindowContext(series.unique_id, times, scale, max(0, unused), series.style))

    def restore(self, values: np.ndarray, scale: Scale) -> np.ndarray:
        """Scaled values (..., H, C) in the units of the data."""
        return undo_transform(self.transforming, scale.undo(values.astype(np.float64)), self.power)

    def restore_quantiles(self, values: np.ndarray, scale: Scale) -> np.ndarray:
        """Scaled quantiles (H, C, Q) in the units of the data: transforms are increasing, so quantiles stay quantiles."""
        return undo_transform(self.transforming, scale.spread(values.astype(np.float64)), self.power)

    def log_slopes(self, example: Example) -> np.ndarray:
        """For each value of a target (H, C), the logarithm of the derivative of transform and scaling, by which log-densities differ."""
        assert example.target is not None, "there is a target to score"
        scale: Scale = example.context.scale
        scaled = example.target[1:, : len(scale.scale)]
        slopes: np.ndarray = -np.log(np.broadcast_to(scale.scale, scaled.shape))
        name = self.transforming.name
        if name == "none":
            return slopes
        values = self.restore(scaled, scale)
        power = self.power if name == "box_cox" else 0.0
        slopes += (power - 1) * (np.log1p(values) if name == "log1p" else np.log(values))
        return slopes

    def unit(self, scale: Scale) -> np.ndarray:
        """One unit of the scale in the units of the data, (C,); under a transform, the one above the location."""
        zeros, ones = np.zeros(len(scale.scale)), np.ones(len(scale.scale))
        scale = scale.without_season()
        return np.asarray(np.abs(self.restore(ones, scale) - self.restore(zeros, scale)))


def as_plain(scale: Scale | None) -> Any:
    """A scale for JSON."""
    return None if scale is None else [scale.location.tolist(), scale.scale.tolist()]


def from_plain(plain: Any) -> Scale | None:
    """The scale from the values of `as_plain`."""
    return None if plain is None else Scale(*(np.array(part, dtype=float) for part in plain))


def item_of(series: Series, covariates: np.ndarray, origin: int) -> Record:
    """A window as an item to predict, with the covariates that are known for it."""
    return {"unique_id": series.unique_id, "series": series, "covariates": covariates, "origin": origin}
