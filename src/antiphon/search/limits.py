"""Limits on the length of hypotheses, for each source.

A length counts elements: neither the start nor the end symbol. A search therefore takes up to `maximum + 1` steps. In the last one only
the end symbol may follow, so that every hypothesis is a complete sequence and its score can be compared with any other's; a hypothesis
that would have gone on has the finish reason "length".

Lengths may also be counted in words. Then no new word may begin once there are enough; what is left of the last word may still follow.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Int
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.errors import ConfigError


@config
class LimitsConfig:
    """The maximum and minimum length of a hypothesis, depending on the length of its source."""

    unit: Literal["symbols", "words"] = "symbols"
    """The unit of lengths: symbols of the vocabulary, or words (for vocabularies of words or subwords)."""
    max_ratio: Annotated[float, Field(ge=0)] = 2.0
    """At most `max_ratio * source length + max_offset` symbols or words, rounded up."""
    max_offset: Annotated[int, Field(ge=0)] = 16
    """See `max_ratio`."""
    max_length: Annotated[int, Field(ge=1)] | None = None
    """Never more than this, for any source."""
    min_length: Annotated[int, Field(ge=0)] = 0
    """At least this many; a source too short for it by `max_ratio` may have this many."""
    min_ratio: Annotated[float, Field(ge=0)] = 0.0
    """At least `min_ratio * source length`, rounded down."""

    def __post_init__(self) -> None:
        if self.max_ratio == 0 and self.max_offset == 0:
            raise ConfigError("`max_ratio` or `max_offset` must be greater than 0, but both are 0: every hypothesis would be empty.")
        if self.max_length is not None and self.min_length > self.max_length:
            raise ConfigError(f"`min_length` must be at most `max_length` ({self.max_length}), but is {self.min_length}.")
        if self.min_ratio > self.max_ratio:
            raise ConfigError(f"`min_ratio` must be at most `max_ratio` ({self.max_ratio}), but is {self.min_ratio}.")


SYMBOLS_PER_WORD = 12  # a hypothesis of limited words has at most so many symbols for each, lest one word go on for ever


@dataclass(frozen=True)
class Limits:
    """The minimum and maximum number of elements for each source; kept on the host, where loops are planned. `words` are limits in words,
    if any."""

    minimum: Int[np.ndarray, " B"]
    maximum: Int[np.ndarray, " B"]
    words: "Limits | None" = None

    @property
    def steps(self) -> int:
        """The greatest number of steps that any source needs: its elements and the end symbol."""
        return int(self.maximum.max()) + 1


def limits_of(settings: LimitsConfig, lengths: Int[Tensor, " B"], longest_target: int | None = None) -> Limits:
    """The limits for sources of these lengths, which are in the unit of the settings; `longest_target` is that of the model."""
    source = lengths.detach().cpu().numpy().astype(np.int64)
    maximum = np.ceil(settings.max_ratio * source).astype(np.int64) + settings.max_offset
    minimum = np.maximum(np.floor(settings.min_ratio * source).astype(np.int64), settings.min_length)
    maximum = np.maximum(maximum, minimum)
    if settings.max_length is not None:
        maximum = np.minimum(maximum, settings.max_length)
    most = np.iinfo(np.int64).max if longest_target is None else longest_target - 1
    if settings.unit == "symbols":
        maximum = np.minimum(maximum, most)
        return Limits(np.minimum(minimum, maximum), maximum)
    words = Limits(np.minimum(minimum, maximum), maximum)
    return Limits(np.zeros_like(maximum), np.minimum(SYMBOLS_PER_WORD * maximum, most), words=words)
