"""Pinball loss, the mean over the quantiles given: forecasts compare only when they have the same levels."""

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.quantile_errors import pinball

plugin = ForecastMetric(
    "pinball", "pinball (quantile) loss, mean over the levels given", pinball, "error:pinball|levels:given", over="values", spread=True
)
