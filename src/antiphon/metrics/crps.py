"""Continuous ranked probability score (CRPS): equals the MAE for a point forecast, and is lower for a good forecast distribution."""

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.quantile_errors import continuous_ranked_probability

plugin = ForecastMetric(
    "crps",
    "CRPS of quantiles or samples, in the units of the data; of points the MAE",
    continuous_ranked_probability,
    "error:crps|from:quantiles,samples,point",
    over="values",
)
