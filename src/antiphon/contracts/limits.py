"""How long examples may be, and what becomes of those that are longer or empty."""

from typing import Annotated, Literal

from pydantic import Field

from antiphon.contracts.configuration import Count, config


@config
class Limits:
    """Lengths are in encoded elements, as the model sees them: the end symbol counts, a target's start element does not."""

    max_source_length: Count | None = None
    """The longest source, in elements; null is no limit."""
    max_target_length: Count | None = None
    """The longest target, in elements; null is no limit."""
    too_long: Literal["drop", "truncate", "error"] = "drop"
    """What happens to an example beyond a length: it is left out, cut (keeping its end symbol), or stops the run."""
    max_length_ratio: Annotated[float, Field(ge=1)] | None = None
    """Leave out examples of which one side is more than this many times as long as the other; null is no limit."""
    empty: Literal["drop", "error", "keep"] = "drop"
    """What happens to a record with nothing on one side, in training and wherever it is scored: it is left out and counted, or stops the
    run; `keep` keeps an empty target, for models that may say nothing, and leaves out only what has an empty source."""

    def of_sources(self) -> "Limits":
        """What holds for every record, also one that is not learned from: where long sources are truncated, all are, and empty is empty."""
        truncates = self.too_long == "truncate"
        if truncates:
            return Limits(max_source_length=self.max_source_length, too_long="truncate", empty=self.empty)
        return Limits(empty=self.empty)
