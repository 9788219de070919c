"""Converts a forecast to rows of a table, in the long format in which series are read.

Columns follow Nixtla's convention: the point forecast has the target's own name, two quantiles around the middle are an interval,
`y-lo-80` and `y-hi-80`, the middle one is `y-median`, and a quantile without its counterpart is `y-q-0.3`.
"""

from collections.abc import Sequence
from typing import Any

from antiphon.metrics.forecasts import Forecast


def quantile_columns(levels: Sequence[float]) -> tuple[str, ...]:
    """The suffixes of the target's name for each level."""
    rounded = [round(level, 6) for level in levels]
    return tuple(_suffix(level, rounded) for level in rounded)


def _suffix(level: float, levels: Sequence[float]) -> str:
    if level == 0.5:
        return "-median"
    if round(1 - level, 6) not in levels:
        return f"-q-{level:g}"
    return f"-lo-{round(100 - 200 * level, 4):g}" if level < 0.5 else f"-hi-{round(200 * level - 100, 4):g}"


def forecast_rows(forecast: Forecast, id_column: str | None, time_column: str, targets: Sequence[str]) -> list[dict[str, Any]]:
    """One row for each step."""
    suffixes = quantile_columns(forecast.levels) if forecast.quantiles is not None else ()
    rows = []
    for step, time in enumerate(forecast.times):
        row: dict[str, Any] = {} if id_column is None else {id_column: forecast.unique_id}
        row[time_column] = time
        for channel, target in enumerate(targets):
            row[target] = float(forecast.point[step, channel])
            if forecast.quantiles is not None:
                values = forecast.quantiles[step, channel].tolist()
                row.update({f"{target}{suffix}": value for suffix, value in zip(suffixes, values, strict=True)})
        rows.append(row)
    return rows
