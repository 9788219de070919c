"""A Transformer over symbols that runs in CTranslate2."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.contracts.engine import Exported
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.search import Search
from antiphon.contracts.sequences import Memory, Output, Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.engines.ctranslate2_search import own_search
from antiphon.engines.facts import ModelOfFacts
from antiphon.heads.parts import RestOfHead

_LOGITS = 2**23  # so many are in memory at once

Symbols = list[str]


@dataclass(frozen=True)
class Said:
    """The decoder's input so far: (R, T) symbols, the start symbol included."""

    history: Int[Tensor, "R T"]


@final
class CTranslate2Transformer(ModelOfFacts, StepwiseModel):
    """The model; CTranslate2's token for a symbol is its number, with an `s` in front for sources.

    The names of sources are others, since CTranslate2 says nothing at all for a source of only its end symbol.
    """

    def __init__(self, translator: Any, exported: Exported):
        super().__init__(exported)
        assert isinstance(self.target, TokenSpec), "exported only with symbols as targets"
        self.translator, self.symbols = translator, self.target
        self.head = RestOfHead(exported.head, exported.target)

    def own_search(self, settings: Any) -> Search | None:
        """CTranslate2's own search, where it finds the same hypotheses as ours."""
        return own_search(settings, self.symbols)

    def encode(self, source: Padded) -> Memory:
        """A memory whose states are just the symbols, (B, S, 1): CTranslate2 keeps its encoder states to itself."""
        assert isinstance(self.source, TokenSpec), "exported only with symbols as sources"
        return Memory(self.source.known(source.values).unsqueeze(-1).float(), source.mask)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All steps at once."""
        logits, weights = self._forced(self.sources_of(memory), inputs.values, memory.states.shape[1], attention=attention)
        return self.head.output(logits, weights, memory)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> Said:
        """The state before the first step: no symbols yet."""
        return Said(torch.zeros(len(memory.mask) * beam_size, 0, dtype=torch.int64))

    def step(self, last: Tensor, memory: Memory, state: Said, *, attention: bool = False) -> tuple[Output, Said]:
        """Decode one step for each row; CTranslate2 computes all earlier steps again."""
        history = torch.cat([state.history, last.unsqueeze(1)], dim=1)
        beams = len(last) // max(len(memory.mask), 1)
        sources = [source for source in self.sources_of(memory) for _ in range(beams)]
        logits, weights = self._forced(sources, history, memory.states.shape[1], attention=attention, only_last=True)
        return self.head.output(logits.squeeze(1), None if weights is None else weights.squeeze(1), memory), Said(history)

    def next_symbol(self, sources: list[Symbols], said: Int[Tensor, "N T"]) -> Float[Tensor, "N V"]:
        """Logits of the next symbol; the symbols so far begin with the start symbol."""
        return self._forced(sources, said, 0, attention=False, only_last=True)[0].squeeze(1)

    def sources_of(self, memory: Memory) -> list[Symbols]:
        """CTranslate2's tokens for the sources in a memory."""
        rows, lengths = memory.states.squeeze(-1).long().tolist(), memory.mask.sum(1).tolist()
        return [[f"s{symbol}" for symbol in row[:length]] for row, length in zip(rows, lengths, strict=True)]

    def named(self, symbols: Sequence[int]) -> Symbols:
        """CTranslate2's tokens for symbols of a target, made when needed: lists of all are a tenth of a small model's memory."""
        return [str(symbol) for symbol in symbols]

    def _forced(
        self, sources: Sequence[Symbols], inputs: Int[Tensor, "N T"], width: int, *, attention: bool, only_last: bool = False
    ) -> tuple[Float[Tensor, "N U V"], Float[Tensor, "N U S"] | None]:
        """Logits and attention weights over the source at each step, or at the last one (U is T or 1), for given decoder inputs."""
        assert isinstance(self.target, TokenSpec)
        assert bool((inputs[:, 0] == self.target.start).all()), "what is said begins with the start symbol"
        steps = inputs.shape[1]
        read = [self.named(row) for row in inputs[:, 1:].tolist()]
        behind = self.named([self.target.start])  # what is forced in the last step, whose logits are wanted, says nothing
        first = steps - 1 if only_last else 0
        logits = np.empty((len(sources), steps - first, self.target.size), dtype=np.float32)
        weights = np.zeros((len(sources), steps - first, width), dtype=np.float32) if attention else None
        size = max(1, _LOGITS // (steps * self.target.size))
        for row in range(0, len(sources), size):
            found = self.translator.translate_batch(
                sources[row : row + size],
                target_prefix=[one + behind for one in read[row : row + size]],
                beam_size=1,
                max_decoding_length=steps,
                min_decoding_length=0,
                max_input_length=0,
                return_logits_vocab=True,
                return_attention=attention,
                return_end_token=True,
            )
            for place, one in enumerate(found, row):
                for step, told in enumerate(one.logits[0][first:]):
                    logits[place, step] = told
                if weights is not None:
                    weights[place, :, : len(sources[place])] = one.attention[0][first:]
        return torch.from_numpy(logits), None if weights is None else torch.from_numpy(weights)
