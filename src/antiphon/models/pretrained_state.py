"""The cache of a decoder of transformers as a state of our searches."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from antiphon.contracts.sequences import map_tensors

SaidLayer = tuple[Float[Tensor, "R H T K"], Float[Tensor, "R H T K"]]  # keys and values
SourceLayer = tuple[Float[Tensor, "R H S K"], Float[Tensor, "R H S K"]]


@dataclass(frozen=True)
class PretrainedState:
    """The decoder's cache as tensors: self-attention and cross-attention, by layer. `visible` is the source's mask for each row."""

    said: tuple[SaidLayer, ...]
    source: tuple[SourceLayer, ...]
    visible: Bool[Tensor, "R S"]
    beam_size: int

    def select_rows(self, index: Int[Tensor, " N"]) -> "PretrainedState":
        """Implements `sequences.select_rows`; the source's part is not moved when every row keeps its source."""
        said = map_tensors(lambda tensor: tensor.index_select(0, index), self.said)
        owners = torch.arange(len(self.visible), device=index.device) // self.beam_size
        if len(index) == len(owners) and torch.equal(owners[index], owners):
            return replace(self, said=said)
        source, visible = map_tensors(lambda tensor: tensor.index_select(0, index), (self.source, self.visible))
        return replace(self, said=said, source=source, visible=visible)
