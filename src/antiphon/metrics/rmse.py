"""Root mean squared error (RMSE): the root of the mean over all values of all series, not a mean of roots."""

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.point_errors import squared

plugin = ForecastMetric(
    "rmse", "RMSE: root of the mean squared error, in the units of the data", squared, "error:squared", over="values", root=True
)
