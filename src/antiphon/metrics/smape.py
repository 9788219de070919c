"""Symmetric mean absolute percentage error (sMAPE) as in the M3 and M4 competitions: 0 to 200 percent, the mean of one mean per series."""

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.point_errors import symmetric_percentage

plugin = ForecastMetric("smape", "sMAPE, percent (0 to 200)", symmetric_percentage, "error:symmetric_percentage", over="items")
