"""Multi-head attention of the Transformer (Vaswani et al. 2017), over whole sequences and one step at a time.

Unusual here: grouped key-value heads (Ainslie et al. 2023) and beams use the same trick. What shares keys is put side by side in the
query's time axis, so keys and values are never repeated: not for the G query heads of a group, and not for the W hypotheses of a source.
Projections that read the same input are one matrix.
"""

from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import dropout, scaled_dot_product_attention

from antiphon.layers.linear import Linear
from antiphon.layers.positions import rotate
from antiphon.layers.scaled_dot_product import attend
from antiphon.layers.sliding_window import SlidingWindow


class KeysValues(NamedTuple):
    """Keys and values of one layer; N is B for cross-attention and R for self-attention, G the number of key-value heads."""

    keys: Float[Tensor, "N G S K"]
    values: Float[Tensor, "N G S K"]


Rotation = tuple[Tensor, Tensor]
"""Cosines and sines, (T, K) for a sequence or (R, 1, K) for a step."""


@final
class SelfAttention(nn.Module):
    """Self-attention. `attend_sequence` is for training, `attend_step` for decoding with a buffer."""

    def __init__(self, dim: int, heads: int, key_value_heads: int, *, head_dim: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        self.heads, self.groups, self.head_dim, self.dropout = heads, key_value_heads, head_dim, dropout
        self.query_key_value = Linear(dim, (heads + 2 * key_value_heads) * head_dim, bias=bias)
        self.out = Linear(heads * head_dim, dim, bias=bias)

    def forward(
        self, x: Float[Tensor, "B T D"], mask: Tensor | SlidingWindow | None, *, causal: bool = False, rotation: Rotation | None = None
    ) -> Float[Tensor, "B T D"]:
        """Attend within sequences.

        `mask` is boolean, True = may be seen, or a float bias, and broadcasts against (B, H, T, T); or it is a sliding window.
        """
        return self.behind(x, None, mask, causal=causal, rotation=rotation)[0]

    def behind(
        self,
        x: Float[Tensor, "B T D"],
        past: KeysValues | None,
        mask: Tensor | SlidingWindow | None,
        *,
        causal: bool = False,
        rotation: Rotation | None = None,
    ) -> tuple[Float[Tensor, "B T D"], KeysValues]:
        """Attend to P earlier elements and within the sequence; also returns the past for the next elements, (B, G, P + T, K).

        `mask` broadcasts against (B, H, T, P + T), `rotation` is (P + T, K). What is kept is not rotated yet, so positions count from the
        oldest element that is kept: only distances matter, and in a long stream places would grow beyond what single precision tells apart.
        """
        queries, keys, values = self._project(x)
        if past is not None:
            keys, values = torch.cat([past.keys, keys], dim=2), torch.cat([past.values, values], dim=2)
        kept = KeysValues(keys, values)
        if rotation is not None:
            cosines, sines = rotation
            first = keys.shape[2] - queries.shape[2]
            queries, keys = rotate(queries, cosines[first:], sines[first:]), rotate(keys, cosines, sines)
        rate = self.dropout if self.training else 0.0
        if isinstance(mask, SlidingWindow):
            mixed = mask.attend(queries, keys, values, dropout=rate)
        else:
            mixed = attend(queries, keys, values, mask, causal=causal, dropout=rate)
        return self.out(mixed.transpose(1, 2).flatten(2)), kept

    def append(
        self,
        x: Float[Tensor, "R D"],
        kept: Float[Tensor, "N 2 G C K"],
        mask: Tensor | None,
        rotation: Rotation | None = None,
        at: Int[Tensor, " W"] | None = None,
    ) -> Float[Tensor, "R D"]:
        """Write the keys and values of W = R / N rows into the slots `at`, by default the last W, then attend to all C slots according to
        the mask, (N or 1, 1 or G, W * H/G, C). Cosines and sines are (K,): all rows are at the same position."""
        sources, _, groups, places, size = kept.shape
        width = len(x) // max(sources, 1)
        parts = self.query_key_value(x).view(sources, width, self.heads + 2 * groups, size)
        queries, said = parts[:, :, : self.heads], parts[:, :, self.heads :].view(sources, width, 2, groups, size)
        if rotation is not None:
            cosines, sines = rotation
            queries, keys = rotate(queries, cosines, sines), rotate(said[:, :, 0], cosines, sines)
            said = torch.stack([keys, said[:, :, 1]], dim=2)
        if at is None:
            kept[:, :, :, places - width :].copy_(said.permute(0, 2, 3, 1, 4))
        else:
            kept.index_copy_(3, at, said.permute(0, 2, 3, 1, 4).to(kept.dtype))
        keys, values = kept.unbind(1)
        if self.heads == groups:  # the usual case, with few operations
            queries = queries.transpose(1, 2)
        else:
            queries = queries.reshape(sources, width, groups, -1, size).transpose(1, 2).flatten(2, 3)
        mask = mask if mask is None else mask.to(queries.dtype)
        mixed = scaled_dot_product_attention(queries, keys.to(queries.dtype), values.to(queries.dtype), attn_mask=mask)
        if width > 1:
            mixed = mixed.view(sources, groups, width, -1, size).transpose(1, 2)
        out: Tensor = self.out(mixed.reshape(len(x), -1))
        return out

    def _project(self, x: Float[Tensor, "B T D"]) -> tuple[Tensor, Tensor, Tensor]:
        parts = self.query_key_value(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        return parts.split([self.heads, self.groups, self.groups], dim=1)  # type: ignore[no-any-return]


@final
class CrossAttention(nn.Module):
    """Attention to a memory. `project` is computed once per source; the queries of all its hypotheses share the result."""

    def __init__(
        self,
        dim: int,
        memory_dim: int,
        heads: int,
        key_value_heads: int,
        *,
        head_dim: int,
        dropout: float = 0.0,
        bias: bool = True,
        shown_heads: int | None = None,
    ):
        super().__init__()
        self.heads, self.groups, self.head_dim, self.dropout = heads, key_value_heads, head_dim, dropout
        self.shown_heads = shown_heads
        self.query = Linear(dim, heads * head_dim, bias=bias)
        self.key_value = Linear(memory_dim, 2 * key_value_heads * head_dim, bias=bias)
        self.out = Linear(heads * head_dim, dim, bias=bias)

    def project(self, states: Float[Tensor, "B S M"]) -> KeysValues:
        """The memory's keys and values.

        Decoding reads them at every step, and slowly where they lie among those of other heads: so there they are put in a row once.
        """
        parts = self.key_value(states).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        keys, values = parts.split(self.groups, dim=1)
        return KeysValues(keys, values) if torch.is_grad_enabled() else KeysValues(keys.contiguous(), values.contiguous())

    def forward(
        self, x: Float[Tensor, "N T D"], memory: KeysValues, mask: Bool[Tensor, "*M S"] | None, *, weights: bool = False
    ) -> tuple[Float[Tensor, "N T D"], Float[Tensor, "N T S"] | None]:
        """Attend to the memory: N is B, or R = B * W with T = 1. When asked, also returns the weights, averaged over heads (the first
        `shown_heads` of them).

        The mask is (B, S), or (N, T, S) where steps do not see the same; none says that the memory has no padding.
        """
        rows, steps = x.shape[:2]
        sources = memory.keys.shape[0]
        queries = self.query(x).view(sources, rows // sources * steps, self.groups, -1, self.head_dim)
        queries = queries.permute(0, 2, 1, 3, 4).flatten(2, 3)  # (B, G, W * T * H/G, K)
        visible = None if mask is None else mask[:, None, None, :] if mask.dim() == 2 else self._by_query(mask, sources)
        attention = None
        if weights:
            scores = queries @ memory.keys.transpose(-1, -2) / self.head_dim**0.5
            scores = scores if visible is None else scores.masked_fill(~visible, float("-inf"))
            probabilities = scores.softmax(dim=-1)
            # The mixture loses some of them at random, as in the layers that nobody reads; what is read (to copy by, say) loses none.
            mixed = dropout(probabilities, self.dropout, self.training) @ memory.values
            per_head = probabilities.view(sources, self.groups, rows // sources * steps, -1, probabilities.shape[-1])
            shown = per_head.transpose(2, 3).flatten(1, 2)[:, : self.shown_heads]
            attention = shown.mean(dim=1).reshape(rows, steps, -1)
        else:
            mixed = attend(queries, memory.keys, memory.values, visible, dropout=self.dropout if self.training else 0.0)
        mixed = mixed.view(sources, self.groups, rows // sources * steps, -1, self.head_dim)
        return self.out(mixed.transpose(1, 2).reshape(rows, steps, -1)), attention

    def step(self, x: Float[Tensor, "R D"], memory: KeysValues, bias: Float[Tensor, "B 1 1 S"] | None) -> Float[Tensor, "R D"]:
        """One step of all hypotheses; `bias` masks states of the memory."""
        sources, groups, _, size = memory.keys.shape
        width = len(x) // max(sources, 1)
        queries = self.query(x).view(sources, width, groups, -1, size)
        queries = queries.squeeze(3).transpose(1, 2) if self.heads == groups else queries.transpose(1, 2).flatten(2, 3)
        bias = bias if bias is None else bias.to(queries.dtype)
        rate = self.dropout if self.training else 0.0
        mixed = scaled_dot_product_attention(queries, memory.keys, memory.values, attn_mask=bias, dropout_p=rate)
        if width > 1:
            mixed = mixed.view(sources, groups, width, -1, size).transpose(1, 2)
        out: Tensor = self.out(mixed.reshape(len(x), -1))
        return out

    def _by_query(self, mask: Bool[Tensor, "N T S"], sources: int) -> Bool[Tensor, "B 1 Q S"]:
        """The mask for each query, in the order in which queries that share keys are arranged."""
        return mask.view(sources, -1, mask.shape[2]).repeat_interleave(self.heads // self.groups, dim=1).unsqueeze(1)
