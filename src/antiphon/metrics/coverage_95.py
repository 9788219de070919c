"""Coverage of the 95 % interval: the percentage of values that lie within it; 95 is best.

Of two forecasts the one is better whose coverage is nearer to what was promised: an interval that is too wide covers more, and says less.
Read it beside `interval_width_95`.
"""

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
    target=95.0,
)
