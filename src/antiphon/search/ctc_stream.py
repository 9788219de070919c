"""What a recording says, while it is made: the best path of CTC, symbol by symbol.

The best path is decided frame by frame, so nothing that was given is ever taken back, and what a stream has given at its end is what the
search `ctc` finds in the whole recording.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.search.preparation import token_target


@runtime_checkable
class Followed(Protocol):
    """One recording on its way through a model: frames (S, C) in, logits (S', V) of the states that are complete out."""

    def feed(self, frames: Tensor) -> Tensor: ...

    def finish(self) -> Tensor: ...


@runtime_checkable
class Follows(Protocol):
    """A model that can follow a recording."""

    def follow(self) -> Followed: ...


@dataclass(frozen=True)
class Heard:
    """What was said so far. `elements` (T,) are symbols, and `spans` (T, 2) the states of the memory that say them; the last may go on.

    `frames` of the source have been decided, of `received`. `final` is true of the last one, when there is no more to come.
    """

    elements: np.ndarray
    spans: np.ndarray
    frames: int
    received: int
    final: bool = False


def stream(model: Seq2SeqModel, pieces: Iterable[np.ndarray]) -> Iterator[Heard]:
    """What has been said, after each piece of frames (S, C), of any length, and once more at the end.

    `model` is one that `Follows`, such as `encoder_only` with `chunk`. Raises ConfigError when it cannot follow a recording.
    """
    if not isinstance(model, Follows):
        raise ConfigError(f"A stream needs `model: encoder_only` with `chunk`, but this model is a {type(model).__name__}.")
    followed = model.follow()
    path = _BestPath(token_target(model, "A stream"))
    received = 0
    for piece in pieces:
        received += len(piece)
        path.extend(followed.feed(torch.as_tensor(piece)))
        yield path.heard(min(path.states * model.stride, received), received)
    path.extend(followed.finish())
    yield path.heard(received, received, final=True)


class _BestPath:
    """The likeliest symbol of each state, without repetitions and blanks."""

    def __init__(self, target: TokenSpec):
        self.blank, self.forbidden = target.pad, [target.start, target.end]
        self.states, self.last = 0, target.pad
        self.count = 0
        self.rows = np.zeros((256, 3), dtype=np.int64)  # element, first state, state behind the last; doubled when it is full

    def extend(self, logits: Tensor) -> None:
        """Go on for some states."""
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
        """What has been said."""
        rows = self.rows[: self.count]
        return Heard(rows[:, 0].copy(), rows[:, 1:].copy(), frames, received, final)  # the last may go on
