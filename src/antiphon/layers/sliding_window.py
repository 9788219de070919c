"""Local attention for long sequences: sliding windows with global positions (Longformer, Beltagy et al. 2020).

Each state attends to `window` states on either side, so time and memory grow with the length S, not with its square. The sequence is cut
into blocks about as long as the window; the queries of a block meet the keys of the block and of a window on either side, and a mask hides
what is further away. The first `global_positions` states attend to everything, and everything attends to them.

Unusual here: the sequences of a batch lie behind one another, so that what overlapping neighbourhoods share is never copied (unless there
are global positions): they are views of one tensor, and where they reach into the next sequence, the mask hides it. Local and global
attention share their projections, so a window is no part of the weights: a model may be trained with one and used with another, or without.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from antiphon.layers.positions import RelativeBias

_SMALLEST_BLOCK = 16  # shorter blocks than this cost more in their number than they save


@dataclass(frozen=True)
class SlidingWindow:
    """The attention biases of each block's queries: 0, or the bias of a relative position, where a key is visible, -inf elsewhere. M is 1
    or H.

    `near` is for N blocks of P queries with the E global keys and the Q = P + 2 * window keys around the block; `everywhere` is for the E
    global queries. Made by `sliding_window` once per batch, for all layers.
    """

    near: Float[Tensor, "BN M P EQ"]
    everywhere: Float[Tensor, "B M E S"] | None
    window: int

    @property
    def block(self) -> int:
        """The block size P."""
        return self.near.shape[2]

    def attend(
        self,
        queries: Float[Tensor, "B H S K"],
        keys: Float[Tensor, "B G S K"],
        values: Float[Tensor, "B G S K"],
        *,
        dropout: float,
    ) -> Float[Tensor, "B H S K"]:
        """The same result as `scaled_dot_product_attention` with the full S x S mask."""
        length = queries.shape[2]
        marked = 0 if self.everywhere is None else self.everywhere.shape[2]
        mixed = scaled_dot_product_attention(
            self._in_a_row(queries).unflatten(0, (-1, self.block)).transpose(1, 2),
            self._neighbourhoods(keys, marked),
            self._neighbourhoods(values, marked),
            attn_mask=self.near.to(queries.dtype),
            dropout_p=dropout,
            enable_gqa=queries.shape[1] != keys.shape[1],
        )
        mixed = mixed.transpose(1, 2).unflatten(0, (queries.shape[0], -1)).flatten(1, 2).transpose(1, 2)
        if self.everywhere is None:
            return torch.narrow(mixed, 2, 0, length)
        first = scaled_dot_product_attention(
            queries[:, :, :marked],
            keys,
            values,
            attn_mask=self.everywhere.to(queries.dtype),
            dropout_p=dropout,
            enable_gqa=queries.shape[1] != keys.shape[1],
        )
        return torch.cat([first, mixed[:, :, marked:length]], dim=2)

    def _in_a_row(self, x: Float[Tensor, "B G S K"]) -> Float[Tensor, "BNP G K"]:
        """The sequences concatenated, each padded to whole blocks."""
        return torch.flatten(pad(x.transpose(1, 2), (0, 0, 0, 0, 0, -x.shape[2] % self.block)), 0, 1)

    def _neighbourhoods(self, x: Float[Tensor, "B G S K"], marked: int) -> Float[Tensor, "BN G EQ K"]:
        """For each block: the global elements, then the block with its surroundings."""
        row = pad(self._in_a_row(x), (0, 0, 0, 0, self.window, self.window))
        around: Tensor = row.unfold(0, self.block + 2 * self.window, self.block).transpose(2, 3)
        if not marked:
            return around
        first = x[:, :, :marked].repeat_interleave(around.shape[0] // x.shape[0], dim=0)
        return torch.cat([first, around], dim=2)


def near(length: int, window: int, global_positions: int, device: torch.device) -> Bool[Tensor, "S S"]:
    """The mask of what each state attends to, for all states."""
    place = torch.arange(length, device=device)
    within = (place.unsqueeze(1) - place).abs() <= window
    return within | (place.unsqueeze(1) < global_positions) | (place < global_positions)


def sliding_window(
    mask: Bool[Tensor, "B S"], window: int, global_positions: int, bias: RelativeBias | None, dtype: torch.dtype
) -> SlidingWindow:
    """The masks for a batch; `mask` is True at real elements, `bias` holds the biases of relative positions."""
    length, device = mask.shape[1], mask.device
    block, marked = max(window, _SMALLEST_BLOCK), min(global_positions, length)
    around, beyond = block + 2 * window, -length % block
    inside = torch.arange(block, device=device)  # places in a block
    offset = torch.arange(-window, block + window, device=device)  # of the keys, from the first place of the block
    start = torch.arange(0, length + beyond, block, device=device)  # (N,)
    real = pad(mask, (window, beyond + window)).unfold(1, around, block)  # (B, N, Q)
    local = real & (start.unsqueeze(1) + offset >= marked)
    distance = offset - inside.unsqueeze(1)  # (P, Q)
    # What is padding sees itself, since attention to nothing is not a number.
    visible = ((distance.abs() <= window) & local.unsqueeze(2)) | (distance == 0)
    if marked:
        visible = torch.cat([mask[:, None, None, :marked].expand(-1, start.shape[0], block, -1), visible], dim=3)
    if bias is None:
        near = torch.zeros(visible.shape, dtype=dtype, device=device).unsqueeze(2)
        everywhere = near.new_zeros(mask.shape[0], 1, marked, length) if marked else None
    else:
        near = bias(inside, offset).to(dtype)  # (H, P, Q)
        steps = torch.arange(length, device=device)
        everywhere = bias(steps[:marked], steps).to(dtype) if marked else None
        if marked:
            to_global = bias(start.unsqueeze(1) + inside, steps[:marked]).to(dtype)  # (N, H, P, E)
            near = torch.cat([to_global, near.expand(start.shape[0], -1, -1, -1)], dim=3)
    near = near.masked_fill(~visible.unsqueeze(2), float("-inf"))  # (B, N, M, P, E + Q)
    if everywhere is not None:
        everywhere = everywhere.masked_fill(~mask[:, None, None, :], float("-inf"))
    return SlidingWindow(near.flatten(0, 1), everywhere, window)
