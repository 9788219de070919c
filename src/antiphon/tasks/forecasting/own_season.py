"""Finds the season that is subtracted from each window when the recipe leaves it to the data (`scaling: {name: last, season: auto}`)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from antiphon.data.series import SeriesReader
from antiphon.features.frequency import Frequency
from antiphon.features.season_search import find_season
from antiphon.tasks.forecasting.config import ForecastingConfig

KEY = "window_season"  # in what a task stores


def found(
    settings: ForecastingConfig, reader: SeriesReader, frequency: Frequency, notes: tuple[str, ...]
) -> tuple[ForecastingConfig, dict[str, Any], tuple[str, ...]]:
    """The settings with the season of the first target, what to store of it, and the notes with the finding; all unchanged where the
    settings give a season."""
    if settings.scaling.season != "auto":
        return settings, {}, notes
    season = find_season((series.targets[:, 0] for series in reader), settings.season or frequency.season, frequency.words)
    said = f"season {season.steps} is taken off each window" if season.steps else "no season is taken off"
    return _with(settings, season.steps), {KEY: season.steps}, (*notes, f"By `scaling.season: auto` {said}: {season.reason}.")


def restored(settings: ForecastingConfig, saved: Mapping[str, Any]) -> tuple[ForecastingConfig, dict[str, Any]]:
    """The settings with the season that was found when the task was fitted, and what to store of it."""
    if settings.scaling.season != "auto":
        return settings, {}
    return _with(settings, saved.get(KEY)), {KEY: saved.get(KEY)}


def _with(settings: ForecastingConfig, steps: int | None) -> ForecastingConfig:
    return replace(settings, scaling=replace(settings.scaling, season=steps))
