"""References that carry their source, for metrics that compare an output with its source.

Metrics get predictions and references, nothing else. A summary is also to be judged by its source: what it copies, and what it adds. So the
reference of a task with sources is a text like any other, and holds its source beside.
"""

from collections.abc import Sequence
from typing import Any, final

from antiphon.errors import DataError


@final
class SourcedText(str):
    """A text with its source. It equals the plain text, and what is derived from it (`upper`, slices, `str()`) is plain text."""

    source: str
    __slots__ = ("source",)

    def __new__(cls, text: str, source: str) -> "SourcedText":
        made = super().__new__(cls, text)
        made.source = source
        return made

    def __reduce__(self) -> tuple[type["SourcedText"], tuple[str, str]]:
        """The arguments from which copies and pickles are made."""
        return SourcedText, (str(self), self.source)


def source_of(metric: str, alternatives: Sequence[Any], number: int) -> str:
    """The source of item `number`, which all alternatives share. Raises DataError if none of them carries it."""
    for reference in alternatives:
        if isinstance(reference, SourcedText):
            return reference.source
    raise DataError(
        f"A reference of item {number} must carry its source for the metric `{metric}`, but is the plain text {str(alternatives[0])!r:.60}."
        " Tasks whose outputs are to be compared with sources, such as `summarization`, give it; in Python pass"
        " antiphon.metrics.sourced.SourcedText(reference, source)."
    )
