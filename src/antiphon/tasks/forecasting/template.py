"""The recipe that a new forecasting project starts from, and the defaults of a recipe."""

from typing import Any

from antiphon.tasks.forecasting.config import ForecastingConfig


def recipe_defaults(settings: ForecastingConfig, stepwise: bool) -> dict[str, Any]:
    """Defaults that suit the way of decoding, where a recipe does not set them."""
    if settings.decoding == "direct" or not stepwise:
        return {"search": {"name": "direct"}, "training": {"decoder_inputs": {"name": "direct"}}}
    return {"search": {"name": "rollout"}}


TEMPLATE = """\
# Forecasting: the past of many series in, their future out. Point `data` at your files, name the columns in `task`, then:
#   antiphon inspect {file}        look at the data before you train
#   antiphon train {file} --out runs/forecast
#   antiphon evaluate runs/forecast --set task.backtest.windows=3
#   antiphon predict runs/forecast --input history.csv --output forecast.csv
task:
  name: forecasting
  horizon: 12                    # steps to forecast
  context_length: 48             # the most past steps that the model reads
  shortest_context: 24           # the fewest, so that short series take part
  id: unique_id                  # column that names the series; null for a single series
  time: ds                       # dates or whole numbers
  target: y                      # or a list of columns that are forecast together
  # format: wide                 # one column for each series instead of one row
  # frequency: 1mo               # inferred from the data; 15m, 1h, 1d, 1b, 1w, 1mo, 1q, 1y, 1i
  # known: [price]               # known in advance; predicting needs rows with them behind the last value
  # past: [visitors]             # known for the past only
  # static: [region]             # one value for each series
  # calendar: [month]            # month, weekday, hour, ... as sine and cosine
  # transform: log               # for values above 0 that grow in percent; log1p from 0 on, box_cox
  scaling: {{name: last, season: auto}}  # each window without its season (that of the frequency, if the data confirm it; or a number),
                                 # relative to its last value; standard, mean, robust, min_max, none; {{name: mean, over: series}}
  missing: error                 # or previous, linear, zero
  decoding: direct               # all steps at once; or rollout: step by step, with sample paths
  # combine: [theta]             # the mean of the model's forecast and Theta's: for many short series better than both

data:
  train: train.csv               # csv, tsv, jsonl, parquet, arrow: long format (unique_id, ds, y); or tsf, GluonTS, and tables with a
                                 # series a row: {{path: m5.csv, format: series_rows, start: 2011-01-29, frequency: 1d}}
  validation: 12                 # this many steps at the end of each series are held out; or a file
  # test: test.csv               # whole series, of which the last steps are scored

model:
  name: lstm                     # or transformer: change this one word; or linear, without `dim`; or chronos_bolt, without training:
                                 # `model: {{name: chronos_bolt, path: amazon/chronos-bolt-small}}`, `training: {{max_steps: 0}}`
  dim: 64
  head: quantile                 # point, quantile, gaussian, student_t, mixture; negative_binomial for counts

training:
  max_minutes: 3                 # validations included; `antiphon inspect` says what fits into them. Or max_steps, max_epochs
  validate_every: auto           # ten times, evenly spread
  batching: {{target_tokens: 832}}   # output steps of a batch: 64 windows of a horizon of 12 (and their start)
  optimizer: {{name: adamw, learning_rate: 3e-3}}
  schedule: {{name: cosine, warmup_steps: auto}}   # rises for a tenth of the budget, then falls to 0

evaluation:
  batch_size: 64
"""
