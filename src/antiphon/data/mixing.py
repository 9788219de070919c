"""Mixes several corpora, each shown more or less often than once per epoch.

A weight of 2.5 shows every row of a corpus twice per epoch, and a half of them, drawn anew for each seed and epoch, once more.

Unusual here: the mixture holds each row once. How often rows are shown is a mapping from draws (positions of an epoch) to rows, a pure
function of (seed, epoch) that a sampler evaluates for the positions it needs.
"""

from collections.abc import Sequence
from typing import Protocol, final, runtime_checkable

import numpy as np

from antiphon.contracts.sequences import Example
from antiphon.data.permutation import hash_seed, permute
from antiphon.errors import DataError


@runtime_checkable
class Part(Protocol):
    """What a corpus must offer to be mixed and sampled from, as all corpora of this package do."""

    @property
    def source_lengths(self) -> np.ndarray: ...

    @property
    def target_lengths(self) -> np.ndarray: ...

    def __len__(self) -> int: ...

    def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...

    def example(self, index: int, seed: int | None = None) -> Example: ...


@final
class MixedCorpus:
    """Concatenated corpora. Row i is a row of one of them; `draw` determines the rows of an epoch by the weights."""

    def __init__(self, parts: Sequence[Part], weights: Sequence[float]):
        if len(parts) != len(weights) or not parts:
            raise DataError(f"`weights` must be as many as the corpora ({len(parts)}), and at least one, but are {len(weights)}.")
        for weight in weights:
            if not 0 < weight < 1e6:
                raise DataError(f"`weights` must be above 0, but one is {weight:g}. Leave the corpus out to ignore it.")
        self.parts = tuple(parts)
        self.weights = tuple(weights)
        self._starts = np.cumsum([0] + [len(part) for part in parts])
        self._draw_starts = np.cumsum([0] + [round(weight * len(part)) for weight, part in zip(weights, parts, strict=True)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def draws(self) -> int:
        """The number of rows in an epoch, including repetitions."""
        return int(self._draw_starts[-1])

    def draw(self, positions: np.ndarray, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The row at each position of range(draws) in an epoch, and the number of its showing, from 0.

        Both are int64 of the shape of `positions`.
        """
        rows, showings = np.empty_like(positions), np.empty_like(positions)
        owners = np.searchsorted(self._draw_starts, positions, side="right") - 1
        for owner in np.unique(owners):
            mine = owners == owner
            draws = positions[mine] - self._draw_starts[owner]
            rows[mine] = self._starts[owner] + self._rows_of(int(owner), draws, seed, epoch)
            showings[mine] = draws // len(self.parts[owner])
        return rows, showings

    def _rows_of(self, owner: int, draws: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        """Whole passes over the part come first; the remaining draws are the beginning of a shuffle of the part."""
        size = len(self.parts[owner])
        rounds = int(self._draw_starts[owner + 1] - self._draw_starts[owner]) // size
        rows = draws % size
        extra = draws >= rounds * size
        rows[extra] = permute(rows[extra], size, hash_seed(seed, epoch, owner, 0x4D6978))
        return rows

    @property
    def source_lengths(self) -> np.ndarray:
        """The length of every source; computes all of them."""
        return np.concatenate([part.source_lengths for part in self.parts])

    @property
    def target_lengths(self) -> np.ndarray:
        """The length of every target; computes all of them."""
        return np.concatenate([part.target_lengths for part in self.parts])

    def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lengths of some sources and of their targets."""
        sources, targets = np.empty(indices.shape, dtype=np.int64), np.empty(indices.shape, dtype=np.int64)
        owners = np.searchsorted(self._starts, indices, side="right") - 1
        for owner in np.unique(owners):
            mine = owners == owner
            sources[mine], targets[mine] = self.parts[owner].lengths(indices[mine] - self._starts[owner])
        return sources, targets

    def example(self, index: int, seed: int | None = None) -> Example:
        """The example in a row. Its `record` counts within its own part."""
        part, row = self.locate(index)
        return self.parts[part].example(row, seed)

    def locate(self, index: int) -> tuple[int, int]:
        """(number of the part, row within it)."""
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be from 0 to {len(self) - 1}, but is {index}.")
        part = int(np.searchsorted(self._starts, index, side="right")) - 1
        return part, index - int(self._starts[part])
