"""A model that wraps another one and behaves like it, except for what a subclass changes."""

from typing import Any

from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Memory
from antiphon.contracts.specs import Spec


class Wrapped(StepwiseModel):
    """Has the properties of `model`; uses its memories and states. `target` is a spec of its own if its symbols differ."""

    def __init__(self, model: StepwiseModel, target: Spec | None = None):
        super().__init__()
        self.model, self.source, self.target = model, model.source, target or model.target

    @property
    def stride(self) -> int:
        """The stride of the wrapped model."""
        return self.model.stride

    @property
    def longest_source(self) -> int | None:
        """The longest source of the wrapped model."""
        return self.model.longest_source

    @property
    def longest_target(self) -> int | None:
        """The longest target of the wrapped model."""
        return self.model.longest_target

    @property
    def wait_k(self) -> int | None:
        """The wait-k value of the wrapped model."""
        return self.model.wait_k

    @property
    def gives_attention(self) -> bool:
        """Whether the wrapped model gives attention weights."""
        return self.model.gives_attention

    @property
    def copies(self) -> bool:
        """Whether the wrapped model copies."""
        return self.model.copies

    def project(self, memory: Memory) -> Memory:
        """The projections of the wrapped model."""
        return self.model.project(memory)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> Any:
        """The first state of the wrapped model."""
        return self.model.init_state(memory, beam_size, max_length)
