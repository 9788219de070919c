"""Mean absolute error (MAE) over all values: series with large values dominate."""

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.point_errors import absolute

plugin = ForecastMetric("mae", "MAE: mean absolute error, in the units of the data", absolute, "error:absolute", over="values")
