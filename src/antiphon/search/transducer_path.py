"""Greedy search for transducers: at each state the most probable symbols, until that is the blank.

It is decided state by state, so a recording may come in parts, and nothing that was said is ever taken back.

Unusual here: until a symbol is said the predictor does not change, so the joiner looks at several states ahead at once, and the loop is
over symbols rather than states (as the label-looping of Bataev et al. 2024).
"""

from dataclasses import dataclass, field
from typing import Protocol, final, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Memory
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.search.preparation import token_target

MAX_SYMBOLS = 8  # at one state, unless a search says otherwise

_AHEAD = 8  # states that are looked at together


@runtime_checkable
class Transduces(Protocol):
    """A model that outputs symbols at each state of its memory until it outputs the blank, which is the target's padding symbol."""

    def heard(self, memory: Memory) -> Float[Tensor, "B S J"]:
        """The encoder's contribution for each state."""

    def begin(self, rows: int) -> tuple[Float[Tensor, "R J"], Tensor]:
        """The predictor's contribution after the start symbol, for R rows, and its state, a tensor with a row for each."""

    def advance(self, symbols: Int[Tensor, " R"], state: Tensor) -> tuple[Float[Tensor, "R J"], Tensor]:
        """The predictor's contribution after one more symbol, and its state. Does not change the given state."""

    def join(self, heard: Float[Tensor, "... J"], predicted: Float[Tensor, "... J"]) -> Float[Tensor, "... V"]:
        """Unnormalized log-probabilities of the next symbol, for contributions that are broadcast against each other."""


@runtime_checkable
class Chains(Protocol):
    """Computes log-probabilities of whole sequences from a transducer's output features; it knows all states."""

    def chain(
        self, predicted: Float[Tensor, "B U1 J"], symbols: Int[Tensor, "B U"], lengths: Int[Tensor, " B"], blank: int
    ) -> Float[Tensor, "B U1"]:
        """The log-probability of each symbol given those before it, over all alignments, and of the end after the last."""


@dataclass(frozen=True)
class Parts:
    """A transducer, and its target spec."""

    model: Transduces
    target: TokenSpec

    def log_probs(self, heard: Float[Tensor, "... J"], predicted: Float[Tensor, "... J"]) -> Float[Tensor, "... V"]:
        """The model's log-probabilities of all symbols; minus infinity for forbidden ones, without renormalizing the others."""
        logits = self.model.join(heard, predicted)
        found: Tensor = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
        found[..., self.target.start] = -torch.inf
        found[..., self.target.end] = -torch.inf
        return found


def parts_of(model: Seq2SeqModel, reader: str) -> Parts:
    """The model as a transducer. Raises ConfigError for another model; `reader` is named in the error."""
    if not isinstance(model, Transduces):
        raise ConfigError(f"{reader} needs `model: transducer`, and no ensemble, but this model is a {type(model).__name__}.")
    return Parts(model, token_target(model, reader))


@dataclass
class Said:
    """The output of one row: symbols, the state of each, and the log-probability of each with the blanks before it.

    `waiting` is that of the blanks behind the last.
    """

    symbols: list[int] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    waiting: float = 0.0


@final
class LikeliestPath:
    """The paths of several rows at once, whose states may arrive in parts."""

    def __init__(self, parts: Parts, rows: int, most: int):
        """`most` is the maximum number of symbols at one state."""
        self.parts, self.most = parts, most
        self.rows = [Said() for _ in range(rows)]
        self.seen = 0
        self._predicted, self._state = parts.model.begin(rows)
        self._count = torch.zeros(rows, dtype=torch.int64, device=self._predicted.device)  # said at the state that is looked at

    def extend(self, encoded: Float[Tensor, "B S J"], frames: Int[Tensor, " B"]) -> None:
        """Process some more states, of which the first `frames` of each row are real."""
        place = torch.zeros_like(frames)
        while len(rows := (place < frames).nonzero().squeeze(1)):
            place[rows] = self._look(encoded, frames, rows, place[rows])
        self.seen += encoded.shape[1]

    def _look(self, encoded: Tensor, frames: Tensor, rows: Int[Tensor, " N"], place: Int[Tensor, " N"]) -> Int[Tensor, " N"]:
        """Look ahead from the position of each row to the first symbol, or to the end of the available states; returns the position to
        continue from."""
        ahead = place.unsqueeze(1) + torch.arange(min(_AHEAD, encoded.shape[1]), device=place.device)
        real = ahead < frames[rows].unsqueeze(1)
        states = encoded[rows.unsqueeze(1), ahead.clamp(max=encoded.shape[1] - 1)]
        log_probs = self.parts.log_probs(states, self._predicted[rows].unsqueeze(1))
        blank = self.parts.target.pad
        score, symbol = log_probs.max(-1)
        says = (symbol != blank) & real
        says[:, 0] &= self._count[rows] < self.most
        silent = says.cumsum(1) == 0  # states up to the first that says something
        waited = torch.where(silent & real, log_probs[..., blank], 0.0).sum(1)
        first = silent.sum(1)
        speaks = first < ahead.shape[1]
        at = first.clamp(max=ahead.shape[1] - 1).unsqueeze(1)
        chosen = symbol.gather(1, at).squeeze(1)
        self._note(rows, speaks, chosen, score.gather(1, at).squeeze(1), waited, place + first)
        count = torch.where(first > 0, 0, self._count[rows]) + speaks
        self._count[rows] = torch.where(speaks, count, 0)
        speaking = rows[speaks]
        if len(speaking):
            self._predicted[speaking], self._state[speaking] = self.parts.model.advance(chosen[speaks], self._state[speaking])
        return torch.minimum(place + first, frames[rows])

    def _note(self, rows: Tensor, speaks: Tensor, symbol: Tensor, score: Tensor, waited: Tensor, state: Tensor) -> None:
        columns = (rows, speaks, symbol, score, waited, state)
        for row, spoke, said, gained, silence, where in zip(*(column.tolist() for column in columns), strict=True):
            own = self.rows[row]
            own.waiting += silence
            if spoke:
                own.symbols.append(said)
                own.states.append(self.seen + where)
                own.scores.append(own.waiting + gained)
                own.waiting = 0.0
