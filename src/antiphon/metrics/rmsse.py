"""Root mean squared scaled error (RMSSE), the measure of the M5 competition: a root per series, then the mean over series.

What MASE says of series that do not count holds here too."""

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.point_errors import scaled_squared

plugin = ForecastMetric(
    "rmsse",
    "RMSSE: root of the squared error per seasonal naive squared error in the history",
    scaled_squared,
    "error:scaled_squared",
    over="items",
    root=True,
)
