"""A model of series whose rollout is known in closed form: y(t+1) = phi y(t) + beta k(t+1) + noise, with a source-dependent level."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Normal

from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Memory, Output, Padded, Quantiles
from antiphon.contracts.specs import ValueSpec


@final
class AutoregressiveModel(StepwiseModel):
    """AR(1) with one known channel; `kind` is what its head says. It counts the rows of the memory and of the state in each step."""

    def __init__(self, kind: str = "points", phi: float = 0.8, beta: float = 0.5, deviation: float = 0.3, channels: int = 2):
        super().__init__()
        self.source, self.target = ValueSpec(channels), ValueSpec(channels, known=1)
        self.kind, self.phi, self.beta, self.deviation, self.channels = kind, phi, beta, deviation, channels
        self.rows: list[tuple[int, int]] = []

    def encode(self, source: Padded) -> Memory:
        return Memory(source.values.float(), source.mask)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> Tensor:
        return torch.zeros(len(memory.mask) * beam_size, 1)

    def next(self, inputs: Tensor) -> Tensor:
        return self.phi * inputs[..., : self.channels] + self.beta * inputs[..., self.channels :]

    def step(self, last: Tensor, memory: Memory, state: Tensor, *, attention: bool = False) -> tuple[Output, Tensor]:
        assert len(last) == len(state)
        self.rows.append((len(memory.mask), len(last)))
        return Output(self.next(last), self.head), state + 1

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        return Output(self.next(inputs.values), self.head)

    def head(self, features: Tensor) -> object:
        if self.kind == "points":
            return features
        if self.kind == "quantiles":
            return Quantiles(features.unsqueeze(-1) + torch.tensor([-1.0, 0.0, 2.0]), (0.1, 0.5, 0.8))
        return Normal(features, self.deviation)

    def closed_form(self, known: Tensor) -> Tensor:
        """(T, C): the path without noise from (T, C + 1), the start element and what is known."""
        path, value = [], known[0, : self.channels]
        for step in range(len(known)):
            start = self.phi ** (step + 1) * value
            path.append(start + sum(self.phi ** (step - i) * self.beta * known[i, self.channels :] for i in range(step + 1)))
        return torch.stack(path)
