"""A model that breaks on purpose: it runs out of memory above a number of rows, and one symbol makes its loss infinite."""

from dataclasses import replace
from typing import Any, Literal, final

import torch
from torch import Tensor

from antiphon.contracts import registry
from antiphon.contracts.configuration import config
from antiphon.contracts.model import Architecture, StepwiseModel
from antiphon.contracts.sequences import Memory, Output, Padded
from antiphon.contracts.specs import Spec, TokenSpec


@config
class FragileConfig:
    """When the model breaks."""

    name: Literal["tests.reliability.fragile_model"] = "tests.reliability.fragile_model"
    """The name of this architecture."""
    dim: int = 16
    """Width of the LSTM inside."""
    most_rows: int | None = None
    """Training on more rows at once is out of memory."""
    poison: bool = False
    """Whether the last (rarest) source symbol makes the output infinite in training."""


@final
class Fragile(StepwiseModel):
    """An LSTM in a bad environment."""

    def __init__(self, settings: FragileConfig, source: Spec, target: Spec):
        super().__init__()
        assert isinstance(source, TokenSpec)
        lstm = registry.find("models", "lstm")
        self.settings, self.source, self.target = settings, source, target
        self.poison = source.size - 1 if settings.poison else -1
        self.inside: StepwiseModel = lstm.build(lstm.Config(dim=settings.dim, dropout=0.0), source, target)

    def encode(self, source: Padded) -> Memory:
        most = self.settings.most_rows
        if self.training and most is not None and len(source.values) > most:
            raise torch.OutOfMemoryError(f"{len(source.values)} rows are too many")
        memory = self.inside.encode(source)
        poisoned = ((source.values == self.poison) & source.mask).any(dim=1)
        return replace(memory, states=memory.states.masked_fill(poisoned.view(-1, 1, 1), torch.inf)) if self.training else memory

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        return self.inside.decode(inputs, memory, attention=attention)

    def project(self, memory: Memory) -> Memory:
        return self.inside.project(memory)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> Any:
        return self.inside.init_state(memory, beam_size, max_length)

    def step(self, last: Tensor, memory: Memory, state: Any, *, attention: bool = False) -> tuple[Output, Any]:
        return self.inside.step(last, memory, state, attention=attention)


plugin = Architecture(name="tests.reliability.fragile_model", summary="Breaks on purpose.", Config=FragileConfig, build=Fragile)
