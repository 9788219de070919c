"""Darts' `RNNModel` and `BlockRNNModel` with LSTM cells, and its `TransformerModel`, by its own `fit`.

RNNModel is the one that compares with an encoder-decoder: a single LSTM reads the past and then, step by step, the future, so it takes as
many steps (but has half of the weights). BlockRNNModel reads the past only, and says the future at once. RNNModel cannot scale each
window: its series are scaled beforehand.
"""

from typing import Any

import numpy as np
import pandas
import torch
from darts import TimeSeries
from darts.dataprocessing.transformers import Scaler
from darts.models import BlockRNNModel, RNNModel, TransformerModel
from forecasting_options import CLIP_NORM, DIM, HEADS, HIDDEN, LAYERS, LEARNING_RATE, NEVER, options
from lightning_loop import trainer_settings
from worker import HeldLoop


def build(settings: Any, loop: HeldLoop) -> Any:
    """The model."""
    common = {
        "input_chunk_length": settings.context,
        "loss_fn": torch.nn.L1Loss(),
        "batch_size": settings.rows,
        "n_epochs": NEVER,
        "optimizer_cls": torch.optim.AdamW,
        "optimizer_kwargs": {"lr": LEARNING_RATE, "weight_decay": 0.0, "fused": True},
        "pl_trainer_kwargs": trainer_settings(loop, CLIP_NORM),
        "random_state": 1,
    }
    if settings.model == "rnn":
        return RNNModel(model="LSTM", hidden_dim=DIM, training_length=settings.context + settings.horizon, **common)
    scaled = {"output_chunk_length": settings.horizon, "use_reversible_instance_norm": {"affine": False}, **common}
    if settings.model == "block-rnn":
        return BlockRNNModel(model="LSTM", hidden_dim=DIM, n_rnn_layers=1, **scaled)
    sizes = {"d_model": DIM, "nhead": HEADS, "num_encoder_layers": LAYERS, "num_decoder_layers": LAYERS, "dim_feedforward": HIDDEN}
    return TransformerModel(dropout=0.0, **sizes, **scaled)


if __name__ == "__main__":
    chosen = options("rnn", "block-rnn", "transformer")
    torch.set_num_threads(chosen.threads)
    held = HeldLoop(chosen.updates)
    table = pandas.read_csv(chosen.data, parse_dates=["ds"])
    series = TimeSeries.from_group_dataframe(
        table, group_cols="unique_id", time_col="ds", value_cols="y", freq="MS", drop_group_cols="unique_id"
    )
    if chosen.model == "rnn":
        series = Scaler().fit_transform(series)
    build(chosen, held).fit([one.astype(np.float32) for one in series])
