"""Translates a text while it is arriving: greedy search under wait-k (Ma et al. 2019).

A symbol is said as soon as those that it waits for are there, and nothing that was said is taken back. What a stream has said at its end is
what `search: greedy` finds in the whole source with the same model.

Unusual here: the source so far is encoded anew for each word. The states of what was read before come out the same, since no state of such
an encoder looks ahead; so what the decoder kept of earlier steps stays true, and no encoder needs a form that goes on.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.sequences import FinishReason, Padded, Request
from antiphon.errors import ConfigError, DataError
from antiphon.search.limits import LimitsConfig, limits_of
from antiphon.search.preparation import token_target
from antiphon.search.processors import LogitsProcessors, ProcessorsConfig, processors_for

_ROOM = 4096  # steps for which a decoder may make buffers: a sentence is never as long


@dataclass(frozen=True)
class Told:
    """The output so far: symbols (T,), the log-probability of each (followed by that of the end symbol), and how it ended, if it has.

    `read` (T,) are the symbols of the source that had been read when each was said.
    """

    elements: np.ndarray
    step_scores: tuple[float, ...]
    read: np.ndarray
    ended: FinishReason | None


def stream(
    model: Seq2SeqModel,
    sources: Iterable[tuple[np.ndarray, bool]],
    *,
    limits: LimitsConfig,
    processors: ProcessorsConfig,
    request: Request,
) -> Iterator[Told]:
    """The output so far, after each of longer and longer sources (S,); the last one comes with True and has the end of a source.

    Raises ConfigError when the model does not wait.
    """
    if not isinstance(model, StepwiseModel) or model.wait_k is None:
        raise ConfigError("A stream of words needs one run with `model.wait_k`, which begins its output before it has read everything.")
    path = _Path(model, model.wait_k, limits, processors, request)
    for symbols, complete in sources:
        yield path.read(symbols, complete=complete)


@final
class _Path:
    """One output in progress."""

    def __init__(self, model: StepwiseModel, k: int, limits: LimitsConfig, processors: ProcessorsConfig, request: Request):
        self.model, self.k, self.limits, self.processors, self.request = model, k, limits, processors, request
        self.spec = token_target(model, "A stream of words")
        self.device = next(model.parameters()).device
        self.said, self.scores, self.read_at = list[int](), list[float](), list[int]()
        self.ended: FinishReason | None = None
        self.state: Any = None

    @torch.inference_mode()
    def read(self, symbols: np.ndarray, *, complete: bool) -> Told:
        """Read the longer source, and output what is possible."""
        if (self.ended is None and len(symbols) >= self.k + len(self.said)) or complete:
            self._say(symbols, complete=complete)
        return Told(np.array(self.said, dtype=np.int64), tuple(self.scores), np.array(self.read_at, dtype=np.int64), self.ended)

    def _say(self, symbols: np.ndarray, *, complete: bool) -> None:
        model = self.model
        if model.longest_source is not None and len(symbols) > model.longest_source:
            raise DataError(f"A source must have at most {model.longest_source} symbols, which is all that the model can read.")
        source = Padded(torch.as_tensor(symbols, device=self.device)[None], torch.tensor([len(symbols)], device=self.device))
        memory = model.project(model.encode(source))
        if self.state is None:
            longest = model.longest_target
            self.state = model.init_state(memory, 1, _ROOM if longest is None else min(longest, _ROOM))
        rules = self._rules(source.lengths)
        while self.ended is None and (complete or len(symbols) >= self.k + len(self.said)):
            last = torch.tensor([self.said[-1] if self.said else self.spec.start], device=self.device)
            output, self.state = model.step(last, memory, self.state)
            history = torch.tensor([self.said], dtype=torch.int64, device=self.device)
            found = rules(output.values, history)
            symbol = int(found.ranking[0].argmax())
            self.scores.append(float(found.said[0, symbol]))
            if symbol == self.spec.end:
                self.ended = "length" if found.cut is not None and bool(found.cut[0]) else "end"
            else:
                self.said.append(symbol)
                self.read_at.append(min(self.k + len(self.said) - 1, len(symbols)))

    def _rules(self, lengths: Tensor) -> LogitsProcessors:
        """The rules, as far as the source is known."""
        bounds = limits_of(self.limits, lengths, self.model.longest_target)
        return processors_for(self.processors, self.spec, bounds, (self.request,), 1, self.device)
