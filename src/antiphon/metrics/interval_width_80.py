"""The mean width of the 80 % interval: narrower is better, as long as `coverage_80` stays near 80."""

from functools import partial

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.quantile_errors import width

plugin = ForecastMetric(
    "interval_width_80",
    "mean width of the 80 % interval, in the units of the data",
    partial(width, percent=80),
    "error:width|interval:80",
    over="values",
    spread=True,
)
