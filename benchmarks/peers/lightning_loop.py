"""Lightning's own training loop, which NeuralForecast and Darts use, held between turns."""

from typing import Any

import pytorch_lightning
from training_loop import parameters
from worker import HeldLoop


class Held(pytorch_lightning.Callback):  # type: ignore[misc]  # Lightning lives in another environment
    """Holds `fit` before each batch; the batch is fetched by then, and what Lightning does behind an update is done."""

    def __init__(self, loop: HeldLoop):
        self.loop = loop

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Called by Lightning."""
        self.loop.before_update(parameters(pl_module))


def trainer_settings(loop: HeldLoop, clip_norm: float) -> dict[str, Any]:
    """Settings of Lightning's trainer: on the CPU, nothing logged, shown or saved."""
    return {
        "accelerator": "cpu",
        "devices": 1,
        "callbacks": [Held(loop)],
        "gradient_clip_val": clip_norm,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
