"""Weights in half precision with master copies in single precision (Micikevicius et al. 2018).

The model's own parameters are the masters: they are what the optimizer changes, averages and checkpoints hold. While gradients are made,
each parameter is bfloat16, rounded from its master; each micro-batch's gradients are then added up in single precision. So vectors
between layers are bfloat16, too, where autocast, which rounds the inputs of products alone, goes back and forth at every layer.

Unusual here: a parameter stays the same object throughout, and only what it holds is exchanged. So tied weights stay tied, and whoever
keeps a parameter keeps the right one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

import torch
from torch import nn

# Kernels that want weights in single precision beside inputs of either kind, or all of their tensors in one.
_WHOLE = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm, nn.RNNBase)


@final
class HalfWeights:
    """The parameters of a model that are exchanged for half-precision ones: all in single precision, except for norms and recurrent
    layers."""

    def __init__(self, model: nn.Module):
        whole = {id(parameter) for module in model.modules() if isinstance(module, _WHOLE) for parameter in module.parameters()}
        self.parameters = [one for one in model.parameters() if one.dtype == torch.float32 and id(one) not in whole]

    @contextmanager
    def exchanged(self) -> Iterator[None]:
        """A context in which the parameters are rounded; at its end their gradients, in single precision, are added to the earlier ones."""
        masters = [parameter.data for parameter in self.parameters]
        before = [parameter.grad for parameter in self.parameters]
        for parameter in self.parameters:
            parameter.grad = None
            parameter.data = parameter.data.bfloat16()
        try:
            yield
        finally:
            for parameter, master, sum_before in zip(self.parameters, masters, before, strict=True):
                gradient, parameter.grad = parameter.grad, None
                parameter.data = master
                more = None if gradient is None else gradient.float()
                parameter.grad = more if sum_before is None else sum_before if more is None else sum_before.add_(more)
