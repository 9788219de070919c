"""Root mean squared scaled error (RMSSE), the measure of the M5 competition: a root per series, then the mean over series.

Unlike MASE it knows no season: it divides by the mean squared change from step to step, from the first value on that is not zero. What
MASE says of series that do not count holds here too."""

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.point_errors import scaled_squared

plugin = ForecastMetric(
    "rmsse",
    "RMSSE of M5: root of the squared error per squared change from step to step in the history",
    scaled_squared,
    "error:scaled_squared|scale:lag1,from_first_nonzero",
    over="items",
    root=True,
)
