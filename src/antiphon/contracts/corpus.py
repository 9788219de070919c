"""Encoded examples that training reads in any order."""

from typing import Protocol, runtime_checkable

import numpy as np

from antiphon.contracts.sequences import Example


@runtime_checkable
class Corpus(Protocol):
    """Encoded examples with random access; `target_lengths` and `source_lengths` without reading the examples."""

    @property
    def source_lengths(self) -> np.ndarray: ...

    @property
    def target_lengths(self) -> np.ndarray: ...

    def __len__(self) -> int: ...

    def example(self, index: int, seed: int | None = None) -> Example: ...
