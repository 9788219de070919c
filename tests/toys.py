"""Small stepwise models for tests of search: no training, no layers, but a real memory, a real state and real attention.

The logits of a step depend on the last two symbols, the position, and the source through attention, whose query is the last symbol: so a
state that was reordered wrongly, a memory row of the wrong source or a forgotten mask changes the result.
"""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Memory, Output, Padded
from antiphon.contracts.specs import TokenSpec

PAD, UNKNOWN, START, END = 0, 1, 2, 3


@dataclass(frozen=True)
class ToyState:
    """Batch first in every tensor. `said` is a buffer as large as `max_length`, filled up to `position`."""

    previous: Tensor  # (R,)
    said: Tensor  # (R, T)
    position: Tensor  # (R,)


@final
class ToyModel(StepwiseModel):
    """Random tables: logits = second[last but one] + first[last] + drift[position] + attended source.

    `rows_per_step` and `sources_per_step` count the rows of the state and of the memory in each step.
    """

    def __init__(
        self, size: int = 7, seed: int = 0, *, has_attention: bool = True, end_bias: float = 0.0, scale: float = 1.5, dim: int = 5
    ):
        super().__init__()
        self.source = TokenSpec(size, PAD, UNKNOWN, START, END, "toy")
        self.target = TokenSpec(size, PAD, UNKNOWN, START, END, "toy")
        self.has_attention = has_attention
        generator = torch.Generator().manual_seed(seed)

        def table(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator) * scale

        self.first, self.second = table(size, size), table(size, size)
        self.drift = table(64, size)  # by position: without it, sequences that say the same pairs in another order would tie
        self.embedding, self.query, self.projection = table(size, dim), table(size, dim), table(dim, size)
        self.first[:, END] += end_bias
        self.rows_per_step: list[int] = []
        self.sources_per_step: list[int] = []

    @property
    def gives_attention(self) -> bool:
        return self.has_attention

    def encode(self, source: Padded) -> Memory:
        return Memory(self.embedding[source.values], source.mask)

    def project(self, memory: Memory) -> Memory:
        return Memory(memory.states, memory.mask, projections=memory.states @ self.projection)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> ToyState:
        rows = memory.states.shape[0] * beam_size
        return ToyState(torch.full((rows,), START), torch.full((rows, max_length), PAD), torch.zeros(rows, dtype=torch.int64))

    def step(self, last: Tensor, memory: Memory, state: ToyState, *, attention: bool = False) -> tuple[Output, ToyState]:
        self.rows_per_step.append(len(last))
        self.sources_per_step.append(memory.states.shape[0])
        width = len(last) // memory.states.shape[0]
        assert memory.projections is not None, "the memory must be projected"
        scores = (self.query[last].view(-1, width, 1, self.query.shape[1]) * memory.states.unsqueeze(1)).sum(-1)  # (B, W, S)
        weights = scores.masked_fill(~memory.mask.unsqueeze(1), -float("inf")).softmax(-1)
        context = (weights.unsqueeze(-1) * memory.projections.unsqueeze(1)).sum(2).flatten(0, 1)
        said = state.said.scatter(1, state.position.unsqueeze(1), last.unsqueeze(1))  # fails when the buffer is too short
        previous = state.previous
        logits = self.first[last] + 0.5 * self.second[previous] + 0.3 * self.drift[state.position % 64] + context
        output = Output(logits, _identity, weights.flatten(0, 1) if attention and self.has_attention else None)
        return output, ToyState(last, said, state.position + 1)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        memory, steps = self.project(memory), inputs.values.shape[1]
        state = self.init_state(memory, 1, steps)
        outputs = []
        for step in range(steps):
            output, state = self.step(inputs.values[:, step], memory, state, attention=attention)
            outputs.append(output)
        weights = torch.stack([o.attention for o in outputs], 1) if attention and self.has_attention else None
        return Output(torch.stack([output.features for output in outputs], 1), _identity, weights)


@final
class LookUpModel(StepwiseModel):
    """The logits of a step are a row of a table, chosen by the symbols said so far; for hand-made distributions. It ignores the source."""

    def __init__(self, table: dict[tuple[int, ...], list[float]], size: int):
        super().__init__()
        self.source = self.target = TokenSpec(size, PAD, UNKNOWN, START, END)
        self.table = table

    def encode(self, source: Padded) -> Memory:
        return Memory(source.values.unsqueeze(-1).float(), source.mask)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> Tensor:
        return torch.empty(memory.states.shape[0] * beam_size, 0, dtype=torch.int64)

    def step(self, last: Tensor, memory: Memory, state: Tensor, *, attention: bool = False) -> tuple[Output, Tensor]:
        said = torch.cat((state, last.unsqueeze(1)), 1)
        default = [0.0] * self.target.size
        rows = [self.table.get(tuple(row[1:]), default) for row in said.tolist()]
        return Output(torch.tensor(rows), _identity), said

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        state, outputs = self.init_state(memory, 1, 0), []
        for step in range(inputs.values.shape[1]):
            output, state = self.step(inputs.values[:, step], memory, state)
            outputs.append(output.features)
        return Output(torch.stack(outputs, 1), _identity)


def toy_source(*sentences: list[int]) -> Padded:
    """Symbols side by side; what lies behind a sentence is filled with a real symbol, so that a forgotten mask shows."""
    longest = max(len(sentence) for sentence in sentences)
    rows = [[*sentence, *[4] * (longest - len(sentence))] for sentence in sentences]
    return Padded(torch.tensor(rows), torch.tensor([len(sentence) for sentence in sentences]))


def _identity(features: Tensor) -> Tensor:
    return features
