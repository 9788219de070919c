"""A head split in two, so that a graph contains only the part with weights, which outputs one tensor; the rest makes the distribution of
it.

The second part is made from the head's settings alone, where there is no model.
"""

from typing import Any, final

import torch
from torch import Tensor

from antiphon.contracts.sequences import Memory, Output
from antiphon.contracts.specs import Spec
from antiphon.heads.choice import build_head
from antiphon.heads.parameters import DistributionHead
from antiphon.heads.pointer import Mixture, Pointer, over
from antiphon.heads.quantile import QuantileHead


def raw_of(output: Output) -> Tensor:
    """The output of the part with weights: values that are one tensor, parameters of a distribution or of quantiles, or for a head that
    copies the generator's logits followed by the gate's."""
    head = output.head
    if isinstance(head, DistributionHead | QuantileHead):
        parameters: Tensor = head.parameters_of(output.features)
        return parameters
    if isinstance(head, Mixture):
        return torch.cat(head.head(output.features), dim=-1)
    values: Tensor = output.values
    return values


@final
class RestOfHead:
    """The part of a head without weights."""

    def __init__(self, settings: Any, target: Spec):
        self._whole = build_head(settings, target, 1)

    def output(self, raw: Tensor, attention: Tensor | None, memory: Memory) -> Output:
        """The output for the result of `raw_of`."""
        if isinstance(self._whole, Pointer) and attention is not None:
            return Output(raw, over(_Apart(self._whole.size), attention, memory), attention)
        return Output(raw, self._said, attention)

    def _said(self, raw: Tensor) -> Any:
        return self._whole.make(raw) if isinstance(self._whole, DistributionHead | QuantileHead) else raw


@final
class _Apart:
    def __init__(self, size: int):
        self.size = size

    def __call__(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return features[..., :-1], features[..., -1:]
