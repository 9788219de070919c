"""A step of the Transformer's decoder for ONNX Runtime, in which each layer looks back with one operator that also keeps what is new.

    step     last, position, beams, ancestors, what was kept, the memory  -> what is said, [weights over the source], what is kept

Of each row R = B * W and each layer, the keys and values (R, H, T, K) of what was said are kept, one step behind the other. `ancestors`
(B, W, T) says which of its source's hypotheses said each step of what a hypothesis says: re-ordering hypotheses re-orders these numbers
alone. The operator, DecoderMaskedMultiHeadAttention of ONNX Runtime, writes what is new to where the caller has the rest
(`engines/rows_state.py`), and does in one what `exporters/attention_step.py` needs fifteen operators for.

Unusual here: the caller gives the same memory as input and as output. So these graphs are only for engines that are bound to memory.
"""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from antiphon.contracts.model import StepwiseModel
from antiphon.exporters.attention_step import AttentionStep, sizes_of
from antiphon.layers.attention import Rotation
from antiphon.layers.positions import rotate
from antiphon.layers.transformer_decoder import TransformerDecoder
from antiphon.layers.transformer_layers import DecoderLayer

_OPERATOR = "com.microsoft::DecoderMaskedMultiHeadAttention"


def can_write_in_place(decoder: TransformerDecoder) -> bool:
    """Whether the operator does what such a decoder does: every head has keys of its own, and no bias for distances."""
    return decoder.settings.heads == sizes_of(decoder)[1] and decoder.positioned.bias is None


@final
class InPlaceStep(nn.Module):
    """One step of all hypotheses, as `AttentionStep`; only for tracing, since torch has no such operator."""

    def __init__(self, model: StepwiseModel, decoder: TransformerDecoder, *, apart: bool = False):
        super().__init__()
        self.step = AttentionStep(model, decoder, apart=apart)
        _, self.heads, self.width = sizes_of(decoder)

    def forward(
        self,
        last: Tensor,
        position: Int[Tensor, "1"],
        beams: Int[Tensor, "1"],
        ancestors: Int[Tensor, "B W T"],
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        """(said (B, W, ...), [attention (B, W, S)], of each layer the keys and values (R, H, T, K) with the new ones).

        `tensors` are the keys and values of each layer, and behind them the memory, where there is one to read: its mask, what is hidden,
        and keys and values of its states.
        """
        count = 2 * len(self.step.layers)
        kept, memory = tensors[:count], tensors[count:]
        place = position.to(torch.int32)
        rotation = self.step.rotation(position)
        found: list[Tensor] = []

        def back(index: int, layer: DecoderLayer, y: Float[Tensor, "B W D"]) -> Float[Tensor, "B W D"]:
            mixed, *now = self._look_back(self.step.own[index](y), kept[2 * index : 2 * index + 2], place, beams, ancestors, rotation)
            found.extend(now)
            return self.step.mixed(layer, mixed.view_as(y))

        return (*self.step.through(last, position, memory, back), *found)

    def _look_back(
        self,
        made: Float[Tensor, "B W 3D"],
        kept: tuple[Tensor, ...],
        place: Tensor,
        beams: Tensor,
        ancestors: Tensor,
        rotation: Rotation | None,
    ) -> tuple[Tensor, ...]:
        """(What is seen (R, 1, D), keys and values with the new ones)."""
        queries, keys, values = made.reshape(-1, 1, made.shape[2]).chunk(3, dim=-1)
        if rotation is not None:
            queries, keys = (rotate(one.unflatten(-1, (-1, self.width)), *rotation).flatten(2) for one in (queries, keys))
        return tuple(
            torch.onnx.ops.symbolic_multi_out(
                _OPERATOR,
                [queries, keys, values, None, None, *kept, place, beams, ancestors],
                {"num_heads": self.heads, "past_present_share_buffer": 1, "scale": 1.0},  # which is in the weights
                dtypes=[made.dtype] * 3,
                shapes=[queries.shape, *(one.shape for one in kept)],
                version=1,
            )
        )
