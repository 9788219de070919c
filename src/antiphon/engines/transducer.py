"""A transducer whose parts are run by an engine (`exporters/transducer_parts.py`), with the same interface for searches as the model
itself.

Unusual here: the state before the first symbol comes from no graph. It is padding, or zeros, of a shape that the folder's header has.
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from antiphon.contracts.sequences import Memory, Output, Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.engines.graphs import GraphModel
from antiphon.layers.lattice import Joined, chain_scores


@final
class TransducerGraphModel(GraphModel):
    """Encoder, predictor and joiner as graphs."""

    def heard(self, memory: Memory) -> Float[Tensor, "B S J"]:
        """The encoder's contribution to the joiner for each state."""
        side: Tensor = memory.projections["memory_2"]
        return side

    def begin(self, rows: int) -> tuple[Float[Tensor, "R J"], Tensor]:
        """The predictor's output after the start symbol, for R rows, and its state."""
        assert isinstance(self.target, TokenSpec), "transducers write symbols"
        return self._begun(torch.full((rows,), self.target.start))

    def advance(self, symbols: Int[Tensor, " R"], state: Tensor) -> tuple[Float[Tensor, "R J"], Tensor]:
        """The predictor's output after one more symbol, and its state."""
        found = self.graphs.run("advance", {"last": symbols, "state": state})
        return found["predicted"], found["state"]

    def join(self, heard: Float[Tensor, "... J"], predicted: Float[Tensor, "... J"]) -> Float[Tensor, "... V"]:
        """Logits for pairs of encoder and predictor outputs, which are broadcast against each other."""
        return self.logits_of(heard + predicted)

    def logits_of(self, sides: Float[Tensor, "... J"]) -> Float[Tensor, "... V"]:
        """Logits for sums of encoder and predictor outputs."""
        found: Tensor = self.graphs.run("join", {"sides": sides.reshape(-1, sides.shape[-1])})["said"]
        return found.view(*sides.shape[:-1], found.shape[-1])

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """The joiner over all states and all inputs: `values` are logits (B, S, U, V)."""
        first, *others = inputs.values.unbind(1)
        side, state = self._begun(first)
        sides = [side]
        for symbols in others:
            side, state = self.advance(symbols, state)
            sides.append(side)
        lattice = GraphLattice(self, self.heard(memory), memory.mask)
        return Output(torch.stack(sides, dim=1), lattice, frames=self.frames(memory))

    def _begun(self, starts: Int[Tensor, " R"]) -> tuple[Float[Tensor, "R J"], Tensor]:
        shape = self.facts.predictor
        assert isinstance(self.target, TokenSpec), "transducers write symbols"
        assert shape is not None, "opened only where there is a predictor"
        size = (starts.shape[0], *shape)
        return self.advance(starts, torch.full(size, self.target.pad) if len(shape) == 1 else torch.zeros(size))


@final
@dataclass(frozen=True)
class GraphLattice:
    """Computes logits from the output's features and the predictor's outputs (B, U, J)."""

    model: TransducerGraphModel
    encoded: Float[Tensor, "B S J"]
    mask: Bool[Tensor, "B S"]

    def __call__(self, predicted: Float[Tensor, "B U J"]) -> Float[Tensor, "B S U V"]:
        """Logits of all pairs."""
        return self.model.join(self.encoded.unsqueeze(2), predicted.unsqueeze(1))

    def chain(
        self, predicted: Float[Tensor, "B U1 J"], symbols: Int[Tensor, "B U"], lengths: Int[Tensor, " B"], blank: int
    ) -> Float[Tensor, "B U1"]:
        """The log-probability of each symbol given those before it, and of the end after the last; 0 beyond."""
        assert isinstance(self.model.target, TokenSpec), "transducers write symbols"
        joined = Joined(self.model.logits_of, self.model.target.size, torch.float32)
        return chain_scores(self.encoded, predicted, joined, symbols, self.mask.sum(1), lengths, blank)
