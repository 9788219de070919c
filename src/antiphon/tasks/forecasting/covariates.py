"""Covariates of a series: numbers known for the past or in advance, calendar features, and static features.

Everything is fitted on training data: scales of numbers, categories, how times are written, and the time from one step to the next.
"""

from typing import Any, final

import numpy as np

from antiphon.contracts.series import SeriesFacts
from antiphon.data.series import Series
from antiphon.data.series_audit import Beside
from antiphon.errors import ConfigError, DataError
from antiphon.features.calendar import calendar_features, calendar_width
from antiphon.features.covariates import NumberColumns, StaticColumns
from antiphon.features.frequency import Frequency, infer_frequency, parse_frequency
from antiphon.features.times import TimeStyle
from antiphon.features.zones import wall_times
from antiphon.tasks.forecasting.config import ForecastingConfig

_REMEMBERED = 65536  # combinations of static values


@final
class Covariates:
    """Fitted channels beside the targets, and the clock that times follow."""

    def __init__(self, settings: ForecastingConfig):
        self.settings = settings
        self.numbers = NumberColumns((*settings.past, *settings.known))
        self.static = StaticColumns(settings.static, settings.categorical)
        self.style = TimeStyle()
        self.frequency = Frequency("i")
        self._in_utc = False  # as in runs of versions that knew no zones: their days and hours were those of UTC
        self._static_channels: dict[tuple[Any, ...], np.ndarray] = {}

    @property
    def width(self) -> int:
        """The number of source channels beside targets and marks."""
        return len(self.numbers.names) + calendar_width(self.settings.calendar) + self.static.width

    @property
    def known(self) -> int:
        """The number of channels that are known in advance."""
        return len(self.settings.known) + calendar_width(self.settings.calendar)

    def facts(self, horizon: int, shortest: int) -> SeriesFacts:
        """What series must look like for a forecast of `horizon` steps, which needs a history of at least `shortest` steps."""
        settings, columns = self.settings, self.settings.series_columns
        roles = (columns.id, columns.time, columns.targets, columns.past, columns.known, columns.static, columns.wide)
        return SeriesFacts(*roles, horizon, shortest, str(self.frequency), settings.time_zone, bool(settings.calendar))

    @property
    def beside(self) -> Beside:
        """The names of all channels by role, and how numbers are stored."""
        settings, static = self.settings, self.static
        return Beside(
            past=tuple(settings.past),
            known=tuple(settings.known),
            calendar=tuple(settings.calendar),
            static=tuple(settings.static),
            categories=frozenset(static.categories),
            location=self.numbers.location,
            scale=self.numbers.scale,
        )

    # ---------------------------------------------------------------------------------------------------------- fitting

    def fit_clock(self, style: TimeStyle, times: dict[str, np.ndarray]) -> None:
        """How times are written, and the frequency, which is set, or inferred from these series.

        Raises ConfigError when settings do not fit the times.
        """
        self.style = style
        if self.settings.calendar and not style.calendar:
            raise ConfigError(f"`task.calendar` needs dates, but `{self.settings.time}` holds whole numbers. Leave it out.")
        if self.settings.frequency is None:
            self.frequency = infer_frequency(list(times.values()), calendar=style.calendar, names=list(times), zone=self.zone(style))
            return
        self.frequency = parse_frequency(self.settings.frequency).at(self.zone(style))
        if self.frequency.calendar != style.calendar:
            holds = "dates" if style.calendar else "whole numbers"
            fitting = "1d" if style.calendar else "1i"
            raise ConfigError(
                f"`task.frequency` must fit the times, but is {self.frequency} and `{self.settings.time}` holds {holds}."
                f" Set one such as {fitting}, or null to infer it."
            )

    def zone(self, style: TimeStyle) -> str | None:
        """The time zone for days and hours of the calendar. Raises ConfigError when one is set although times have none."""
        if self._in_utc:
            return None
        if self.settings.time_zone is None or not style.calendar:
            return style.zone
        if style.zone is None:
            raise ConfigError(
                f"`task.time_zone` is for times with an offset from UTC, but `{self.settings.time}` has none. Leave it out: days and hours"
                " are those of the data."
            )
        return self.settings.time_zone

    def clock(self, style: TimeStyle) -> Frequency:
        """The frequency, for the kind of times. Raises DataError when they are dates but were not in training, or the other way round."""
        if style.calendar != self.style.calendar:
            kinds = ("dates", "whole numbers") if self.style.calendar else ("whole numbers", "dates")
            raise DataError(f"`{self.settings.time}` must hold {kinds[0]}, as in training, but holds {kinds[1]}.")
        return self.frequency.at(self.zone(style))

    def observe(self, series: Series) -> None:
        """Learn from a training series; call `finish` after the last."""
        self.numbers.observe(np.concatenate([series.past, series.known[: len(series)]], axis=1))
        try:
            self.static.observe(series.static)
        except DataError as error:
            raise DataError(f"Series `{series.unique_id}`: {error}") from error

    def finish(self) -> None:
        """Finish learning, after all training series."""
        self.numbers.finish()
        self.static.finish()
        self._static_channels = {}

    def to_plain(self) -> dict[str, Any]:
        """The fitted values, for JSON."""
        times: dict[str, Any] = {"kind": self.style.kind, "precision": self.style.precision, "separator": self.style.separator}
        if not self._in_utc:
            times |= {"zone": self.style.zone, "offset": self.style.offset}
        return {
            "times": times,
            "frequency": str(self.frequency),
            "numbers": self.numbers.to_plain(),
            "static": self.static.to_plain(),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Restore the values of `to_plain`."""
        self.style, self._in_utc = TimeStyle(**saved["times"]), "zone" not in saved["times"]
        self.frequency = parse_frequency(saved["frequency"]).at(None if self.style.zone is None else self.zone(self.style))
        self.numbers.restore(saved["numbers"])
        self.static.restore(saved["static"])
        self._static_channels = {}

    # --------------------------------------------------------------------------------------------------------- channels

    def channels(self, series: Series, steps: int) -> np.ndarray:
        """Past, known and calendar channels of the first `steps` steps: float32 (steps, P + K). Past ones end with the series.

        Raises DataError where what is known in advance is not there for all steps.
        """
        settings, past = self.settings, len(self.settings.past)
        there = min(steps, len(series.times))
        if settings.known and there < steps:
            lacking = [self.shown(time) for time in self.times(series, steps)[there:]]
            raise DataError(
                f"Series `{series.unique_id}` must have `{'`, `'.join(settings.known)}` for all {settings.horizon} steps after its last"
                f" value, but has none from {lacking[0]} on. Append rows with these columns and an empty target."
            )
        values = np.zeros((steps, past + len(settings.known)))
        values[: min(steps, len(series)), :past] = series.past[:steps]
        values[:, past:] = series.known[:steps] if settings.known else 0
        channels = self.numbers.apply(values)
        channels[len(series) :, :past] = 0
        if not settings.calendar:
            return channels
        local = wall_times(self.times(series, steps), self.zone(series.style or self.style))
        return np.concatenate([channels, calendar_features(local, settings.calendar)], axis=1)

    def static_of(self, series: Series) -> np.ndarray:
        """The static channels of a series, cached for each combination of values."""
        found = self._static_channels.get(series.static)
        if found is None:
            try:
                found = self.static.apply(series.static)
            except DataError as error:
                raise DataError(f"Series `{series.unique_id}`: {error}") from error
            if len(self._static_channels) < _REMEMBERED:
                self._static_channels[series.static] = found
        return found

    def times(self, series: Series, steps: int) -> np.ndarray:
        """The times of the first `steps` steps, extrapolated beyond the last row."""
        missing = steps - len(series.times)
        if missing <= 0:
            return series.times[:steps]
        following = self.clock(series.style or self.style).following(series.times, missing)
        return np.concatenate([series.times, following])

    def shown(self, time: Any) -> str:
        """A time in the format of the data."""
        return str(self.style.write(np.array([time]))[0])
