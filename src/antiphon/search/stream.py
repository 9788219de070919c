"""Decodes a recording while it is arriving: the best path of CTC, or the most probable path of a transducer, symbol by symbol.

Both are decided state by state, so nothing that was given is ever taken back, and what a stream has given at its end is what the search
`ctc` or `transducer` (each without a beam) finds in the whole recording.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.search.preparation import token_target
from antiphon.search.transducer_path import MAX_SYMBOLS, LikeliestPath, Parts, Transduces, parts_of


@runtime_checkable
class Followed(Protocol):
    """One recording in progress: takes frames (S, C) and returns the output for the completed states: logits (S', V), or for a transducer
    the encoder's contribution to the joiner (S', J)."""

    def feed(self, frames: Tensor) -> Tensor: ...

    def finish(self) -> Tensor: ...


@runtime_checkable
class Follows(Protocol):
    """A model that can encode a recording while it is arriving."""

    def follow(self) -> Followed: ...


@dataclass(frozen=True)
class Heard:
    """The output so far. `elements` (T,) are symbols, and `spans` (T, 2) their states in the memory; the last one may continue.

    `frames` of the source have been decided, of `received`. `final` is true of the last one, when there is no more to come.
    """

    elements: np.ndarray
    spans: np.ndarray
    frames: int
    received: int
    final: bool = False


@final
class StreamedSearch:
    """A search in one recording that is arriving. Raises ConfigError when the model cannot follow it.

    `model` is one that `Follows`, such as `encoder_only` or `transducer` with `chunk`. `max_symbols` may be said at one state of a
    transducer.
    """

    def __init__(self, model: Seq2SeqModel, *, max_symbols: int = MAX_SYMBOLS):
        if not isinstance(model, Follows):
            raise ConfigError(
                f"A stream needs `model: encoder_only` or `model: transducer` with `chunk`, but this model is a {type(model).__name__}."
            )
        self._followed, self._stride, self._received = model.follow(), model.stride, 0
        self._path: _BestPath | _LikeliestPath
        if isinstance(model, Transduces):
            self._path = _LikeliestPath(parts_of(model, "A stream"), max_symbols)
        else:
            self._path = _BestPath(token_target(model, "A stream"))

    def hear(self, piece: Float[np.ndarray, "S C"]) -> Heard:
        """The output so far, after some more frames."""
        self._received += len(piece)
        self._path.extend(self._followed.feed(torch.as_tensor(piece)))
        return self._path.heard(min(self._path.states * self._stride, self._received), self._received)

    def end(self) -> Heard:
        """The final output, when the recording has ended."""
        self._path.extend(self._followed.finish())
        return self._path.heard(self._received, self._received, final=True)


def stream(model: Seq2SeqModel, pieces: Iterable[np.ndarray], *, max_symbols: int = MAX_SYMBOLS) -> Iterator[Heard]:
    """The output so far, after each piece of frames (S, C), of any length, and once more at the end; see `StreamedSearch`."""
    search = StreamedSearch(model, max_symbols=max_symbols)
    for piece in pieces:
        yield search.hear(piece)
    yield search.end()


@final
class _BestPath:
    """The most probable symbol of each state, without repetitions and blanks."""

    def __init__(self, target: TokenSpec):
        self.blank, self.forbidden = target.pad, [target.start, target.end]
        self.states, self.last = 0, target.pad
        self.count = 0
        self.rows = np.zeros((256, 3), dtype=np.int64)  # element, first state, state behind the last; doubled when it is full

    def extend(self, logits: Tensor) -> None:
        """Process some more states."""
        forbidden = torch.tensor(self.forbidden, device=logits.device)
        for symbol in logits.index_fill(1, forbidden, -float("inf")).argmax(-1).tolist():
            if symbol != self.blank and symbol == self.last:
                self.rows[self.count - 1, 2] = self.states + 1
            elif symbol != self.blank:
                if self.count == len(self.rows):
                    self.rows = np.concatenate([self.rows, np.zeros_like(self.rows)])
                self.rows[self.count] = symbol, self.states, self.states + 1
                self.count += 1
            self.states, self.last = self.states + 1, symbol

    def heard(self, frames: int, received: int, *, final: bool = False) -> Heard:
        """The output so far."""
        rows = self.rows[: self.count]
        return Heard(rows[:, 0].copy(), rows[:, 1:].copy(), frames, received, final)  # the last may go on


@final
class _LikeliestPath:
    """The output of a transducer's greedy search, state by state."""

    @torch.inference_mode()
    def __init__(self, parts: Parts, most: int):
        self.path = LikeliestPath(parts, 1, most)

    @property
    def states(self) -> int:
        """The number of states that have been processed."""
        return self.path.seen

    @torch.inference_mode()
    def extend(self, states: Tensor) -> None:
        """Process some more states."""
        self.path.extend(states.unsqueeze(0), torch.tensor([len(states)], device=states.device))

    def heard(self, frames: int, received: int, *, final: bool = False) -> Heard:
        """The output so far."""
        (said,) = self.path.rows
        begins = np.array(said.states, dtype=np.int64)
        elements = np.array(said.symbols, dtype=np.int64)
        return Heard(elements, np.stack([begins, begins + 1], axis=1), frames, received, final)
