"""Four ways to tell a Transformer the position of an element in its sequence.

`sinusoidal` and `learned` are added to the embeddings; `rotary` turns queries and keys; `relative` adds a bias to the attention scores.
All of them take positions as a tensor, so that one step of decoding and a whole sequence use the same code.
"""

import math
from functools import lru_cache
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def sinusoids(positions: Int[Tensor, "..."], dim: int) -> Float[Tensor, "... D"]:
    """Sine in the first half, cosine in the second (Vaswani et al. 2017, in the layout of tensor2tensor)."""
    half = dim // 2
    rates = torch.exp(torch.arange(half, device=positions.device) * (-math.log(10_000) / max(half - 1, 1)))
    angles = positions.unsqueeze(-1).float() * rates
    found = torch.cat([angles.sin(), angles.cos()], dim=-1)
    return nn.functional.pad(found, (0, 1)) if dim % 2 else found


def sinusoid_at(place: int, dim: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, " D"]:
    """`sinusoids` for one position, from a table that all models share."""
    return _sinusoids_up_to(_next_power(place), dim, dtype, device)[place]


@lru_cache(maxsize=8)
def _sinusoids_up_to(length: int, dim: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "T D"]:
    with torch.inference_mode(False):  # what is kept must serve everywhere
        return sinusoids(torch.arange(length, device=device), dim).to(dtype)


def _next_power(place: int) -> int:
    """A table length that includes this position, one of few possible lengths."""
    return max(1 << place.bit_length(), 256)


@final
class Rotary(nn.Module):
    """Rotary positions (Su et al. 2021): pairs (i, i + K/2) of a head are rotated by an angle that grows with the position."""

    def __init__(self, head_dim: int, base: float = 10_000.0):
        super().__init__()
        self.head_dim = head_dim
        self.base = base

    def angles(self, positions: Int[Tensor, "..."]) -> tuple[Float[Tensor, "... K"], Float[Tensor, "... K"]]:
        """Cosines and sines for positions, to be shared by all layers."""
        exponents = torch.arange(0, self.head_dim, 2, device=positions.device).float() / self.head_dim
        angles = positions.unsqueeze(-1).float() * self.base**-exponents
        angles = torch.cat([angles, angles], dim=-1)
        return angles.cos(), angles.sin()

    def angles_at(self, place: int, device: torch.device) -> tuple[Float[Tensor, " K"], Float[Tensor, " K"]]:
        """Cosines and sines of one position, from a table."""
        cosines, sines = _angles_up_to(self.head_dim, self.base, _next_power(place), device)
        return cosines[place], sines[place]


@lru_cache(maxsize=8)
def _angles_up_to(head_dim: int, base: float, length: int, device: torch.device) -> tuple[Float[Tensor, "T K"], Float[Tensor, "T K"]]:
    with torch.inference_mode(False):
        return Rotary(head_dim, base).angles(torch.arange(length, device=device))


def rotate(x: Float[Tensor, "... K"], cosines: Float[Tensor, "... K"], sines: Float[Tensor, "... K"]) -> Float[Tensor, "... K"]:
    """Rotate queries or keys; `cosines` and `sines` broadcast against `x`."""
    first, second = x.chunk(2, dim=-1)
    return x * cosines.to(x.dtype) + torch.cat([-second, first], dim=-1) * sines.to(x.dtype)


@final
class RelativeBias(nn.Module):
    """A learned bias per head for the distance between query and key, in logarithmic buckets (T5, Raffel et al. 2020)."""

    def __init__(self, heads: int, *, bidirectional: bool, buckets: int = 32, max_distance: int = 128):
        super().__init__()
        self.bidirectional = bidirectional
        self.buckets = buckets
        self.max_distance = max_distance
        self.table = nn.Embedding(buckets, heads)

    def forward(self, queries: Int[Tensor, "*rows Q"], keys: Int[Tensor, "*keys T"]) -> Float[Tensor, "*rows H Q T"]:
        """Biases for query and key positions; key positions are (T,) for all, or (*rows, 1 or Q, T)."""
        biases: Tensor = self.table(self._bucket(keys - queries.unsqueeze(-1)))
        return biases.movedim(-1, -3)

    def _bucket(self, distance: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
        buckets = self.buckets
        offset = torch.zeros_like(distance)
        if self.bidirectional:
            buckets //= 2
            offset = (distance > 0).long() * buckets
            distance = distance.abs()
        else:
            distance = (-distance).clamp_min(0)
        exact = buckets // 2
        scale = (buckets - exact) / math.log(self.max_distance / exact)
        far = exact + (torch.log(distance.clamp_min(1).float() / exact) * scale).long()
        return offset + torch.where(distance < exact, distance, far.clamp_max(buckets - 1))
