"""Converts attention over symbols to links between words, in Pharaoh's format: `0-0 1-2` links source word 0 with target word 0."""

from collections.abc import Iterable
from typing import final

import numpy as np
from jaxtyping import Float, Int

Links = tuple[tuple[int, int], ...]
"""(source word, target word), by target word."""


def word_links(attention: Float[np.ndarray, "T S"], source: Int[np.ndarray, " S"], target: Int[np.ndarray, " T"]) -> Links:
    """For each target word the source word that its symbols attend to most, in total.

    source, target   the word of each symbol, or -1 where it belongs to none: the end symbol, a tag. What looks there counts nothing
    """
    if not (target >= 0).any() or not (source >= 0).any():
        return ()
    looked = np.zeros((int(target.max()) + 1, int(source.max()) + 1))
    rows, columns = target >= 0, source >= 0
    np.add.at(looked, (target[rows][:, None], source[columns][None, :]), attention[np.ix_(rows, columns)])
    return tuple((int(looked[word].argmax()), word) for word in np.unique(target[rows]).tolist())


def pharaoh(links: Iterable[tuple[int, int]]) -> str:
    """Links as a line of text."""
    return " ".join(f"{source}-{target}" for source, target in links)


@final
class AlignmentErrors:
    """The alignment error rate (Och and Ney 2003) against reference alignments, whose links all count as sure."""

    def __init__(self) -> None:
        self._both = self._all = 0

    def add(self, found: str, given: str) -> None:
        """Count the links of a record."""
        one, other = set(found.split()), set(given.split())
        self._both, self._all = self._both + len(one & other), self._all + len(one) + len(other)

    @property
    def rate(self) -> float | None:
        """1 - 2 |found and given| / (|found| + |given|), from 0 to 1; None where there are no links."""
        return 1 - 2 * self._both / self._all if self._all else None
