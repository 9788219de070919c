"""Averages of weights: over the steps of training (EMA), and over the last checkpoints at the end."""

from collections.abc import Mapping, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from antiphon.training.shards import local


@final
class MovingAverage:
    """An exponential moving average of a model's parameters (Polyak and Juditsky 1992), warmed up so that early steps count less.

    Frozen parameters are their own average, and are left out.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.tensors = {name: parameter.detach().clone() for name, parameter in model.named_parameters() if parameter.requires_grad}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int, skipped: Float[Tensor, ""]) -> None:
        """Move towards the weights after update number `step` (from 1), unless `skipped` is 1; the device is not waited for."""
        decay = min(self.decay, (1 + step) / (10 + step))
        parameters = dict(model.named_parameters())
        mean = [local(tensor) for tensor in self.tensors.values()]
        share = {dtype: (1 - skipped).to(dtype) * (1 - decay) for dtype in {tensor.dtype for tensor in mean}}
        now = [local(parameters[name].detach()) for name in self.tensors]
        torch._foreach_lerp_(mean, now, [share[tensor.dtype] for tensor in mean])

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Swap the model's weights and the averages."""
        parameters = dict(model.named_parameters())
        for name, tensor in self.tensors.items():
            kept = parameters[name].detach().clone()
            parameters[name].copy_(tensor)
            tensor.copy_(kept)


def mean_weights(checkpoints: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several checkpoints' tensors (Vaswani et al. 2017); integers are taken from the last one."""
    last = checkpoints[-1]
    return {
        name: torch.stack([weights[name].double() for weights in checkpoints]).mean(dim=0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in last.items()
    }
