"""Several pairs of source and target in one row, so that rows of a batch have little padding (sequence packing).

Attention is block-diagonal, so that no pair sees another, and positions begin anew with each: so nothing that is said or learned of a pair
depends on what stands beside it (Krell et al. 2021, Efficient Sequence Packing without Cross-contamination; tensor2tensor and T5 call the
same segments). Only what a model reads is packed. What it says is put back into a row for each pair, and losses see no difference.

Rows are filled evenly, as jobs are given to machines (longest processing time first, Graham 1969): pairs in the order of their lengths, the
longest first, each into the row that is then the least full on its fuller side. First-fit decreasing, which fills rows of a given length
(Johnson 1974), left more padding in batches of some dozens of pairs. Many rows have little attention, which grows with the square of their
length, and few have little padding: some numbers are tried, and that for which least is likely to be computed is taken.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

_SHARES = (1.0, 0.7, 0.5, 0.3)  # of the rows that there are at least if none is longer than the longest pair
# What products with weights compute for an element is that of attention to so many: 6 times the width in a layer of a Transformer.
_ELEMENT = 1536


@final
@dataclass(frozen=True)
class Segments:
    """Which pair each element of a packed row belongs to, counted from 1, 0 being padding; and where in it, from 0."""

    ids: Int[Tensor, "P L"]
    positions: Int[Tensor, "P L"]

    def sees(self, other: "Segments") -> Bool[Tensor, "P L M"]:
        """Which of the other elements belong to the same pair. Padding attends to everything, since a softmax over nothing is NaN."""
        own = self.ids.unsqueeze(2)
        return (own == other.ids.unsqueeze(1)) | (own == 0)


@final
@dataclass(frozen=True)
class Side:
    """How sources, or targets, are packed: B rows of at most T elements become P rows of at most L."""

    lengths: Int[Tensor, " P"]
    segments: Segments
    places: Int[Tensor, "P L"]
    """For each place of a packed row, that of its element in the B * T; any for padding."""
    back: Int[Tensor, "B T"]
    """For each element, its place in the P * L; any for padding."""

    def pack(self, values: Tensor) -> Tensor:
        """(B, T, ...) -> (P, L, ...)."""
        return values.flatten(0, 1)[self.places]

    def unpack(self, values: Tensor) -> Tensor:
        """(P, L, ...) -> (B, T, ...)."""
        return values.flatten(0, 1)[self.back]


@final
@dataclass(frozen=True)
class Packing:
    """How the sources of a batch are packed, and what the decoder reads."""

    source: Side
    inputs: Side

    def unpack_attention(self, weights: Tensor, mask: Bool[Tensor, "B S"]) -> Tensor:
        """Attention weights of the decoder's steps over the memory, (P, L, M) -> (B, T, S)."""
        of_steps = self.inputs.unpack(weights)
        columns = (self.source.back % weights.shape[2]).unsqueeze(1).expand(-1, of_steps.shape[1], -1)
        return of_steps.gather(2, columns) * mask.unsqueeze(1)


def pack_pairs(sources: Int[Tensor, " B"], inputs: Int[Tensor, " B"]) -> Packing:
    """Pack pairs of these lengths; the result depends on the lengths alone."""
    lengths = sources.cpu().numpy(), inputs.cpu().numpy()
    longest = tuple(int(side.max()) for side in lengths)
    fewest = max(-(-int(side.sum()) // most) for side, most in zip(lengths, longest, strict=True))
    counts = {len(sources), *(max(round(share * fewest), 1) for share in _SHARES)}
    tried = [_evenly(*lengths, rows=count) for count in sorted(counts, reverse=True)]
    rows = min(tried, key=lambda found: _cost(*(_widths(found, side) for side in lengths)))
    one, other = (_side(rows, side, most) for side, most in zip(lengths, longest, strict=True))
    return Packing(one, other)


def _evenly(sources: np.ndarray, targets: np.ndarray, *, rows: int) -> list[list[int]]:
    """Distribute the pairs over the given number of rows."""
    if rows == len(sources):
        return [[pair] for pair in range(rows)]
    shares = np.stack([sources / sources.sum(), targets / targets.sum()], axis=1)
    filled = np.zeros((rows, 2))
    found: list[list[int]] = [[] for _ in range(rows)]
    for pair in np.argsort(-shares.max(1), kind="stable").tolist():
        row = int((filled + shares[pair]).max(1).argmin())
        found[row].append(pair)
        filled[row] += shares[pair]
    return found


def _widths(rows: list[list[int]], lengths: np.ndarray) -> np.ndarray:
    return np.array([int(lengths[row].sum()) for row in rows])


def _cost(sources: np.ndarray, targets: np.ndarray) -> int:
    """About what is computed for rows of these lengths, padding included."""
    source, target = int(sources.max()), int(targets.max())
    return len(sources) * (source * (_ELEMENT + source) + target * (_ELEMENT + target + source))


def _side(rows: list[list[int]], lengths: np.ndarray, longest: int) -> Side:
    widths = _widths(rows, lengths)
    width = int(widths.max())
    ids, positions, places = (np.zeros((len(rows), width), dtype=np.int64) for _ in range(3))
    back = np.zeros((len(lengths), longest), dtype=np.int64)
    for number, row in enumerate(rows):
        start = 0
        for segment, pair in enumerate(row, start=1):
            length = int(lengths[pair])
            part, steps = slice(start, start + length), np.arange(length)
            ids[number, part], positions[number, part], places[number, part] = segment, steps, pair * longest + steps
            back[pair, :length] = number * width + start + steps
            start += length
    as_tensors = (torch.from_numpy(array) for array in (widths, ids, positions, places, back))
    used, of_pairs, within, found, returning = as_tensors
    return Side(used, Segments(of_pairs, within), found, returning)
