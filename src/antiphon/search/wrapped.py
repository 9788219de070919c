"""A model around another one, which is as that one is but for what a subclass changes."""

from typing import Any

from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Memory
from antiphon.contracts.specs import Spec


class Wrapped(StepwiseModel):
    """Says of itself what `model` says; takes its memories and states. `target` is its own where its symbols are others."""

    def __init__(self, model: StepwiseModel, target: Spec | None = None):
        super().__init__()
        self.model, self.source, self.target = model, model.source, target or model.target

    @property
    def stride(self) -> int:
        """As the model."""
        return self.model.stride

    @property
    def longest_source(self) -> int | None:
        """As the model."""
        return self.model.longest_source

    @property
    def longest_target(self) -> int | None:
        """As the model."""
        return self.model.longest_target

    @property
    def wait_k(self) -> int | None:
        """As the model."""
        return self.model.wait_k

    @property
    def gives_attention(self) -> bool:
        """As the model."""
        return self.model.gives_attention

    @property
    def copies(self) -> bool:
        """As the model."""
        return self.model.copies

    def project(self, memory: Memory) -> Memory:
        """As the model."""
        return self.model.project(memory)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> Any:
        """As the model."""
        return self.model.init_state(memory, beam_size, max_length)
