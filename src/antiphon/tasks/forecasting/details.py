"""Details about forecasts beside their scores: errors by step and by series, coverage, and forecasts to plot.

All of it is plain values for JSON, in which None stands for what is no finite number:

    channels    names of the targets; `season` and `horizon` in steps; `items` how many forecasts there are
    steps       counts (H,): forecasts that have an actual value at each step; counted: metric -> (H,) those of them that count for it;
                errors: metric -> "model" or a baseline -> (H,)
    series      errors of the model by series, over all its windows, the hardest first (see `_by_series`)
    coverage    for each central interval that the levels make: how much it promises, and what it holds (see `_coverage`)
    forecasts   some forecasts with the end of their history, from the best to the worst (see `_drawn`)

Unusual: series and forecasts are ranked by MASE, which is the same for series of all sizes; where no history gives anything to divide
by, sMAPE takes its place, then MAE. What has no value by that metric is counted, not ranked.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from antiphon.contracts import registry
from antiphon.data.series import Series
from antiphon.metrics.breakdown import Breakdown, breakdown
from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.forecasts import Actual, Forecast
from antiphon.tasks.forecasting.baselines import baseline_forecasts

METRICS = ("mase", "smape", "mae")
MOST_WORST, MOST_BEST, MOST_UNRANKED = 200, 10, 20
MOST_DRAWN, MOST_HISTORY = 12, 600
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_TOLERANCE = 1e-7  # levels are decimal fractions

Write = Callable[[np.ndarray], Sequence[object]]
"""Times (T,) as the data writes them."""


def forecast_details(
    windows: Sequence[tuple[Series, int]],
    forecasts: Sequence[Forecast],
    actuals: Sequence[Actual],
    baselines: Mapping[str, Sequence[Forecast]],
    *,
    channels: Sequence[str],
    season: int,
    write: Write,
) -> dict[str, Any]:
    """Details of forecasts for windows: (series, number of steps before the first forecast one). Raises the DataErrors of the metrics."""
    references = [[actual] for actual in actuals]
    metrics: dict[str, ForecastMetric] = {name: registry.find("metrics", name) for name in METRICS}
    said = {"model": forecasts, **baselines}
    parts = {name: {who: breakdown(metric, what, references) for who, what in said.items()} for name, metric in metrics.items()}
    defined = {name: found for name, found in parts.items() if np.isfinite(found["model"].steps).any()}
    ranking = next(iter(defined), METRICS[-1])
    return {
        "channels": list(channels),
        "season": season,
        "horizon": max(len(forecast.point) for forecast in forecasts),
        "items": len(forecasts),
        "steps": {
            "counts": parts["mae"]["model"].counts.tolist(),
            "counted": {name: own["model"].counts.tolist() for name, own in defined.items()},
            "errors": {name: {who: plain(found.steps) for who, found in own.items()} for name, own in defined.items()},
        },
        "series": _by_series(defined, ranking, forecasts),
        "coverage": _coverage(forecasts, actuals, channels),
        "forecasts": _drawn(windows, forecasts, actuals, baselines, metrics[ranking], channels=channels, season=season, write=write),
    }


def plain(values: np.ndarray) -> Any:
    """Nested lists with None in place of numbers that are not finite."""
    found = np.asarray(values, dtype=np.float64).astype(object)
    found[~np.isfinite(values)] = None
    return found.tolist()


# --------------------------------------------------------------------------------------------------------------- by series


def _by_series(parts: Mapping[str, Mapping[str, Breakdown]], ranking: str, forecasts: Sequence[Forecast]) -> dict[str, Any]:
    """The model's errors by series.

    metric         what series are ranked by; `quantiles` of it over all series
    total          series; `unranked` of them have no value by the metric, and `unranked_first` names some
    better_than    share of the ranked series in which the model has less error than a baseline
    worst, best    at most so many of either, each with its errors and those of the baselines by the metric; none is in both
    left_out       ranked series in neither
    """
    windows: dict[Hashable, int] = {}
    for forecast in forecasts:
        windows[forecast.unique_id] = windows.get(forecast.unique_id, 0) + 1
    if ranking not in parts:  # nothing at all was observed
        names = list(windows)
        return {"metric": ranking, "total": len(names), "unranked": len(names), "unranked_first": names[:MOST_UNRANKED], "worst": []}
    own = parts[ranking]["model"].series
    others = {who: found.series for who, found in parts[ranking].items() if who != "model"}
    ranked = sorted((name for name in own if np.isfinite(own[name])), key=lambda name: -own[name])
    unranked = [name for name in own if not np.isfinite(own[name])]
    best_from = max(MOST_WORST, len(ranked) - MOST_BEST)

    def row(name: Hashable) -> dict[str, Any]:
        errors = {metric: _number(found["model"].series[name]) for metric, found in parts.items()}
        return {
            "unique_id": name,
            "windows": windows[name],
            **errors,
            "baselines": {who: _number(found[name]) for who, found in others.items()},
        }

    values = np.array([own[name] for name in ranked])
    return {
        "metric": ranking,
        "total": len(own),
        "unranked": len(unranked),
        "unranked_first": unranked[:MOST_UNRANKED],
        "quantiles": {f"{100 * share:g}": float(np.quantile(values, share)) for share in _QUANTILES},
        "better_than": {who: float(np.mean([own[name] < found[name] for name in ranked])) for who, found in others.items()},
        "worst": [row(name) for name in ranked[:MOST_WORST]],
        "best": [row(name) for name in reversed(ranked[best_from:])],
        "left_out": max(0, best_from - MOST_WORST),
    }


# ---------------------------------------------------------------------------------------------------------------- coverage


def _coverage(forecasts: Sequence[Forecast], actuals: Sequence[Actual], channels: Sequence[str]) -> list[dict[str, Any]]:
    """For each central interval, narrow to wide: `nominal` and `observed` percent, the number of values, and for each channel `observed`
    and the mean `width` in its units. Empty when forecasts have no such intervals."""
    if any(forecast.quantiles is None or forecast.levels != forecasts[0].levels for forecast in forecasts):
        return []
    levels = forecasts[0].levels
    pairs = [(low, high) for low in range(len(levels)) for high in range(low + 1, len(levels)) if _opposite(levels[low], levels[high])]
    rows = []
    for low, high in sorted(pairs, reverse=True):
        inside, counts, widths = np.zeros(len(channels)), np.zeros(len(channels)), np.zeros(len(channels))
        for forecast, actual in zip(forecasts, actuals, strict=True):
            assert forecast.quantiles is not None, "forecasts without quantiles have no coverage"
            below, above, there = forecast.quantiles[..., low], forecast.quantiles[..., high], ~np.isnan(actual.values)
            inside += (there & (actual.values >= below) & (actual.values <= above)).sum(axis=0)
            widths += np.where(there, above - below, 0.0).sum(axis=0)
            counts += there.sum(axis=0)
        if not counts.any():
            return []
        observed, width = (plain(sums / np.where(counts > 0, counts, np.nan)) for sums in (100 * inside, widths))
        rows.append(
            {
                "nominal": round(100 * (levels[high] - levels[low]), 6),
                "observed": float(100 * inside.sum() / counts.sum()),
                "values": int(counts.sum()),
                "channels": [
                    {"channel": name, "observed": share, "width": mean} for name, share, mean in zip(channels, observed, width, strict=True)
                ],
            }
        )
    return rows


def _opposite(low: float, high: float) -> bool:
    return abs(low + high - 1) < _TOLERANCE


# ----------------------------------------------------------------------------------------------------------------- to draw


def _drawn(
    windows: Sequence[tuple[Series, int]],
    forecasts: Sequence[Forecast],
    actuals: Sequence[Actual],
    baselines: Mapping[str, Sequence[Forecast]],
    metric: ForecastMetric,
    *,
    channels: Sequence[str],
    season: int,
    write: Write,
) -> list[dict[str, Any]]:
    """The best and the worst forecast, and others spread evenly between them.

    metric, value, rank   what they are ranked by; rank 1 of `ranked` is the best; None where nothing can be ranked
    times                 of the horizon; `history_times` of the steps before, at most `MOST_HISTORY`, of `history_steps` that there are
    channels              by channel: history, actual, point and seasonal_naive, and quantiles (H, Q) for levels (Q,), or None
    """
    values = metric.aggregate(metric.statistics(forecasts, [[actual] for actual in actuals]))
    order = [int(place) for place in np.argsort(values, kind="stable") if np.isfinite(values[place])]
    among = order or list(range(len(forecasts)))
    places = np.unique(np.linspace(0, len(among) - 1, MOST_DRAWN).round().astype(int)).tolist()
    chosen = [among[place] for place in places]
    naive = [baselines["seasonal_naive"][index] for index in chosen] if "seasonal_naive" in baselines else None
    if naive is None:
        horizon = max(len(forecast.point) for forecast in forecasts)
        shown = [windows[index] for index in chosen]
        naive = baseline_forecasts(shown, ["seasonal_naive"], "previous", horizon, season)["seasonal_naive"]
    found = []
    for place, index, repeated in zip(places, chosen, naive, strict=True):
        (series, origin), forecast = windows[index], forecasts[index]
        begin = max(0, origin - min(MOST_HISTORY, max(2 * season, 2 * len(forecast.point))))
        found.append(
            {
                "unique_id": forecast.unique_id,
                "metric": metric.name,
                "value": _number(values[index]),
                "rank": place + 1 if order else None,
                "ranked": len(order),
                "times": [_time(time) for time in forecast.times],
                "history_times": [_time(time) for time in write(series.times[begin:origin])],
                "history_steps": origin,
                "channels": _channels(channels, series.targets[begin:origin], actuals[index].values, forecast, repeated),
            }
        )
    return found


def _channels(
    names: Sequence[str], history: Float[np.ndarray, "T C"], actual: Float[np.ndarray, "H C"], forecast: Forecast, naive: Forecast
) -> list[dict[str, Any]]:
    return [
        {
            "channel": name,
            "history": plain(history[:, channel]),
            "actual": plain(actual[:, channel]),
            "point": plain(forecast.point[:, channel]),
            "seasonal_naive": plain(naive.point[: len(forecast.point), channel]),
            "levels": list(forecast.levels) if forecast.quantiles is not None else [],
            "quantiles": None if forecast.quantiles is None else plain(forecast.quantiles[:, channel]),
        }
        for channel, name in enumerate(names)
    ]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _time(value: object) -> object:
    """A time for JSON: whole numbers stay, dates become texts."""
    return value if isinstance(value, int) else str(value)
