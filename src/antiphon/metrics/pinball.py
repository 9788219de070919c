"""Pinball loss, averaged over the forecast's quantiles: only forecasts with the same levels can be compared."""

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.quantile_errors import pinball

plugin = ForecastMetric(
    "pinball", "pinball (quantile) loss, mean over the levels given", pinball, "error:pinball|levels:given", over="values", spread=True
)
