"""The tensors of training: weights, their moving average, the optimizer's state; written into checkpoints and restored from them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn

from antiphon.contracts.model import Seq2SeqModel
from antiphon.errors import CheckpointError
from antiphon.store import checkpoint
from antiphon.training.average import MovingAverage
from antiphon.training.distributed import Ranks
from antiphon.training.optimizers import load_optimizer, optimizer_tensors
from antiphon.training.progress import Progress, progress_from
from antiphon.training.shards import full, is_sharded, load_whole, sharded_like

PROGRESS, OPTIMIZER, TRAINED, SHARDS = "progress.json", "optimizer.safetensors", "weights.safetensors", "shards"
_TRAINED = "trained weights/"


@final
class TrainingState:
    """A model in training, with its optimizer and the moving average, if there is one. `save_features` writes what the task has fitted.

    Where weights are sharded, all processes load and write together: the optimizer's state stays in shards in the files, too.
    """

    def __init__(
        self,
        model: Seq2SeqModel,
        optimizer: torch.optim.Optimizer,
        average: MovingAverage | None,
        save_features: Callable[[Path], None],
        ranks: Ranks,
    ):
        self.model, self.optimizer, self.average, self.ranks = model, optimizer, average, ranks
        self.save_features, self.sharded = save_features, is_sharded(model)

    @contextmanager
    def usable(self) -> Iterator[Seq2SeqModel]:
        """A context in which the model has the weights that would be used: the moving average, if there is one."""
        if self.average is not None:
            self.average.swap(self.model)
        try:
            yield self.model
        finally:
            if self.average is not None:
                self.average.swap(self.model)

    @contextmanager
    def holding(self, weights: Mapping[str, Tensor]) -> Iterator[Seq2SeqModel]:
        """A context in which the model has other weights."""
        own = {name: tensor.clone() for name, tensor in self.model.own_weights().items()}
        try:
            load_whole(self.model, weights)
            yield self.model
        finally:
            self.model.load_state_dict(own, strict=False)

    def whole_weights(self) -> dict[str, Tensor]:
        """The weights for a checkpoint, without shards, on the CPU."""
        return {name: full(tensor).cpu() if self.sharded else tensor for name, tensor in self.model.own_weights().items()}

    def load(self, saved: checkpoint.Checkpoint) -> Progress:
        """Restore a checkpoint, written by any number of processes; returns the progress.

        Raises CheckpointError when it holds no training state.
        """
        training = saved.training
        if not (training / PROGRESS).is_file():
            raise CheckpointError(f"{saved.folder} cannot be resumed: it holds no training state. Use `training.init_from` instead.")
        weights = saved.weights()
        load_whole(self.model, {name: weights[name] for name in self._untied()})
        optimizer, trained = self._read_shards(training / SHARDS) if (training / SHARDS).is_dir() else self._read_whole(training)
        load_optimizer(self.optimizer, self._names(), optimizer)
        if self.average is not None:
            with torch.no_grad():
                for name, tensor in self.average.tensors.items():
                    parameter = self._parameters()[name]
                    tensor.copy_(parameter)
                    parameter.copy_(trained[name])
        return progress_from(checkpoint.read_json(training / PROGRESS))

    def write_features(self, folder: Path) -> None:
        """Write what the task has fitted into a checkpoint."""
        (folder / checkpoint.FEATURES).mkdir()
        self.save_features(folder / checkpoint.FEATURES)

    def write_training(self, folder: Path, progress: Progress) -> None:
        """Write what is only needed for resuming into a checkpoint; called while the model has the weights that would be used."""
        training = folder / checkpoint.TRAINING
        training.mkdir()
        checkpoint.write_json(training / PROGRESS, asdict(progress))
        if self.sharded:
            self.write_shards(training)
            return
        checkpoint.write_tensors(training / OPTIMIZER, optimizer_tensors(self.optimizer, self._names()))
        if self.average is not None:
            checkpoint.write_tensors(training / TRAINED, self.average.tensors)  # meanwhile these are the trained weights

    def write_shards(self, training: Path | None) -> None:
        """The part of writing a checkpoint that all processes do together; only the first one knows its folder."""
        from antiphon.training.sharded_files import write_shards

        place = next(filter(None, self.ranks.gather_plain(None if training is None else str(training))))
        trained = {} if self.average is None else {f"{_TRAINED}{name}": tensor for name, tensor in self.average.tensors.items()}
        write_shards(Path(place) / SHARDS, optimizer_tensors(self.optimizer, self._names()) | trained)

    def _read_shards(self, folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Restore the optimizer's tensors and the trained weights, sharded like the model's, or whole."""
        from antiphon.training.sharded_files import read_shards

        parameters = self._parameters()

        def place(key: str, size: torch.Size) -> Tensor:
            parameter = parameters.get(key.removeprefix(_TRAINED) if key.startswith(_TRAINED) else key.rsplit("/", 1)[0])
            return torch.zeros_like(parameter) if parameter is not None and parameter.shape == size else torch.zeros(size)

        tensors = read_shards(folder, place)
        trained = {key.removeprefix(_TRAINED): tensor for key, tensor in tensors.items() if key.startswith(_TRAINED)}
        return {key: tensor for key, tensor in tensors.items() if not key.startswith(_TRAINED)}, trained

    def _read_whole(self, training: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        parameters = self._parameters()
        optimizer = {
            key: sharded_like(parameters[name], tensor) if (name := key.rsplit("/", 1)[0]) in parameters else tensor
            for key, tensor in checkpoint.read_tensors(training / OPTIMIZER).items()
        }
        trained = checkpoint.read_tensors(training / TRAINED) if self.average is not None else {}
        return optimizer, {name: sharded_like(parameters[name], tensor) for name, tensor in trained.items()}

    def _parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.model.named_parameters())

    def _untied(self) -> list[str]:
        """Every tensor of a checkpoint under its first name; tied ones have several."""
        kept = self.model.own_weights().keys()  # without buffers that are computed anew
        return [name for name, _ in (*self.model.named_parameters(), *self.model.named_buffers()) if name in kept]

    def _names(self) -> dict[int, str]:
        return {id(parameter): name for name, parameter in self.model.named_parameters()}
