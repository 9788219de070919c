"""Continuous ranked probability score (CRPS): of a point forecast the MAE, and less where the distribution says more."""

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.quantile_errors import continuous_ranked_probability

plugin = ForecastMetric(
    "crps",
    "CRPS of quantiles or samples, in the units of the data; of points the MAE",
    continuous_ranked_probability,
    "error:crps|from:quantiles,samples,point",
    over="values",
)
