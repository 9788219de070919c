"""How hypotheses are found: a search uses only the steps of a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final, runtime_checkable

from antiphon.contracts.sequences import Hypothesis, Padded, Request
from antiphon.errors import DataError


@final
class RequestError(DataError):
    """Requests of a batch that no output can fulfil; `reasons` has a sentence for each row of the batch that has one."""

    def __init__(self, reasons: Mapping[int, str]):
        self.reasons = dict(reasons)
        row, reason = next(iter(self.reasons.items()))
        super().__init__(f"Source {row} of the batch: {reason}")


@runtime_checkable
class Search(Protocol):
    """Turns memories into hypotheses, knowing only the step."""

    def __call__(self, model: Any, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch with a StepwiseModel, or any Seq2SeqModel if the plug-in says so: each source's hypotheses, best first.

        Raises RequestError when what is asked of some sources cannot be.
        """
        ...


@runtime_checkable
class SaysCopies(Protocol):
    """A search that can find out what a model has copied, and from where (`Hypothesis.copied`), which takes a pass more."""

    def with_copies(self) -> Search:
        """The same search, which does so."""
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
