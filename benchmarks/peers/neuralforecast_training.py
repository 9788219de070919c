"""NeuralForecast's `LSTM` (an encoder with a small network on its last states) and `VanillaTransformer`, by its own `fit`.

A step takes 32 series, makes all their windows and draws the batch from them: that is how NeuralForecast works.
"""

from typing import Any

import pandas
import torch
from forecasting_options import CLIP_NORM, DIM, HEADS, HIDDEN, LAYERS, LEARNING_RATE, NEVER, options
from lightning_loop import trainer_settings
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MAE
from neuralforecast.models import LSTM, VanillaTransformer
from worker import HeldLoop


def build(settings: Any, loop: HeldLoop) -> Any:
    """The model."""
    common = {
        "h": settings.horizon,
        "input_size": settings.context,
        "loss": MAE(),
        "scaler_type": "standard",
        "max_steps": NEVER,
        "val_check_steps": NEVER,
        "windows_batch_size": settings.rows,
        "learning_rate": LEARNING_RATE,
        "optimizer": torch.optim.AdamW,
        "optimizer_kwargs": {"weight_decay": 0.0, "fused": True},
        **trainer_settings(loop, CLIP_NORM),
    }
    if settings.model == "lstm":
        return LSTM(encoder_n_layers=1, encoder_hidden_size=DIM, decoder_hidden_size=DIM, **common)
    return VanillaTransformer(
        hidden_size=DIM,
        n_head=HEADS,
        conv_hidden_size=HIDDEN,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        activation="relu",
        dropout=0.0,
        decoder_input_size_multiplier=1 / settings.context,  # the decoder reads one step of the past, as everybody's does
        **common,
    )


if __name__ == "__main__":
    chosen = options("lstm", "transformer")
    torch.set_num_threads(chosen.threads)
    held = HeldLoop(chosen.updates)
    table = pandas.read_csv(chosen.data, parse_dates=["ds"], dtype={"y": "float32"})
    NeuralForecast(models=[build(chosen, held)], freq="MS").fit(table)
