"""A step of the Transformer's decoder in the form that engines run fastest: it appends new keys and values and never copies the earlier
ones.

    encode   values, lengths, [factors]                             -> states, mask, what is hidden, of each layer keys and values
    step     last, position, places, visible, the pool, the memory  -> what is said, [weights over the source], new keys and values

The pool of a source holds the keys (B, G, K, P) and values (B, G, P, K) of all that any of its hypotheses said. `visible` (B, 1, W, P) says
which of them a hypothesis follows: 0, or a large negative number. So re-ordering hypotheses re-orders this mask alone, and hypotheses that
begin alike share what is kept (`engines/pool_state.py`). `places` (B, P) are the steps at which each was said; all rows are at one
`position`, (1,).

Unusual here: keys lie as columns, also those of the memory, (B, G, K, S), and queries are made with the scale of attention in their
weights, so that scores are one product; the W hypotheses of a source, and the N = H / G heads that share keys, are rows of it.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import final

import torch
from jaxtyping import Bool, Float, Int
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
    """The decoder of a model with self-attention; None where there is no such decoder, or where other parts of the model take part in
    decoding."""
    parts = [part for kept in vars(model).values() if isinstance(kept, tuple) for part in kept]  # a decoder whose parts are registered
    decoders = [part for part in (*parts, *model.children()) if isinstance(part, TransformerDecoder)]
    own = isinstance(model, StepwiseModel) and len(decoders) == 1 and isinstance(getattr(model, "head", None), nn.Module)
    return decoders[0] if own and decoders[0].settings.decoder == "attention" else None


def sizes_of(decoder: TransformerDecoder) -> tuple[int, int, int]:
    """The numbers of layers and of heads of keys and values, and the width of these heads."""
    settings = decoder.settings
    return len(decoder.blocks), settings.key_value_heads or settings.heads, settings.dim // settings.heads


@final
class EncodeForStep(nn.Module):
    """Encodes a source to its memory, with keys and values for the decoder in the layout that a step reads."""

    def __init__(self, model: StepwiseModel, decoder: TransformerDecoder):
        super().__init__()
        self.model, self.crosses = model, decoder.crosses

    def forward(self, values: Tensor, lengths: Tensor, factors: Tensor | None = None) -> tuple[Tensor, ...]:
        """(states, mask, bias for scores over them (B, 1, 1, S), keys of the first layer, its values, ...). Values at padding are 0, so
        that a step gets zeros from a source that is all padding."""
        memory = self.model.project(self.model.encode(Padded(values, lengths, factors)))
        found: list[Tensor] = [_hidden(memory.mask)] if self.crosses else []
        for projected in memory.projections if self.crosses else ():
            real = memory.mask[:, None, :, None].to(projected.values.dtype)
            found += [projected.keys.transpose(-1, -2).contiguous(), (projected.values * real).contiguous()]
        return memory.states, memory.mask, *found


@final
class AttentionStep(nn.Module):
    """One step of all hypotheses: (B, W) symbols or (B, W, C) values, all at the same position. With its head `apart`, it returns
    features."""

    def __init__(self, model: StepwiseModel, decoder: TransformerDecoder, *, apart: bool = False):
        super().__init__()
        self.model, self.decoder, self.apart = model, decoder, apart
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
        """(output (B, W, ...), [attention (B, W, S)], new keys (B, G, K, W) and values (B, G, W, K) of each layer).

        `tensors` are keys and values of each layer in the pool, and behind them the memory, where there is one to read: its mask, what is
        hidden, and keys and values of its states.
        """
        pool, memory = tensors[: 2 * len(self.layers)], tensors[2 * len(self.layers) :]
        rotation = self.rotation(position)
        look, own_bias = self._back(position, places, visible)
        new: list[Tensor] = []

        def back(index: int, layer: DecoderLayer, y: Tensor) -> Tensor:
            kept = KeysValues(pool[2 * index], pool[2 * index + 1])
            found, keys, values = self._look_back(index, layer, y, kept, look, own_bias, rotation)
            new.extend((keys, values))
            return found

        return (*self.through(last, position, memory, back), *new)

    def rotation(self, position: Tensor) -> Rotation | None:
        """By what queries and keys of a step are turned, where they are."""
        rotary = self.decoder.positioned.rotary
        return None if rotary is None else rotary.angles(position)

    def mixed(self, layer: DecoderLayer, seen: Float[Tensor, "B W D"]) -> Float[Tensor, "B W D"]:
        """What a layer makes of what its heads saw."""
        found: Tensor = _attention(layer).out(seen)
        return found

    def through(
        self, last: Tensor, position: Tensor, memory: tuple[Tensor, ...], back: Callable[[int, DecoderLayer, Tensor], Tensor]
    ) -> tuple[Tensor, ...]:
        """(said (B, W, ...), [attention (B, W, S)]), where `back(number, layer, y)` is how a layer looks at what was said."""
        x = self.decoder.positioned.embed(last, position)
        shown = self._source(memory, position) if memory else None
        attention: Tensor | None = None
        for index, layer in enumerate(self.layers):
            x = layer.attention_residual(x, partial(back, index, layer))
            if shown is not None and layer.cross_residual is not None:
                wanted = self.model.gives_attention and index == self.decoder.aligning_layer
                weights: list[Tensor] = []

                def over(y: Tensor, index: int = index, layer: DecoderLayer = layer, weights: list[Tensor] = weights) -> Tensor:
                    found, scores = self._look_over(index, layer, y, KeysValues(memory[2 * index + 2], memory[2 * index + 3]), shown)
                    weights.append(scores)
                    return found

                x = layer.cross_residual(x, over)
                attention = self._shown(layer, weights[0]) if wanted else attention
            x = layer.feed_forward_residual(x, layer.feed_forward)
        output = self._say(self.decoder.norm(x))
        return (output,) if attention is None else (output, attention)

    def _back(self, position: Tensor, places: Tensor, visible: Tensor) -> tuple[Tensor, Tensor | None]:
        """The bias for scores over the pool, (B, 1 or G, N * W, P), and for those over the step itself, (1, G, N * W, 1)."""
        bias, beams = self.decoder.positioned.bias, visible.shape[2]
        if bias is None:
            return self._of_heads(visible), None
        far = bias(position.expand(places.shape[0]).unsqueeze(1), places.unsqueeze(1)).unflatten(1, (self.groups, -1))  # (B, G, N, 1, P)
        near = bias(position, position).view(1, self.groups, -1, 1, 1).expand(-1, -1, -1, beams, -1)
        return (visible.unsqueeze(2) + far).flatten(2, 3), near.flatten(2, 3)

    def _source(self, memory: tuple[Tensor, ...], position: Tensor) -> Tensor:
        """The bias for scores over the memory, (B, 1, 1, S)."""
        mask, hidden, k = memory[0], memory[1], self.decoder.settings.wait_k
        return hidden if k is None else _hidden(readable(mask, position.expand(mask.shape[0]).unsqueeze(1), k).squeeze(1))

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
        heads = [self.decoder.settings.heads, self.groups, self.groups]
        queries, keys, values = self.own[index](y).unflatten(-1, (-1, self.width)).transpose(1, 2).split(heads, dim=1)  # (B, H or G, W, K)
        if rotation is not None:
            queries, keys = rotate(queries, *rotation), rotate(keys, *rotation)
        queries = self._grouped(queries)
        own = (queries * self._of_heads(keys)).sum(-1, keepdim=True)
        own = own if own_bias is None else own + own_bias
        weights = torch.cat([queries @ pool.keys + look, own], dim=-1).softmax(-1)
        mixed = weights[..., :-1] @ pool.values + weights[..., -1:] * self._of_heads(values)
        return self.mixed(layer, self._by_row(mixed).flatten(2)), keys.transpose(2, 3), values

    def _look_over(
        self, index: int, layer: DecoderLayer, y: Float[Tensor, "B W D"], memory: KeysValues, shown: Tensor
    ) -> tuple[Float[Tensor, "B W D"], Tensor]:
        assert layer.cross is not None, "asked only of layers that read a memory"
        queries = self._grouped(self.cross[index](y).unflatten(-1, (-1, self.width)).transpose(1, 2))
        weights = (queries @ memory.keys + shown).softmax(-1)
        return layer.cross.out(self._by_row(weights @ memory.values).flatten(2)), weights

    def _shown(self, layer: DecoderLayer, weights: Float[Tensor, "B G N S"]) -> Float[Tensor, "B W S"]:
        """The mean over the heads whose attention is returned."""
        assert layer.cross is not None, "asked only of layers that read a memory"
        mean: Tensor = self._by_row(weights)[:, :, : layer.cross.shown_heads].mean(2)
        return mean

    @property
    def _shared(self) -> int:
        """N, the number of query heads that share keys; 1 in most models."""
        return self.decoder.settings.heads // self.groups

    def _grouped(self, queries: Float[Tensor, "B H W K"]) -> Float[Tensor, "B G NW K"]:
        """The query heads that share keys, as rows of one product."""
        return queries if self._shared == 1 else queries.unflatten(1, (self.groups, -1)).flatten(2, 3)

    def _of_heads(self, rows: Float[Tensor, "B G W K"]) -> Float[Tensor, "B G NW K"]:
        """A tensor repeated for the heads that share keys."""
        return rows if self._shared == 1 else rows.unsqueeze(2).expand(-1, -1, self._shared, -1, -1).flatten(2, 3)

    def _by_row(self, mixed: Float[Tensor, "B G NW K"]) -> Float[Tensor, "B W H K"]:
        """The values of all heads, arranged by hypothesis."""
        heads = mixed if self._shared == 1 else mixed.unflatten(2, (self._shared, -1)).flatten(1, 2)
        return heads.transpose(1, 2)

    def _say(self, features: Tensor) -> Tensor:
        if self.apart:
            return features
        head = self.model.head
        if isinstance(head, Pointer):  # what it copies is for the caller to add
            return torch.cat(head(features), dim=-1)
        assert isinstance(head, nn.Module), "a decoder's head is a module"
        return raw_of(Output(features, head))


def _hidden(mask: Bool[Tensor, "B S"]) -> Float[Tensor, "B 1 1 S"]:
    return ((~mask).float() * HIDDEN)[:, None, None, :]


def _attention(layer: DecoderLayer) -> SelfAttention:
    assert layer.attention is not None, "asked only of decoders that attend"
    return layer.attention


@torch.no_grad()
def _scaled(linear: nn.Module, dim: int, width: int) -> nn.Module:
    """A copy of the layer that makes the queries as its first `dim` outputs, with the attention's scale folded into its weights."""
    if not isinstance(linear, Linear):
        raise TypeError(f"queries must be made by a linear layer, not by {type(linear).__name__}; merge adapters first")
    scaled = copy.deepcopy(linear)
    for weight in (scaled.weight, scaled.bias):
        if weight is not None:
            weight[:dim] *= width**-0.5
    return scaled
