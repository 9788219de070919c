"""Texts with the times at which their words were output, for metrics of how far a simultaneous translation lags behind.

Metrics get predictions and references, nothing else; so the prediction of a model that waits is a text like any other, and holds its
times beside.
"""

from collections.abc import Sequence
from typing import final


@final
class TimedText(str):
    """A text with the number of source words that had been read when each of its words was output, and the length of the source in words.

    It equals the plain text, and what is made of it (`upper`, slices, `str()`) is plain text.
    """

    read: tuple[int, ...]
    source_length: int
    __slots__ = ("read", "source_length")

    def __new__(cls, text: str, read: Sequence[int], source_length: int) -> "TimedText":
        made = super().__new__(cls, text)
        made.read, made.source_length = tuple(read), source_length
        return made

    def __reduce__(self) -> tuple[type["TimedText"], tuple[str, tuple[int, ...], int]]:
        """The arguments from which copies and pickles are made."""
        return TimedText, (str(self), self.read, self.source_length)
