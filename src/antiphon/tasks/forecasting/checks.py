"""Checks of series for training and evaluation, and their errors."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from antiphon.data.series import Series
from antiphon.data.windows import Plan
from antiphon.errors import ConfigError, DataError
from antiphon.features.scaling import out_of_range
from antiphon.tasks.forecasting.config import ForecastingConfig
from antiphon.tasks.forecasting.series_rows import SeriesRecords


def check_values(series: Series, settings: ForecastingConfig, shown: Callable[[int], str]) -> None:
    """Raise DataError for values that the settings do not allow; `shown` formats a time."""
    bad, wanted = out_of_range(settings.transform, series.targets), ""
    if bad.any():
        limit = "from 0 on" if settings.transform.name == "log1p" else "above 0"
        wanted = f"{limit} for `task.transform: {settings.transform.name}`"
    elif settings.counts:
        bad = (series.targets < 0) | (series.targets % 1 > 0)
        wanted = "whole numbers from 0 when `task.counts` is set"
    if bad.any():
        step, channel = (int(place[0]) for place in np.nonzero(bad))
        raise DataError(
            f"Series `{series.unique_id}` must have values {wanted}, but `{settings.targets[channel]}` is"
            f" {series.targets[step, channel]:g} at {shown(series.times[step])}."
        )


def scored_origins(series: Series, settings: ForecastingConfig, context: int) -> list[int]:
    """The origins of the backtest. Raises DataError for a series that is too short for one."""
    shortest = settings.shortest_context or context
    plan = Plan(context, shortest, settings.horizon, settings.origin_step, settings.backtest.windows)
    count = int(plan.count(np.array([len(series)]))[0])
    if count == 0:
        raise DataError(
            f"Series `{series.unique_id}` must have {shortest + settings.horizon} steps to be scored (a context of {shortest} and a horizon"
            f" of {settings.horizon}), but has {len(series)}. Leave it out, or lower `task.shortest_context`."
        )
    return [plan.origin(len(series), count, number) for number in range(count)]


def fewer_windows(items: Sequence[Mapping[str, Any]], settings: ForecastingConfig) -> list[str]:
    """A sentence when series are scored on fewer windows than the backtest asks for."""
    asked, windows = settings.backtest.windows, Counter(str(item["unique_id"]) for item in items)
    fewer = [name for name, count in windows.items() if count < asked]
    if not fewer:
        return []
    first = windows[fewer[0]]
    return [
        f"{len(fewer):,} of {len(windows):,} series are too short for the {asked:,} windows that `task.backtest.windows` asks for, and are"
        f" scored on fewer (first `{fewer[0]}`: {first:,}): {len(items):,} forecasts in all."
    ]


def unused_rows(count: int, horizon: int) -> str:
    """A remark on a series whose known future is longer than the horizon."""
    rows = "1 row" if count == 1 else f"{count:,} rows"
    return f"{rows} of the future behind the horizon are not forecast: `task.horizon` is {horizon:,}."


def check_horizon(settings: ForecastingConfig, horizon: int, learned: int) -> None:
    """Raises ConfigError when the horizon is longer than that of a trained model which decodes all steps at once."""
    if settings.decoding == "direct" and horizon > learned:
        raise ConfigError(
            f"`task.horizon` must be at most {learned}, which the model was trained for, when `task.decoding` is direct, but is {horizon}."
        )


def too_few_held_out(whole: SeriesRecords, wanted: int, settings: ForecastingConfig) -> ConfigError:
    """The error when fewer steps are held out than are scored: the horizon, if no series is that long."""
    table = whole.table()
    longest = int((table.stops - table.starts).max(initial=0))
    if settings.horizon >= longest:
        return ConfigError(
            f"`task.horizon` must be shorter than the series, of which the longest has {longest:,} steps, but is {settings.horizon:,}."
        )
    return ConfigError(
        f"`data.validation` must hold out at least the {settings.held_out} steps that `task.horizon` and `task.backtest` score, but is"
        f" {wanted}."
    )
