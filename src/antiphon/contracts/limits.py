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
    """What happens to an example with nothing on one side: it is left out, or stops the run; `keep` learns from an empty target, for models
    that may say nothing, and leaves out only what has an empty source."""

    def of_sources(self) -> "Limits":
        """What holds for every record, also one that is not learned from: where long sources are truncated, all of them are, and where
        empty targets are kept, so are those that are only compared with."""
        empty: Literal["drop", "keep"] = "keep" if self.empty == "keep" else "drop"
        truncates = self.too_long == "truncate"
        return Limits(max_source_length=self.max_source_length, too_long="truncate", empty=empty) if truncates else Limits(empty=empty)
