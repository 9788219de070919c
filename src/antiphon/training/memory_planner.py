"""Finds the largest budget of target elements whose batches fit into memory, by trying before training begins.

As Marian's `--mini-batch-fit` does (Junczys-Dowmunt et al. 2018), the heaviest batches of a budget are tried: those that the sampler would
make of the corpus, taken through a whole update. What is tried leaves no trace: weights, buffers, the optimizer and random numbers are
as before, so that training is bit-identical to that with the same budget written down.

Budgets are looked for on a coarse grid (four to an octave), each guessed from what the last one took. On a CPU, where an update with a
large batch takes long, a batch's memory is extrapolated from two parts of it: for one shape it grows with the rows in a straight line, once
there is more than a chunk of logits (`losses/chunked.py`). All processes try the same in step, and the smallest limit counts.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from antiphon.contracts.sequences import Batch
from antiphon.data.batching import BatchingConfig, Rows, Sampler
from antiphon.data.budgets import in_words
from antiphon.data.heaviest import heaviest, longest_rows, some_of
from antiphon.errors import ConfigError, TrainingError
from antiphon.heads.steps import CHUNK
from antiphon.training.memory_limit import MemoryLimit, memory_limit, with_allowances
from antiphon.training.shards import local
from antiphon.training.step import Update
from antiphon.training.tensor_memory import peak_of

_SMALLEST = 64
_SHARE = 16  # a part from which a batch is extrapolated has about so small a share of its rows
_TOO_MUCH = 1 << 62


@dataclass(frozen=True)
class Planned:
    """A budget, and a sentence that explains it."""

    target_tokens: int
    reason: str


@final
class MemoryPlanner:
    """Tries out batches of a corpus.

    batch_of   makes a batch of rows
    update     that of the training that is to begin; its optimizer has done nothing yet
    held       bytes of other tensors that are there while training: a moving average, a teacher
    """

    def __init__(
        self,
        corpus: Rows,
        batch_of: Callable[[Sequence[int]], Batch],
        settings: BatchingConfig,
        update: Update,
        *,
        seed: int,
        held: int = 0,
    ):
        self.corpus, self.batch_of, self.settings, self.update = corpus, batch_of, settings, update
        self.seed, self.held, self.ranks = seed, held, update.ranks
        self._tried: dict[tuple[int, ...], int] = {}

    def plan(self, at_most: int | None = None) -> Planned:
        """The largest budget that fits, up to `most` elements.

        Raises ConfigError when not even the longest example does.
        """
        limit = memory_limit(self.settings.memory_limit, self.ranks.device)
        smallest = min(map(_first, self.ranks.gather([limit.bytes])))
        if smallest < limit.bytes:
            limit = MemoryLimit(smallest, f"{in_words(smallest)}, the least of any process")
        longest, length = longest_rows(self.corpus)
        most = length * min(len(self.corpus), self.settings.pool_size, self.settings.max_examples or len(self.corpus))
        candidates = grid(min(most, at_most or most))
        with untouched(self.update):
            self._try(np.array(longest[:1]))  # the optimizer makes its state in the first update
            self._tried.clear()
            for row in longest:
                self._check_alone(row, limit)
            found = self._search(candidates, limit.bytes, start=max(8 * length, 2048))
            need = self.need(found)
        if need > limit.bytes:
            raise ConfigError(
                f"`training.batching.target_tokens: auto` finds no budget: even the heaviest batch of {found:,} takes about"
                f" {in_words(need)}, but the limit is {limit.reason}. Set `training.batching.source_tokens`"
                " or `training.batching.max_examples`, which bound batches of long sources with short targets."
            )
        bound = "" if found < candidates[-1] else ", more than which is not asked for" if found == at_most else ", all data at once"
        return Planned(
            found,
            f"`training.batching.target_tokens: auto` is {found:,}{bound}: the heaviest of its batches takes about {in_words(need)} of"
            f" {limit.reason}.",
        )

    def need(self, target_tokens: int) -> int:
        """The approximate number of bytes that a process needs with this budget."""
        sampler = Sampler(self.corpus, replace(self.settings, target_tokens=target_tokens, memory_limit=None), self.seed)
        return max(self._need_of(rows) for rows in heaviest(sampler))

    def _search(self, candidates: Sequence[int], limit: int, start: int) -> int:
        """The largest of the candidates that fits, or the first if none does."""
        below, above = 0, len(candidates)  # the place of one that fits, and of one that does not
        least, guess = self.need(candidates[0]), max(bisect_right(candidates, start) - 1, 1)
        while above - below > 1:
            place = min(max(guess, below + 1), above - 1)
            need = self.need(candidates[place])
            below, above = (place, above) if need <= limit else (below, place)
            per_element = max(need - least, 1) / candidates[place]
            guess = bisect_right(candidates, max(limit - least, 0) / per_element) - 1
        return candidates[below]

    def _check_alone(self, row: int, limit: MemoryLimit) -> None:
        alone = np.array([row])
        need = self._need_of(alone)
        if need > limit.bytes:
            sources, targets = self.corpus.lengths(alone)
            about = "more than there is" if need >= _TOO_MUCH else f"about {in_words(need)}"
            raise ConfigError(
                f"`training.batching.target_tokens: auto` finds no budget: the longest example, of {int(sources[0]):,} source and"
                f" {int(targets[0]):,} target steps, alone takes {about}, but the limit is {limit.reason}. Allow more memory, limit lengths"
                " with `data.limits`, choose a smaller model, or set `model.checkpoint_activations: true` (Transformer)."
            )

    def _need_of(self, rows: np.ndarray) -> int:
        """The bytes that a process needs for its share of a batch."""
        share = -(-len(rows) // self.ranks.world)
        _, targets = self.corpus.lengths(rows)
        few = max(-(-CHUNK // max(int(targets.min()), 1)), -(-share // _SHARE))
        if self.ranks.device.type == "cuda" or 2 * few >= share:
            return with_allowances(self._try(some_of(self.corpus, rows, share)), self.ranks.device)
        one, other = (self._try(some_of(self.corpus, rows, count)) for count in (few, 2 * few))
        return with_allowances(one + (other - one) * (share - few) // few, self.ranks.device)

    def _try(self, rows: np.ndarray) -> int:
        """The peak memory of tensors on any process in an update with a batch of these rows."""
        key = tuple(rows.tolist())
        if key not in self._tried:
            self._tried[key] = max(map(_first, self.ranks.gather([self._tried_here(rows)])))
        return self._tried[key]

    def _tried_here(self, rows: np.ndarray) -> int:
        pieces = 1

        def work() -> None:
            nonlocal pieces
            try:
                pieces = self.update([self.batch_of(rows.tolist())], 0, 0.0).pieces
            except TrainingError:  # not even one record fits
                pieces = 2

        peak = peak_of(work, self.ranks.device)
        if pieces > 1:
            return _TOO_MUCH
        return peak + self.held + (0 if self.ranks.device.type == "cuda" else _standing(self.update))


@contextmanager
def untouched(update: Update) -> Iterator[None]:
    """A context after which the model, the optimizer, which must be new, and random numbers are as before. The model is trained within
    it."""
    assert not update.optimizer.state, "an optimizer that has done nothing yet"
    model, device = update.learner.model, update.ranks.device
    kept = [(local(tensor.detach()), local(tensor.detach()).to("cpu", copy=True)) for tensor in _tensors(update.learner)]
    groups = [{name: value for name, value in group.items() if name != "params"} for group in update.optimizer.param_groups]
    training = {module: module.training for module in model.modules()}
    random, on_gpu = torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    model.train()
    try:
        yield
    finally:
        update.learner.zero_grad(set_to_none=True)
        with torch.no_grad():
            for tensor, value in kept:
                tensor.copy_(value)
        update.optimizer.state.clear()
        for group, before in zip(update.optimizer.param_groups, groups, strict=True):
            for name in group.keys() - before.keys() - {"params"}:
                del group[name]
            group.update(before)
        for module, mode in training.items():
            module.training = mode
        torch.set_rng_state(random)
        if on_gpu is not None:
            torch.cuda.set_rng_state(on_gpu, device)
            torch.cuda.empty_cache()


def grid(most: int) -> list[int]:
    """The budgets to try, in ascending order: four per factor of two, and `most` itself."""
    found, octave = list[int](), _SMALLEST
    while octave < most:
        found += [octave * quarters // 4 for quarters in (4, 5, 6, 7)]
        octave *= 2
    return [one for one in found if one < most] + [most]


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _standing(update: Update) -> int:
    """The bytes of the tensors that exist between updates."""
    states: list[Any] = [value for state in update.optimizer.state.values() for value in state.values()]
    tensors = [*_tensors(update.learner), *(value for value in states if isinstance(value, Tensor))]
    return sum(local(tensor.detach()).nbytes for tensor in tensors)


def _first(numbers: Sequence[int]) -> int:
    return numbers[0]
