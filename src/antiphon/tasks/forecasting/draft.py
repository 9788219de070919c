"""Proposals for series: the roles of columns, the horizon, and a season that the data confirm.

Horizons are those of the M4 competition by frequency (Makridakis, Spiliotis and Assimakopoulos 2020), of months a year, shortened for short
series.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from antiphon.contracts.drafting import Draft, Look, Proposal
from antiphon.data.series import SeriesReader
from antiphon.errors import DataError
from antiphon.features.frequency import Frequency, infer_frequency, parse_frequency
from antiphon.features.season_search import FoundSeason, find_season
from antiphon.tasks.column_names import SERIES, TIMES, VALUES, check_asked, named, unknown
from antiphon.tasks.forecasting.config import ForecastingConfig
from antiphon.tasks.forecasting.series_rows import open_table

HORIZONS = {"y": 6, "q": 8, "w": 13, "d": 14, "b": 10, "h": 48}
SEASONS_READ = 4  # of the past: two tell a season, four how sure it is
WINDOWS = 64  # of a batch
DIMS = (32, 64, 128)
_LOOKED_AT = 2000  # series


@dataclass(frozen=True)
class _Columns:
    """The roles of columns; `others` are numeric and `static` text columns that were not requested."""

    id: str | None
    time: str
    target: str
    wide: bool
    others: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def roles(self) -> dict[str, Any]:
        return {"id": self.id, "time": self.time, "target": self.target, "format": "wide" if self.wide else "long"}


@dataclass(frozen=True)
class _Facts:
    """Facts about the series: their steps, their values, their number."""

    frequency: Frequency
    season: FoundSeason
    steps: np.ndarray
    lowest: float
    static: tuple[str, ...] = ()


def draft(look: Look) -> Draft:
    """Propose settings for forecasting."""
    columns = _columns(look)
    facts = _facts(look, columns)
    shortest = int(np.quantile(facts.steps, 0.1))
    season, (horizon, why) = facts.season, _horizon(look, facts, shortest)
    context = _context(season.steps or 1, horizon, shortest)
    settings = _column_choices(columns)
    settings |= {
        "task.horizon": Proposal(horizon, why),
        "task.context_length": Proposal(context, "the most past steps that the model reads: about four seasons"),
        "task.shortest_context": Proposal(max(1, context // 2), "the fewest, so that short series take part"),
        "task.scaling": Proposal({"name": "last", **({"season": season.steps} if season.steps else {})}, season.reason),
        "training.batching": Proposal({"target_tokens": WINDOWS * (horizon + 1)}, f"{WINDOWS} windows of the horizon and their start"),
    }
    if season.steps and season.steps != facts.frequency.season:
        settings["task.season"] = Proposal(season.steps, "scores are relative to the seasonal naive forecast")
    if facts.lowest > 0:
        settings["task.transform"] = Proposal("log", "all values are above 0: errors are then in percent, and seasons multiply")
    if facts.frequency.unit == "h" and season.steps == 24:  # the week beside the day
        settings["task.calendar"] = Proposal(["hour", "weekday"], "days of the week differ, too")
    hints = {
        name: Proposal(list(found), why)
        for name, found, why in (
            ("task.known", columns.others, "if known in advance: predicting needs rows with them"),
            ("task.static", facts.static, "one value for each series"),
        )
        if found
    }
    said = [_said(columns, facts)]
    if columns.others:
        listed = ", ".join(f"`{name}`" for name in columns.others)
        said.append(
            f"Not used: {listed}. What is known in advance (prices, promotions, holidays) helps most: name it in `task.known`; what is"
            " known of the past only, in `task.past`."
        )
    sizes = [{"dim": Proposal(dim, "{passes}")} for dim in DIMS]
    return Draft(settings=settings, models=sizes, hints=hints, said=said, held_out=horizon)


def _columns(look: Look) -> _Columns:
    asked, columns = look.asked, list(look.columns)
    time = asked.get("task.time") or _time(look)
    if time is None:
        raise unknown(look, "the times of forecasting", "time")
    check_asked(look, "time", time)
    left = [name for name in columns if name != time]
    numbers = [name for name in left if look.columns[name].is_number or name == asked.get("task.target")]
    target = asked.get("task.target") or named(numbers, VALUES)
    key = asked["task.id"] if "task.id" in asked else _id(look, [name for name in left if name != target])
    numbers = [name for name in numbers if name != key]
    if target is None and len(numbers) == 1:
        target = numbers[0]
    if target is None and key is None and len(numbers) > 1 and len(numbers) == len(left):
        return _Columns(None, time, "y", True)
    if target is None or isinstance(target, list | tuple):
        raise unknown(look, "the values of forecasting", "target")
    check_asked(look, "target", target)
    others = tuple(name for name in numbers if name != target)
    texts = tuple(name for name in left if name not in (key, target) and look.columns[name].is_text)
    return _Columns(key, time, target, False, others, texts)


def _time(look: Look) -> str | None:
    dated = [name for name, facts in look.columns.items() if facts.filled and facts.times >= 0.99 * facts.filled]
    return dated[0] if len(dated) == 1 else named(dated or [name for name, facts in look.columns.items() if facts.is_number], TIMES)


def _id(look: Look, left: list[str]) -> str | None:
    """The column that identifies the series: one with a usual name, or the only text, with fewer different values than records."""
    repeated = [name for name in left if look.columns[name].distinct < max(2, look.records // 3) and look.columns[name].times == 0]
    texts = [name for name in repeated if look.columns[name].is_text]
    return named(repeated, SERIES) or (texts[0] if len(texts) == 1 else None)


def _facts(look: Look, columns: _Columns) -> _Facts:
    """Read all series. Raises DataError where their times are not regular."""
    static = columns.texts
    settings = ForecastingConfig(horizon=1, **columns.roles)
    table = open_table(look.reopened(columns.roles), settings.series_columns, ())
    times = [np.unique(table.times[table.own(index)]) for index in range(min(len(table), _LOOKED_AT))]
    asked = look.asked.get("task.frequency")
    names = [str(name) for name in table.names[:_LOOKED_AT]]
    frequency = parse_frequency(asked) if asked else infer_frequency(times, calendar=table.style.calendar, names=names)
    reader, values = SeriesReader(table, frequency, "previous", "mean"), list[np.ndarray]()
    for index in range(len(table)):
        try:
            values.append(reader.series(index).targets[:, 0])
        except DataError:
            if len(table) == 1:
                raise
    steps = np.array([len(one) for one in values if len(one)])
    if not len(steps):
        raise DataError("There is no series whose values could be read.")
    lowest = min((float(np.nanmin(one)) for one in values if np.isfinite(one).any()), default=0.0)
    return _Facts(frequency, find_season(values, frequency.season, frequency.words), steps, lowest, static)


def _horizon(look: Look, facts: _Facts, shortest: int) -> tuple[int, str]:
    """The horizon: the requested one, or the usual one, at most a fifth of the shorter series."""
    if "task.horizon" in look.asked:
        return int(look.asked["task.horizon"]), "as asked for"
    unit = facts.frequency
    usual = facts.season.steps or 12 if unit.unit == "mo" or unit.count > 1 else HORIZONS.get(unit.unit, 12)
    most = max(1, shortest // 5)
    if usual <= most:
        return usual, f"usual for steps of one {unit.words}; set it to how far you need to see"
    return most, f"a fifth of the shorter series ({shortest:,} steps)"


def _context(season: int, horizon: int, shortest: int) -> int:
    """The context length: some seasons, at least two horizons, as far as series allow without the two horizons at their end."""
    wanted = max(SEASONS_READ * season, 2 * horizon, 8)
    return int(max(1, min(wanted, 1000, shortest - 3 * horizon)))


def _column_choices(columns: _Columns) -> dict[str, Proposal]:
    names: Mapping[str, Proposal] = {
        "task.id": Proposal(columns.id, "the column that names the series" if columns.id else "the data are one series"),
        "task.time": Proposal(columns.time, "dates or whole numbers"),
        "task.target": Proposal(columns.target, "what is forecast"),
    }
    if columns.wide:
        return {
            "task.time": names["task.time"],
            "task.format": Proposal("wide", "a column for each series"),
            "task.target": names["task.target"],
        }
    return dict(names)


def _said(columns: _Columns, facts: _Facts) -> str:
    what = "each column" if columns.wide else f"`{columns.target}`" + (f" of each `{columns.id}`" if columns.id else "")
    season = f"season {facts.season.steps}" if facts.season.steps else "no season"
    return (
        f"Learns to forecast {what}: {len(facts.steps):,} series of {int(facts.steps.min()):,} to {int(facts.steps.max()):,} steps of one"
        f" {facts.frequency.words}, {season} ({facts.season.reason})."
    )
