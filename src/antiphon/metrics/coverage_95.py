"""How many values lie within the 95 % interval: best at 95.

Higher counts as better only up to there: an interval that is too wide covers more. Read it beside `interval_width_95`."""

from functools import partial

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.quantile_errors import within

plugin = ForecastMetric(
    "coverage_95",
    "percent of values within the 95 % interval; best at 95",
    partial(within, percent=95),
    "error:within|interval:95",
    over="values",
    spread=True,
    higher_is_better=True,
)
