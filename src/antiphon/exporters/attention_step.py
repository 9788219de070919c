"""A step of the Transformer's decoder in the form that engines run fastest: it appends, and nothing that was kept is copied.

    encode   values, lengths, [factors]                             -> states, mask, of each layer keys (B, G, K, S) and values (B, G, S, K)
    step     last, position, places, visible, the memory, the pool  -> what is said, [weights over the source], new keys and values

The pool of a source holds the keys (B, G, K, P) and values (B, G, P, K) of all that any of its hypotheses said. `visible` (B, 1, W, P) says
which of them a hypothesis follows: 0, or a large negative number. So re-ordering hypotheses re-orders this mask alone, and hypotheses that
begin alike share what is kept (`engines/pool_state.py`). `places` (B, P) are the steps at which each was said; all rows are at one
`position`, (1,).

Unusual here: keys lie as columns, and queries are made with the scale of attention in their weights, so that a score is one product; the W
hypotheses and the heads that share keys are rows of the same product.
"""

import copy
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.sequences import Output, Padded
from antiphon.engines.pool_state import HIDDEN
from antiphon.heads.parts import raw_of
from antiphon.heads.pointer import Pointer
from antiphon.layers.attention import KeysValues, Rotation, SelfAttention
from antiphon.layers.linear import Linear
from antiphon.layers.positions import rotate
from antiphon.layers.transformer_decoder import TransformerDecoder
from antiphon.layers.transformer_layers import DecoderLayer
from antiphon.layers.wait_k import readable


def attention_decoder(model: Seq2SeqModel) -> TransformerDecoder | None:
    """The decoder of a model that attends to what it said; None where there is no such decoder, or it does not decode by itself."""
    parts = [part for kept in vars(model).values() if isinstance(kept, tuple) for part in kept]  # a decoder whose parts are registered
    decoders = [part for part in (*parts, *model.children()) if isinstance(part, TransformerDecoder)]
    own = isinstance(model, StepwiseModel) and len(decoders) == 1 and isinstance(getattr(model, "head", None), nn.Module)
    return decoders[0] if own and decoders[0].settings.decoder == "attention" else None


def sizes_of(decoder: TransformerDecoder) -> tuple[int, int, int]:
    """Layers, heads of keys and values, and their width."""
    settings = decoder.settings
    return len(decoder.blocks), settings.key_value_heads or settings.heads, settings.dim // settings.heads


@final
class EncodeForStep(nn.Module):
    """A source to its memory, with keys and values for the decoder as a step reads them."""

    def __init__(self, model: StepwiseModel, decoder: TransformerDecoder):
        super().__init__()
        self.model, self.crosses = model, decoder.crosses

    def forward(self, values: Tensor, lengths: Tensor, factors: Tensor | None = None) -> tuple[Tensor, ...]:
        """(states, mask, keys of the first layer, its values, ...). Values of padding are 0, so that of a source without anything real a
        step learns nothing."""
        memory = self.model.project(self.model.encode(Padded(values, lengths, factors)))
        found: list[Tensor] = []
        for projected in memory.projections if self.crosses else ():
            real = memory.mask[:, None, :, None].to(projected.values.dtype)
            found += [projected.keys.transpose(-1, -2).contiguous(), (projected.values * real).contiguous()]
        return memory.states, memory.mask, *found


@final
class AttentionStep(nn.Module):
    """One step of all hypotheses: (B, W) symbols or (B, W, C) values, all at the same position."""

    def __init__(self, model: StepwiseModel, decoder: TransformerDecoder):
        super().__init__()
        self.model, self.decoder = model, decoder
        self.layers = [layer for layer in decoder.blocks if isinstance(layer, DecoderLayer)]
        _, self.groups, self.width = sizes_of(decoder)
        self.own = nn.ModuleList(_scaled(_attention(layer).query_key_value, decoder.settings.dim, self.width) for layer in self.layers)
        reading = [layer.cross for layer in self.layers if layer.cross is not None]
        self.cross = nn.ModuleList(_scaled(cross.query, decoder.settings.dim, self.width) for cross in reading)

    def forward(
        self,
        last: Tensor,
        position: Int[Tensor, "1"],
        places: Int[Tensor, "B P"],
        visible: Float[Tensor, "B 1 W P"],
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        """(said (B, W, ...), [attention (B, W, S)], of each layer the new keys (B, G, K, W) and values (B, G, W, K)).

        `tensors` are keys and values of each layer in the pool, and behind them the mask of the memory and keys and values of its states,
        where there is one to read.
        """
        pool, memory = tensors[: 2 * len(self.layers)], tensors[2 * len(self.layers) :]
        positioned = self.decoder.positioned
        x = positioned.embed(last, position)
        rotation = None if positioned.rotary is None else positioned.rotary.angles(position)
        look, own_bias = self._back(position, places, visible)
        shown = self._source(memory[0], position) if memory else None
        attention: Tensor | None = None
        new: list[Tensor] = []
        for index, layer in enumerate(self.layers):
            kept = KeysValues(pool[2 * index], pool[2 * index + 1])

            def back(y: Tensor, index: int = index, layer: DecoderLayer = layer, kept: KeysValues = kept) -> Tensor:
                found, keys, values = self._look_back(index, layer, y, kept, look, own_bias, rotation)
                new.extend((keys, values))
                return found

            x = layer.attention_residual(x, back)
            if shown is not None and layer.cross_residual is not None:
                wanted = self.model.gives_attention and index == self.decoder.aligning_layer
                weights: list[Tensor] = []

                def over(y: Tensor, index: int = index, layer: DecoderLayer = layer, weights: list[Tensor] = weights) -> Tensor:
                    found, scores = self._look_over(index, layer, y, KeysValues(memory[2 * index + 1], memory[2 * index + 2]), shown)
                    weights.append(scores)
                    return found

                x = layer.cross_residual(x, over)
                attention = self._shown(layer, weights[0], last.shape[1]) if wanted else attention
            x = layer.feed_forward_residual(x, layer.feed_forward)
        output = [self._say(self.decoder.norm(x))]
        return (*output, *new) if attention is None else (*output, attention, *new)

    def _back(self, position: Tensor, places: Tensor, visible: Tensor) -> tuple[Tensor, Tensor | None]:
        """What is added to scores over the pool, (B, 1 or G, W * H / G, P), and to those over the step itself."""
        bias, shared = self.decoder.positioned.bias, self.decoder.settings.heads // self.groups
        if bias is None:
            return (visible if shared == 1 else visible.unsqueeze(3).expand(-1, -1, -1, shared, -1).flatten(2, 3)), None
        one = (self.groups, 1, shared)  # the same for all hypotheses
        far = bias(position.expand(places.shape[0]).unsqueeze(1), places.unsqueeze(1)).squeeze(2)  # (B, H, P)
        look = visible.unsqueeze(3) + far.unflatten(1, one)  # (B, G, W, H / G, P)
        near = bias(position, position).view(1, *one, 1)
        return look.flatten(2, 3), near

    def _source(self, mask: Tensor, position: Tensor) -> Tensor:
        """What is added to scores over the memory, (B, 1, 1, S)."""
        k = self.decoder.settings.wait_k
        real = mask if k is None else readable(mask, position.expand(mask.shape[0]).unsqueeze(1), k).squeeze(1)
        return ((~real).float() * HIDDEN)[:, None, None, :]

    def _look_back(
        self,
        index: int,
        layer: DecoderLayer,
        y: Float[Tensor, "B W D"],
        pool: KeysValues,
        look: Tensor,
        own_bias: Tensor | None,
        rotation: Rotation | None,
    ) -> tuple[Float[Tensor, "B W D"], Tensor, Tensor]:
        beams, heads = y.shape[1], self.decoder.settings.heads
        parts = self.own[index](y).unflatten(-1, (-1, self.width))
        queries, keys, values = parts.split([heads, self.groups, self.groups], dim=2)  # (B, W, H or G, K)
        if rotation is not None:
            queries, keys = rotate(queries, *rotation), rotate(keys, *rotation)
        keys, values = keys.transpose(1, 2), values.transpose(1, 2)  # (B, G, W, K)
        grouped = queries.unflatten(2, (self.groups, -1)).transpose(1, 2)  # (B, G, W, H / G, K)
        own = (grouped * keys.unsqueeze(3)).sum(-1, keepdim=True)
        own = own if own_bias is None else own + own_bias
        scores = torch.cat([grouped.flatten(2, 3) @ pool.keys + look, own.flatten(2, 3)], dim=-1).softmax(-1)
        mixed = scores[..., :-1] @ pool.values
        new = scores[..., -1:].unflatten(2, (beams, -1)) * values.unsqueeze(3)
        mixed = mixed.unflatten(2, (beams, -1)) + new  # (B, G, W, H / G, K)
        return _attention(layer).out(mixed.transpose(1, 2).flatten(2)), keys.transpose(2, 3), values

    def _look_over(
        self, index: int, layer: DecoderLayer, y: Float[Tensor, "B W D"], memory: KeysValues, shown: Tensor
    ) -> tuple[Float[Tensor, "B W D"], Tensor]:
        assert layer.cross is not None, "asked only of layers that read a memory"
        grouped = self.cross[index](y).unflatten(-1, (self.groups, -1, self.width)).transpose(1, 2)  # (B, G, W, H / G, K)
        weights = (grouped.flatten(2, 3) @ memory.keys + shown).softmax(-1)
        mixed = (weights @ memory.values).unflatten(2, (y.shape[1], -1))
        return layer.cross.out(mixed.transpose(1, 2).flatten(2)), weights

    @staticmethod
    def _shown(layer: DecoderLayer, weights: Float[Tensor, "B G N S"], beams: int) -> Float[Tensor, "B W S"]:
        """The mean over the heads that are shown."""
        assert layer.cross is not None, "asked only of layers that read a memory"
        apart = weights.unflatten(2, (beams, -1)).transpose(1, 2).flatten(2, 3)  # (B, W, H, S)
        mean: Tensor = apart[:, :, : layer.cross.shown_heads].mean(2)
        return mean

    def _say(self, features: Tensor) -> Tensor:
        head = self.model.head
        if isinstance(head, Pointer):  # what it copies is for the caller to add
            return torch.cat(head(features), dim=-1)
        assert isinstance(head, nn.Module), "a decoder's head is a module"
        return raw_of(Output(features, head))


def _attention(layer: DecoderLayer) -> SelfAttention:
    assert layer.attention is not None, "asked only of decoders that attend"
    return layer.attention


@torch.no_grad()
def _scaled(linear: nn.Module, dim: int, width: int) -> nn.Module:
    """A copy of what makes queries of its first `dim` outputs, with the scale of attention in its weights."""
    if not isinstance(linear, Linear):
        raise TypeError(f"queries must be made by a linear layer, not by {type(linear).__name__}; merge adapters first")
    scaled = copy.deepcopy(linear)
    for weight in (scaled.weight, scaled.bias):
        if weight is not None:
            weight[:dim] *= width**-0.5
    return scaled
