"""Attention of a long sequence to what is near: sliding windows with global positions (Longformer, Beltagy et al. 2020).

Each state attends to `window` states on either side, so time and memory grow with the length S, not with its square. The sequence is cut
into blocks as long as the window; the queries of a block meet the keys of three blocks, and a mask hides what is further away than the
window. The first `global_positions` states attend to everything, and everything attends to them.

Unusual here: local and global attention share their projections, so a window is no part of the weights: a model may be trained with one and
used with another, or without.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from antiphon.layers.positions import RelativeBias


@dataclass(frozen=True)
class SlidingWindow:
    """Which keys the queries of each block see, as biases: 0 or -inf, or the bias of a relative position or -inf. M is 1 or H.

    `near` is for N blocks of P queries with the E global keys and the keys of 3 blocks; `everywhere` is for the E global queries. Made by
    `sliding_window` once per batch, for all layers.
    """

    near: Float[Tensor, "BN M P EPPP"]
    everywhere: Float[Tensor, "B M E S"] | None
    block: int

    def attend(
        self,
        queries: Float[Tensor, "B H S K"],
        keys: Float[Tensor, "B G S K"],
        values: Float[Tensor, "B G S K"],
        *,
        dropout: float,
    ) -> Float[Tensor, "B H S K"]:
        """What `scaled_dot_product_attention` gives with the mask of S x S."""
        batch, heads, length, _ = queries.shape
        grouped = heads != keys.shape[1]
        marked = 0 if self.everywhere is None else self.everywhere.shape[2]
        mixed = scaled_dot_product_attention(
            self._blocks(queries).transpose(1, 2).flatten(0, 1),
            self._neighbourhoods(keys, marked),
            self._neighbourhoods(values, marked),
            attn_mask=self.near.to(queries.dtype),
            dropout_p=dropout,
            enable_gqa=grouped,
        )
        mixed = mixed.unflatten(0, (batch, -1)).transpose(1, 2).flatten(2, 3)
        if self.everywhere is None:
            return torch.narrow(mixed, 2, 0, length)
        first = scaled_dot_product_attention(
            queries[:, :, :marked], keys, values, attn_mask=self.everywhere.to(queries.dtype), dropout_p=dropout, enable_gqa=grouped
        )
        return torch.cat([first, mixed[:, :, marked:length]], dim=2)

    def _blocks(self, x: Float[Tensor, "B G S K"]) -> Float[Tensor, "B G N P K"]:
        blocks: Tensor = pad(x, (0, 0, 0, -x.shape[2] % self.block)).unflatten(2, (-1, self.block))
        return blocks

    def _neighbourhoods(self, x: Float[Tensor, "B G S K"], marked: int) -> Float[Tensor, "BN G EPPP K"]:
        """For each block: what is global, then the block before, the block itself, and the one behind."""
        blocks = pad(self._blocks(x), (0, 0, 0, 0, 1, 1))
        parts = [blocks[:, :, :-2], blocks[:, :, 1:-1], blocks[:, :, 2:]]
        if marked:
            parts.insert(0, x[:, :, None, :marked].expand(-1, -1, parts[0].shape[2], -1, -1))
        joined: Tensor = torch.cat(parts, dim=3).transpose(1, 2).flatten(0, 1)
        return joined


def sliding_window(
    mask: Bool[Tensor, "B S"], window: int, global_positions: int, bias: RelativeBias | None, dtype: torch.dtype
) -> SlidingWindow:
    """The masks of a batch; `mask` is True at real elements, `bias` that of relative positions."""
    length, device = mask.shape[1], mask.device
    marked = min(global_positions, length)
    beyond = -length % window
    place = torch.arange(length + beyond, device=device).view(-1, window)  # (N, P) positions of queries
    offset = torch.arange(-window, 2 * window, device=device)  # of the keys, from the first query of the block
    real = pad(mask, (window, beyond + window)).unfold(1, 3 * window, window)  # (B, N, 3P)
    local = real & (place[:, :1] + offset >= marked)
    distance = offset - torch.arange(window, device=device).unsqueeze(1)  # (P, 3P)
    # What is padding sees itself, since attention to nothing is not a number.
    visible = ((distance.abs() <= window) & local.unsqueeze(2)) | (distance == 0)
    if marked:
        visible = torch.cat([mask[:, None, None, :marked].expand(-1, *place.shape, -1), visible], dim=3)
    near: Tensor = torch.zeros((), dtype=dtype, device=device)
    everywhere: Tensor | None = near.expand(len(mask), 1, marked, length) if marked else None
    if bias is not None:
        near = bias(torch.arange(window, device=device), offset).to(dtype)  # (H, P, 3P)
        if marked:
            steps = torch.arange(length, device=device)
            to_global = bias(place, steps[:marked]).to(dtype)  # (N, H, P, E)
            near = torch.cat([to_global, near.expand(len(place), -1, -1, -1)], dim=3)
            everywhere = bias(steps[:marked], steps).to(dtype)
    hidden = ~visible.unsqueeze(2)  # (B, N, 1, P, E + 3P)
    near = near.masked_fill(hidden, float("-inf")) if bias is not None else _bias(hidden, dtype)
    if everywhere is not None:
        everywhere = everywhere.masked_fill(~mask[:, None, None, :], float("-inf"))
    return SlidingWindow(near.flatten(0, 1), everywhere, window)


def _bias(hidden: Bool[Tensor, "..."], dtype: torch.dtype) -> Float[Tensor, "..."]:
    return torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, float("-inf"))
