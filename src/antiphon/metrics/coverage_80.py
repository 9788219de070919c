"""Coverage of the 80 % interval: the percentage of values that lie within it; 80 is best.

Of two forecasts the one is better whose coverage is nearer to what was promised: an interval that is too wide covers more, and says less.
Read it beside `interval_width_80`.
"""

from functools import partial

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.quantile_errors import within

plugin = ForecastMetric(
    "coverage_80",
    "percent of values within the 80 % interval; best at 80",
    partial(within, percent=80),
    "error:within|interval:80",
    over="values",
    spread=True,
    target=80.0,
)
