"""The mean width of the 95 % interval: narrower is better, as long as `coverage_95` stays near 95."""

from functools import partial

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.quantile_errors import width

plugin = ForecastMetric(
    "interval_width_95",
    "mean width of the 95 % interval, in the units of the data",
    partial(width, percent=95),
    "error:width|interval:95",
    over="values",
    spread=True,
)
