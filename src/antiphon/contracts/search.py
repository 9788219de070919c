"""How hypotheses are found, by something that knows no model but its steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from antiphon.contracts.sequences import Hypothesis, Padded, Request


@runtime_checkable
class Search(Protocol):
    """Turns memories into hypotheses, knowing only the step."""

    def __call__(self, model: Any, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch with a StepwiseModel, or any Seq2SeqModel if the plug-in says so: each source's hypotheses, best first."""
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
