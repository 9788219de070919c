"""Compiles the layers of a model for training (`torch.compile`; Ansel et al. 2024, "PyTorch 2").

Each block (`Seq2SeqModel.blocks`) is compiled by itself, and blocks of one class share their graphs, so a deep model takes no longer to
compile than a shallow one. Sizes are symbols from the first batch on: batches of other lengths need no other graph, except that one row or
one step are cases of their own. Where a class has too many cases, torch leaves the rest uncompiled (`recompile_limit`).

Unusual here: nothing is replaced but `forward`, on the block itself, and what it does where no gradients are made is as before. So names
of weights, checkpoints, validation, decoding, and counting memory on a CPU know nothing of it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn

from antiphon.contracts.model import Seq2SeqModel
from antiphon.errors import ConfigError, TrainingError
from antiphon.training.compiler import lacks

BACKEND = "inductor"


@dataclass(frozen=True)
class Compiled:
    """The time that compiling took, in seconds, and the number of graphs compiled by this process."""

    seconds: float = 0.0
    graphs: int = 0

    @classmethod
    def so_far(cls) -> "Compiled":
        """The totals since the process began."""
        from torch._dynamo.utils import calculate_time_spent, counters

        return cls(float(calculate_time_spent()["total_wall_time"]), counters["stats"]["unique_graphs"])

    def since(self, before: "Compiled") -> "Compiled":
        """The difference from an earlier state."""
        return Compiled(self.seconds - before.seconds, self.graphs - before.graphs)


@final
class Compilation:
    """What has been compiled since this object was made, for measurements of speed and for the log."""

    def __init__(self) -> None:
        self._began = self._timed = self._said = Compiled.so_far()

    def seconds(self) -> float:
        """The time spent compiling since the last call."""
        now = Compiled.so_far()
        found, self._timed = now.since(self._timed).seconds, now
        return found

    def news(self) -> Compiled | None:
        """All that was compiled, if there is more than at the last call."""
        now = Compiled.so_far()
        more, self._said = now.graphs > self._said.graphs, now
        return now.since(self._began) if more else None


def compile_blocks(model: Seq2SeqModel, device: torch.device) -> Compilation:
    """Compile the layers of a model in place, each when it is first used in training.

    Raises ConfigError when the model has none that can be, or this machine lacks what it takes.
    """
    check_compiling(model, device)
    by_class = dict[Any, Callable[..., Any]]()
    for block in _blocks(model):
        forward = type(block).forward
        if forward not in by_class:
            by_class[forward] = torch.compile(forward, backend=BACKEND, dynamic=True)
        block.forward = _Forward(block, forward, by_class[forward])
    return Compilation()


def check_compiling(model: Seq2SeqModel, device: torch.device) -> None:
    """Raise ConfigError when a model cannot be compiled for a device."""
    if not _blocks(model):
        raise ConfigError(
            f"`training.compile` must be false for this {type(model).__name__}, which has no layers of attention of its own: recurrent ones"
            " are kernels already, and those of published models are not ours. Leave it out."
        )
    missing = lacks(device)
    if missing:
        raise ConfigError(f"`training.compile` must be false here: {missing}.")


def _blocks(model: Seq2SeqModel) -> list[nn.Module]:
    """The layers that get all their tensors as positional arguments."""
    return [block for block in model.blocks() if getattr(block, "stands_alone", False)]


@final
@dataclass(frozen=True)
class _Forward:
    """The `forward` of a layer: compiled in training, unchanged elsewhere."""

    block: nn.Module
    plain: Callable[..., Any]
    compiled: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        """Call the layer. Raises TrainingError when torch cannot compile it."""
        if not self.block.training or not torch.is_grad_enabled():
            return self.plain(self.block, *arguments)
        with compiling_said():
            return self.compiled(self.block, *arguments)


@contextmanager
def compiling_said() -> Iterator[None]:
    """A context in which failures to compile raise TrainingError; a layer's backward pass is compiled when it is first run."""
    try:
        yield
    except RuntimeError as error:
        if not any(kind.__module__ == "torch._dynamo.exc" for kind in type(error).__mro__):
            raise
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise TrainingError(f"torch cannot compile a layer of this model: {reason:.300}. Set `training.compile` to false.") from error
