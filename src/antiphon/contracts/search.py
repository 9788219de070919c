"""Searches, which find hypotheses and use only the steps of a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final, runtime_checkable

from antiphon.contracts.sequences import Hypothesis, Padded, Request
from antiphon.errors import DataError


@final
class RequestError(DataError):
    """Raised for requests in a batch that no output can satisfy; `reasons` has a sentence for each such row of the batch."""

    def __init__(self, reasons: Mapping[int, str]):
        self.reasons = dict(reasons)
        row, reason = next(iter(self.reasons.items()))
        super().__init__(f"Source {row} of the batch: {reason}")


@runtime_checkable
class Search(Protocol):
    """Finds hypotheses for encoded sources, using only the model's steps."""

    def __call__(self, model: Any, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch with a StepwiseModel, or any Seq2SeqModel if the plug-in allows it; returns each source's hypotheses, best first.

        Raises RequestError when what is asked of some sources cannot be.
        """
        ...


@runtime_checkable
class SaysCopies(Protocol):
    """A search that can report which symbols a model has copied, and from where (`Hypothesis.copied`), in an additional pass."""

    def with_copies(self) -> Search:
        """The same search, with the report of copied symbols."""
        ...


@dataclass(frozen=True)
class SearchPlugin:
    """What a file in `search/` defines as `plugin`. `build(config)` makes the search.

    `stepwise` says whether it needs a model that decodes step by step.
    """

    name: str
    summary: str
    Config: type[Any]
    build: Callable[[Any], Search]
    stepwise: bool = True
