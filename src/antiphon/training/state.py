"""The tensors of training: weights, their moving average, the optimizer's. What a checkpoint holds of them, and how they come back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import final

import torch

from antiphon.contracts.model import Seq2SeqModel
from antiphon.errors import CheckpointError
from antiphon.store import checkpoint
from antiphon.training.average import MovingAverage
from antiphon.training.optimizers import load_optimizer, optimizer_tensors
from antiphon.training.progress import Progress, progress_from

PROGRESS, OPTIMIZER, TRAINED = "progress.json", "optimizer.safetensors", "weights.safetensors"


@final
class TrainingState:
    """A model that is trained, with its optimizer and the moving average, if there is one. `save_features` writes what the task fitted."""

    def __init__(
        self,
        model: Seq2SeqModel,
        optimizer: torch.optim.Optimizer,
        average: MovingAverage | None,
        save_features: Callable[[Path], None],
        device: torch.device,
    ):
        self.model, self.optimizer, self.average, self.device = model, optimizer, average, device
        self.save_features = save_features

    @contextmanager
    def usable(self) -> Iterator[Seq2SeqModel]:
        """Within it the model has the weights that will be used: the moving average, if there is one."""
        if self.average is not None:
            self.average.swap(self.model)
        try:
            yield self.model
        finally:
            if self.average is not None:
                self.average.swap(self.model)

    def load(self, saved: checkpoint.Checkpoint) -> Progress:
        """Take over a checkpoint; returns where training stood. Raises CheckpointError when it holds no training state."""
        if not (saved.training / PROGRESS).is_file():
            raise CheckpointError(f"{saved.folder} cannot be resumed: it holds no training state. Use `training.init_from` instead.")
        load_optimizer(self.optimizer, self._names(), checkpoint.read_tensors(saved.training / OPTIMIZER))
        weights = saved.weights()
        if self.average is not None:
            self.average.tensors = {name: weights[name].to(self.device) for name in self.average.tensors}
            weights = {**weights, **checkpoint.read_tensors(saved.training / TRAINED)}
        self.model.load_state_dict({name: weights[name] for name in self._untied()}, strict=False)
        return progress_from(checkpoint.read_json(saved.training / PROGRESS))

    def write_features(self, folder: Path) -> None:
        """Write what the task fitted into a checkpoint."""
        (folder / checkpoint.FEATURES).mkdir()
        self.save_features(folder / checkpoint.FEATURES)

    def write_training(self, folder: Path, progress: Progress) -> None:
        """Write what only resuming needs into a checkpoint; called while the model has its usable weights."""
        training = folder / checkpoint.TRAINING
        training.mkdir()
        checkpoint.write_json(training / PROGRESS, asdict(progress))
        checkpoint.write_tensors(training / OPTIMIZER, optimizer_tensors(self.optimizer, self._names()))
        if self.average is not None:
            checkpoint.write_tensors(training / TRAINED, self.average.tensors)  # meanwhile these are the trained weights

    def _untied(self) -> list[str]:
        """Every tensor that a checkpoint holds under its first name; tied ones have several."""
        kept = self.model.own_weights().keys()  # without buffers that are computed anew
        return [name for name, _ in (*self.model.named_parameters(), *self.model.named_buffers()) if name in kept]

    def _names(self) -> dict[int, str]:
        return {id(parameter): name for name, parameter in self.model.named_parameters()}
