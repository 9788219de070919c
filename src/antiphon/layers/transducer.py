"""The parts of a transducer after its encoder (Graves 2012): the predictor over the symbols so far, and the joiner of both sides.

    predictor   a stateless one sees the last symbols only, through an embedding and a small convolution (Ghodsi et al. 2020), or an LSTM
                sees all of them
    joiner      logits of every symbol, and of the blank, at every pair of a state of the encoder and a number of symbols said

Unusual here: a predictor's state is a tensor with a row per hypothesis, since searches over states advance some rows and not others.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from antiphon.contracts.specs import TokenSpec
from antiphon.layers.dropout import Dropout
from antiphon.layers.lattice import Joined, chain_scores
from antiphon.layers.linear import Linear, Product
from antiphon.layers.recurrent import RecurrentStack, RecurrentState


class Predictor(nn.Module, ABC):
    """Maps the symbols so far, the start symbol first, to vectors of width `dim`. A state is one tensor, a row per hypothesis."""

    dim: int

    @abstractmethod
    def forward(self, symbols: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """The vectors after each symbol, all at once."""

    @abstractmethod
    def begin(self, rows: int) -> Tensor:
        """The state before the start symbol, for R rows."""

    @abstractmethod
    def step(self, last: Int[Tensor, " R"], state: Tensor) -> tuple[Float[Tensor, "R D"], Tensor]:
        """The vector after one more symbol for each row. Does not change the given state."""


@final
class StatelessPredictor(Predictor):
    """A predictor with the last `context` symbols as input: embeddings, a depthwise convolution over them, and a rectifier."""

    def __init__(self, target: TokenSpec, dim: int, *, context: int, dropout: float):
        super().__init__()
        self.dim, self.context, self.target = dim, context, target
        self.embedding = nn.Embedding(target.size, dim, padding_idx=target.pad)  # before the start there is padding, which is zero
        self.convolution = nn.Conv1d(dim, dim, context, groups=dim) if context > 1 else None
        self.dropout = Dropout(dropout)

    def forward(self, symbols: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """The vector after each symbol."""
        return self._vectors(nn.functional.pad(symbols, (self.context - 1, 0), value=self.target.pad))

    def begin(self, rows: int) -> Int[Tensor, "R P"]:
        """The earlier symbols that the next step uses: all padding."""
        return self.embedding.weight.new_full((rows, self.context - 1), self.target.pad, dtype=torch.int64)

    def step(self, last: Int[Tensor, " R"], state: Int[Tensor, "R P"]) -> tuple[Float[Tensor, "R D"], Int[Tensor, "R P"]]:
        """The vector after the last symbols."""
        window = torch.cat([state, last.unsqueeze(1)], dim=1)
        return self._vectors(window).squeeze(1), window[:, 1:]

    def _vectors(self, symbols: Int[Tensor, "N P"]) -> Float[Tensor, "N T D"]:
        x: Tensor = self.dropout(self.embedding(self.target.known(symbols)))
        if self.convolution is None:
            return x
        return self.convolution(x.transpose(1, 2)).transpose(1, 2).relu()  # type: ignore[no-any-return]


@final
class RecurrentPredictor(Predictor):
    """A predictor with all symbols as input: embeddings and a stack of LSTM layers."""

    def __init__(self, target: TokenSpec, dim: int, *, layers: int, dropout: float):
        super().__init__()
        self.dim, self.target = dim, target
        self.embedding = nn.Embedding(target.size, dim)
        self.stack = RecurrentStack(dim, dim, layers, cell="lstm", bidirectional=False, dropout=dropout, variational=False)
        self.dropout = Dropout(dropout)

    def forward(self, symbols: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """The vector after each symbol."""
        states, _ = self.stack(self.dropout(self.embedding(self.target.known(symbols))))
        return self.dropout(states)  # type: ignore[no-any-return]

    def begin(self, rows: int) -> Float[Tensor, "R L 2 D"]:
        """The hidden and cell state of each layer: zeros."""
        return self.embedding.weight.new_zeros(rows, len(self.stack.layers), 2, self.dim)

    def step(self, last: Int[Tensor, " R"], state: Float[Tensor, "R L 2 D"]) -> tuple[Float[Tensor, "R D"], Float[Tensor, "R L 2 D"]]:
        """One step of the stack."""
        before = RecurrentState(state[:, :, 0], state[:, :, 1])
        vector, after = self.stack.step(self.embedding(self.target.known(last)), before)
        assert after.cell is not None, "an LSTM has cells"
        return vector, torch.stack([after.hidden, after.cell], dim=2)


@final
class Joiner(nn.Module):
    """Two sides of width `dim` -> logits of the target's symbols, with padding as blank: a linear layer of the tanh of their sum."""

    def __init__(self, encoder_dim: int, predictor_dim: int, dim: int, size: int):
        super().__init__()
        self.from_encoder = Linear(encoder_dim, dim)
        self.from_predictor = Linear(predictor_dim, dim, bias=False)
        out = nn.Linear(dim, size)
        self.weight, self.bias = nn.Parameter(out.weight.data), nn.Parameter(out.bias.data)
        self.product = Product()

    def forward(self, encoded: Float[Tensor, "... J"], predicted: Float[Tensor, "... J"]) -> Float[Tensor, "... V"]:
        """Unnormalized log-probabilities for the outputs of `from_encoder` and `from_predictor`, broadcast against each other."""
        return self.of_sum(encoded + predicted)

    def of_sum(self, sides: Float[Tensor, "... J"]) -> Float[Tensor, "... V"]:
        """Unnormalized log-probabilities for sums of both sides."""
        logits: Tensor = self.product(torch.tanh(sides), self.weight, self.bias)
        return logits


@final
@dataclass(frozen=True)
class Lattice:
    """Computes logits from a transducer's output features, which are the predictor's side of the joiner (B, U, J).

    `encoded` is the encoder's side, and `mask` says which of its states are real. A loss reads both and the joiner's weights, since the
    logits of all pairs (B, S, U, V) would fill the memory.
    """

    joiner: Joiner
    encoded: Float[Tensor, "B S J"]
    mask: Bool[Tensor, "B S"]

    def __call__(self, predicted: Float[Tensor, "B U J"]) -> Float[Tensor, "B S U V"]:
        """Logits for all pairs."""
        return self.joiner(self.encoded.unsqueeze(2), predicted.unsqueeze(1))  # type: ignore[no-any-return]

    def chain(
        self, predicted: Float[Tensor, "B U1 J"], symbols: Int[Tensor, "B U"], lengths: Int[Tensor, " B"], blank: int
    ) -> Float[Tensor, "B U1"]:
        """The log-probability of each symbol given those before it, and of the end after the last; 0 beyond."""
        joined = Joined.of(self.joiner.weight, self.joiner.bias)
        return chain_scores(self.encoded, predicted, joined, symbols, self.mask.sum(1), lengths, blank)
