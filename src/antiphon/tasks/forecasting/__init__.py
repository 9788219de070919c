"""Forecasting: predicts the future of a series from its past."""

from antiphon.contracts.task import TaskPlugin
from antiphon.tasks.forecasting.config import ForecastingConfig
from antiphon.tasks.forecasting.draft import draft
from antiphon.tasks.forecasting.task import Forecasting
from antiphon.tasks.forecasting.template import TEMPLATE, recipe_defaults

plugin = TaskPlugin(
    name="forecasting",
    summary="Series of real numbers: past in, future out.",
    Config=ForecastingConfig,
    build=Forecasting,
    metrics=("mase", "smape", "rmse"),
    template=TEMPLATE,
    defaults=recipe_defaults,
    draft=draft,
)
