"""Limits on the lengths of examples, and what is done with examples that are too long or empty."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from antiphon.contracts.configuration import Count, config


def least(*lengths: int | None) -> int | None:
    """The smallest of several limits; None means no limit."""
    return min((length for length in lengths if length is not None), default=None)


@config
class Limits:
    """Lengths are in encoded elements, as the model sees them: the end symbol counts, a target's start element does not."""

    max_source_length: Count | None = None
    """The longest source, in elements; null means no limit except the model's positions."""
    max_target_length: Count | None = None
    """The longest target, in elements; null means no limit except the model's positions."""
    too_long: Literal["drop", "truncate", "error"] = "drop"
    """What happens to an example that is too long: it is left out, truncated (keeping its end symbol), or stops the run. For examples with
    more elements than the model has positions, this applies wherever records are read."""
    max_length_ratio: Annotated[float, Field(ge=1)] | None = None
    """Leave out examples with one side more than this many times as long as the other; null means no limit."""
    empty: Literal["drop", "error", "keep"] = "drop"
    """What happens to a record with an empty side, in training and in evaluation: it is left out and counted, or stops the run; `keep`
    keeps an empty target, for models that may output nothing, and leaves out only records with an empty source."""

    def of_sources(self) -> "Limits":
        """The limits that hold for every record, in prediction as well: those for empty records, and truncation of sources if it is set."""
        most = self.max_source_length if self.too_long == "truncate" else None
        return Limits(max_source_length=most, too_long=self.too_long, empty=self.empty)

    def within(self, longest_source: int | None, longest_target: int | None) -> "Limits":
        """The same limits, lowered to what a model can read and write."""
        source, target = least(self.max_source_length, longest_source), least(self.max_target_length, longest_target)
        if (source, target) == (self.max_source_length, self.max_target_length):
            return self
        return replace(self, max_source_length=source, max_target_length=target)
