"""Mean squared error (MSE) over all values: series with large values dominate, and so do few large errors."""

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.point_errors import squared

plugin = ForecastMetric("mse", "MSE: mean squared error", squared, "error:squared", over="values")
