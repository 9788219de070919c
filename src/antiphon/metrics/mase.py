"""Mean absolute scaled error (MASE; Hyndman and Koehler 2006): 1 means as good as seasonal naive forecasts were within the history.

Series whose history repeats itself exactly, or is no longer than one step, give nothing to divide by and do not count; `left_out`
counts their values."""

from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.point_errors import scaled_absolute

plugin = ForecastMetric(
    "mase", "MASE: absolute error per seasonal naive error in the history", scaled_absolute, "error:scaled_absolute", over="items"
)
