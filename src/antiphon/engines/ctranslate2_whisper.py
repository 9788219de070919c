"""A Whisper model that runs in CTranslate2: from recordings, all padded to one length, to symbols.

Unusual here: CTranslate2 has no function for one step, as of Transformers (`ctranslate2.py`). What is to be said is forced behind the
start symbol, which tells the logits of each step on the way; the recording's states are given, and not computed again. Only what is said
last would be changed by rules about times, so a symbol more is forced behind it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.engine import Exported
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.search import Search
from antiphon.contracts.sequences import Memory, Output, Padded
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.engines.ctranslate2_model import Said
from antiphon.engines.ctranslate2_symbols import order_of
from antiphon.engines.ctranslate2_whisper_search import own_search
from antiphon.engines.facts import ModelOfFacts
from antiphon.errors import DataError
from antiphon.heads.parts import RestOfHead

_LOGITS = 2**25  # so many are in memory at once, on the way


@final
class CTranslate2Whisper(ModelOfFacts, StepwiseModel):
    """The model. Its memory holds the encoder states that CTranslate2 computed."""

    def __init__(self, whisper: Any, exported: Exported):
        super().__init__(exported)
        assert isinstance(self.target, TokenSpec), "exported only with symbols as targets"
        assert isinstance(self.source, ValueSpec), "exported only with frames as sources"
        import ctranslate2

        self._library = ctranslate2
        self.whisper, self.symbols = whisper, self.target
        self.head = RestOfHead(exported.head, exported.target)
        self.opening: tuple[int, ...] = tuple(exported.details["opening"])
        order = order_of(self.target, self.opening)
        self._places = np.argsort(order[: self.target.size])  # where each of our symbols stands there
        self._symbols = np.array(order)

    def own_search(self, settings: Any) -> Search | None:
        """CTranslate2's own search, where it finds the same hypotheses as ours."""
        return own_search(settings, self.opening)

    def encode(self, source: Padded) -> Memory:
        """The encoder states of recordings, all of the same length. Raises DataError for other lengths."""
        assert isinstance(self.source, ValueSpec)
        frames = self.source.length
        other = next((length for length in source.lengths.tolist() if length != frames), None)
        if other is not None:
            raise DataError(
                f"This Whisper was exported for recordings of {frames} frames, but one has {other}. Leave"
                " `task.features.padded_seconds` as it is in the folder's recipe.yaml."
            )
        states = self.whisper.encode(self._view(source.values.transpose(1, 2)), to_cpu=True)
        mask = torch.ones(states.shape[:2], dtype=torch.bool)
        return Memory(torch.from_numpy(self._array(states)), mask)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All steps at once."""
        rows = list(self.logits_of(memory.states, inputs.values.tolist()))
        return self.head.output(torch.from_numpy(np.stack(rows)), None, memory)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> Said:
        """The state before the first step: no symbols yet."""
        return Said(torch.zeros(len(memory.mask) * beam_size, 0, dtype=torch.int64))

    def step(self, last: Tensor, memory: Memory, state: Said, *, attention: bool = False) -> tuple[Output, Said]:
        """Decode one step for each row; CTranslate2 computes all earlier steps again."""
        history = torch.cat([state.history, last.unsqueeze(1)], dim=1)
        states = memory.states.repeat_interleave(len(last) // max(len(memory.mask), 1), 0)
        rows = [found[-1] for found in self.logits_of(states, history.tolist())]
        return self.head.output(torch.from_numpy(np.stack(rows)), None, memory), Said(history)

    def logits_of(self, states: Float[Tensor, "N S D"], read: Sequence[Sequence[int]]) -> Iterator[Float[np.ndarray, "T V"]]:
        """Logits at each step of each row for given symbols: the start symbol, and the output after it."""
        behind = int(self._places[self.symbols.end])
        prompts = [[*self.named(row), behind] for row in read]
        size = max(1, _LOGITS // (max(map(len, read), default=1) * self.symbols.size))
        for first in range(0, len(prompts), size):
            steps = max(len(prompt) for prompt in prompts[first : first + size]) - 1
            found = self.whisper.generate(
                self._view(states[first : first + size]),
                prompts[first : first + size],
                beam_size=1,
                max_length=2 * steps,
                return_logits_vocab=True,
                suppress_blank=False,
                suppress_tokens=[],
            )
            for row, one in zip(read[first : first + size], found, strict=True):
                yield np.stack([self._array(logits)[self._places] for logits in one.logits[0][: len(row)]])

    def searched(
        self, states: Float[Tensor, "N S D"], prefixes: Sequence[Sequence[int]], longest: int, forbidden: Sequence[int]
    ) -> list[Any]:
        """The output of greedy search after the usual beginning and prefixes, `longest` steps at most."""
        opening = [self.symbols.size - 1, *range(self.symbols.size, len(self._symbols))]
        return self.whisper.generate(  # type: ignore[no-any-return]
            self._view(states),
            [[*opening, *self.named(prefix)] for prefix in prefixes],
            beam_size=1,
            length_penalty=0.0,
            max_length=max(2 * longest, longest + len(opening) - 1),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=False,
            suppress_tokens=self.named(forbidden),
        )

    def named(self, symbols: Sequence[int]) -> list[int]:
        """CTranslate2's numbers for our symbols."""
        return self._places[np.array(symbols, dtype=np.int64)].tolist()  # type: ignore[no-any-return]

    def ours(self, places: Sequence[int]) -> list[int]:
        """Our symbols for CTranslate2's numbers; duplicates become the symbol that they stand for."""
        return self._symbols[np.array(places, dtype=np.int64)].tolist()  # type: ignore[no-any-return]

    def _view(self, values: Tensor) -> Any:
        """A tensor as a view that CTranslate2 reads."""
        return self._library.StorageView.from_array(np.ascontiguousarray(values.numpy(), dtype=np.float32))

    def _array(self, view: Any) -> np.ndarray:
        """CTranslate2's output as an array of its own, in single precision."""
        return np.array(view if view.dtype == self._library.DataType.float32 else view.to(self._library.DataType.float32))
