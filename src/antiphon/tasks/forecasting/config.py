"""The settings of forecasting: the roles of columns, how windows are cut, how values are scaled."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from antiphon.contracts.configuration import config, plugin_name
from antiphon.data.series import Duplicates, Missing
from antiphon.data.series_table import SeriesColumns
from antiphon.data.windows import Weighting
from antiphon.features.calendar import Cycle
from antiphon.features.frequency import parse_frequency
from antiphon.features.scaling import Scaling, ScalingConfig, Transform, TransformConfig
from antiphon.features.zones import check_zone

Steps = Annotated[int, Field(ge=1)]


@config
class BacktestConfig:
    """Which forecasts are scored: those from the last origins of each series (a rolling origin)."""

    windows: Steps = 1
    """The number of origins, the last of them one horizon before the end of the series."""
    step: Steps | None = None
    """Steps between two origins; null is the horizon, so that windows do not overlap."""


@config
class ForecastingConfig:
    """The roles of columns, how windows are cut, how values are scaled."""

    name: Literal["forecasting"] = "forecasting"
    """The name of this task."""
    horizon: Steps
    """Steps to forecast."""
    context_length: Steps | None = None
    """The greatest number of past steps that the model reads; null means two horizons or two seasons, whichever is longer."""
    shortest_context: Steps | None = None
    """The smallest number of past steps in a window; null means `context_length`. A smaller number includes short series."""
    id: str | None = "unique_id"
    """Column that identifies the series; null when the data is one series."""
    time: str = "ds"
    """Column with the times: whole numbers, or dates such as 1994-12 or 1994-12-31T23:00."""
    time_zone: str | None = None
    """Time zone for times with an offset from UTC, such as Europe/Berlin: days and the calendar are local. Null takes the zone of the
    times."""
    target: str | tuple[str, ...] = "y"
    """Column to forecast, or several to forecast together. In wide data the name that values get."""
    format: Literal["long", "wide"] = "long"
    """long has a row for each series and time; wide a row for each time, and a column for each series."""
    frequency: str | None = None
    """Time from one step to the next, such as 15m, 1h, 1d, 1b (business day), 1w, 1mo, 1q, 1y or 1i (integer); null infers it."""
    season: Steps | None = None
    """Steps of a season, for scores relative to the seasonal naive forecast; null means the frequency's natural one."""
    past: tuple[str, ...] = ()
    """Numeric columns that are known for the past only."""
    known: tuple[str, ...] = ()
    """Numeric columns that are known in advance: prediction needs them for the whole horizon, in rows without a target."""
    static: tuple[str, ...] = ()
    """Columns with one value per series, numbers or categories. There are no predictions for categories that are not in the training
    data."""
    categorical: tuple[str, ...] = ()
    """Columns of `static` that hold categories although they look like numbers."""
    calendar: tuple[Cycle, ...] = ()
    """Cycles of the calendar to read as sine and cosine: minute, hour, weekday, monthday, yearday, week, month, quarter."""
    scaling: Scaling = ScalingConfig()
    """How series of different sizes are scaled: none, mean, standard, robust, min_max or last; over window, series or all."""
    transform: Transform = TransformConfig()
    """A transform before scaling: none, log, log1p or box_cox. Point forecasts are those of the transformed values, transformed back."""
    counts: bool = False
    """Whether the target is a count: whole numbers from 0, as a `negative_binomial` head needs them. They are divided by the scale of their
    window (`scaling: size`), which the head knows; `scaling: none` leaves them unchanged."""
    missing: Missing = "error"
    """What replaces missing values in the inputs: an error, the previous value, linear interpolation, or zero. They never count as
    labels."""
    observed_mask: bool = False
    """Whether the model also reads which values were observed."""
    duplicates: Duplicates = "error"
    """How several rows of one series and time are combined: an error, the last of them, their mean, or the sum of their targets."""
    decoding: Literal["rollout", "direct"] = "rollout"
    """Step by step, where each step reads the one before, or all steps at once, as models without steps always do. It determines `search`
    and `training.decoder_inputs` unless these are given."""
    stride: Steps = 1
    """Steps between training windows."""
    weighting: Weighting = "windows"
    """Whether an epoch shows every window once, or the same number of windows with an equal share for each series."""
    backtest: BacktestConfig = BacktestConfig()
    """Which forecasts are scored."""
    intervals: tuple[Annotated[float, Field(gt=0, lt=100)], ...] = ()
    """Central intervals, in percent such as [80, 95], to calibrate on the validation windows at the end of training, so that they have the
    promised coverage (conformal prediction). A point head gets intervals in this way only."""
    baselines: tuple[plugin_name("baselines"), ...] = ("naive", "seasonal_naive", "linear")  # type: ignore[valid-type]
    """Methods without training whose scores are shown beside the model's (`antiphon list baselines`)."""
    combine: tuple[plugin_name("baselines"), ...] = ()  # type: ignore[valid-type]
    """Baselines whose forecasts are averaged with the model's, each with the same weight as the model; intervals are shifted with the
    point. A baseline uses only the history of the series that is forecast. No training is needed, so that it can be set for a trained run,
    too."""

    def __post_init__(self) -> None:
        if self.frequency is not None:
            parse_frequency(self.frequency)
        if self.time_zone is not None:
            check_zone(self.time_zone)
        names = [name for name in (self.id, self.time) if name is not None]
        names += [*self.targets, *self.past, *self.known, *self.static]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each column has one role, but `{twice[0]}` has two.")
        if not self.targets:
            raise ValueError("`target` must name at least one column.")
        if not set(self.categorical) <= set(self.static):
            raise ValueError(
                f"`categorical` must be columns of `static`, but `{sorted(set(self.categorical) - set(self.static))[0]}` is not."
            )
        divided = self.scaling == ScalingConfig() or replace(self.scaling, over="window") == ScalingConfig(name="size")
        if self.counts and (self.transform.name != "none" or not (divided or self.scaling == ScalingConfig(name="none"))):
            raise ValueError(
                "`counts` must stay counts: leave out `transform`, and `scaling` unless it is `none`, or `size` without `season` or `unit`."
            )
        if self.combine and self.counts:
            raise ValueError("`combine` makes averages, which are no whole numbers: leave it out where `counts` is set.")
        if len(set(self.combine)) < len(self.combine):
            raise ValueError(f"`combine` must name each baseline once, but is {list(self.combine)}.")
        if self.missing == "zero" and self.transform.name in ("log", "box_cox"):
            raise ValueError(f"`missing` cannot be zero when `transform` is {self.transform.name}, which is not defined at zero.")
        if self.format == "wide" and (self.past or self.static or len(self.targets) > 1):
            raise ValueError("wide data has no columns of a single series: leave out `past` and `static`, and name one `target`.")
        if self.context_length and self.shortest_context and self.shortest_context > self.context_length:
            raise ValueError("`shortest_context` must be at most `context_length`.")

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns that are forecast."""
        return (self.target,) if isinstance(self.target, str) else self.target

    @property
    def roles(self) -> dict[str, Any]:
        """The roles of columns, as plain values; wide data has a column for each series instead of `id` and `target`."""
        wide = self.format == "wide"
        columns = {"past": list(self.past), "known": list(self.known), "static": list(self.static)}
        return {"format": self.format, "id": None if wide else self.id, "time": self.time, "target": list(self.targets), **columns}

    @property
    def scaled(self) -> ScalingConfig:
        """The scaling in use."""
        return ScalingConfig(name="size") if self.counts and self.scaling == ScalingConfig() else self.scaling

    @property
    def sizes(self) -> int:
        """The number of target channels whose scale is an input of the decoder."""
        return len(self.targets) if self.scaled.name == "size" else 0

    @property
    def lowest(self) -> float | None:
        """The lower bound for values of the target, and so for forecasts and their intervals."""
        return 0.0 if self.counts or self.transform.name in ("log", "log1p", "box_cox") else None

    @property
    def origin_step(self) -> int:
        """The number of steps between two origins of the backtest."""
        return self.backtest.step or self.horizon

    @property
    def held_out(self) -> int:
        """The number of steps at the end of a series that the backtest scores."""
        return self.horizon + (self.backtest.windows - 1) * self.origin_step

    @property
    def series_columns(self) -> SeriesColumns:
        """The roles of columns, for reading series."""
        wide = self.format == "wide"
        return SeriesColumns(None if wide else self.id, self.time, self.targets, self.past, self.known, self.static, wide, self.time_zone)
