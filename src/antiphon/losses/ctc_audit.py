"""Finds, before training, the examples that CTC cannot learn from: those with fewer encoder states than their targets need.

The loss counts them, too, but only as they come, and knows no names. Here whole corpora are looked through, and targets are read only where
the lengths leave a doubt: one symbol never needs more than two states.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer

from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import TokenSpec

_NAMED = 5
CTC_LOSSES = ("ctc", "joint_ctc")


@runtime_checkable
class NumberedCorpus(Protocol):
    """The part of a corpus's interface that gives the lengths of examples, and the numbers of their records."""

    @property
    def source_lengths(self) -> np.ndarray: ...

    @property
    def target_lengths(self) -> np.ndarray: ...

    @property
    def numbers(self) -> np.ndarray: ...

    def __len__(self) -> int: ...

    def example(self, index: int, seed: int | None = None) -> Example: ...


def states_needed(symbols: Integer[np.ndarray, " T"]) -> int:
    """The minimum number of states for a sequence: one for each symbol, and a blank between two that are equal."""
    return len(symbols) + int((symbols[1:] == symbols[:-1]).sum())


def too_short(corpus: NumberedCorpus, stride: int, target: TokenSpec) -> Iterator[tuple[int, int, int]]:
    """(record number, states, states needed) of the examples whose source is too short, with one state for `stride` frames."""
    states = -(-np.asarray(corpus.source_lengths, dtype=np.int64) // stride)
    for index in np.flatnonzero(states < 2 * np.asarray(corpus.target_lengths, dtype=np.int64)).tolist():
        symbols = corpus.example(index).target
        assert symbols is not None, "only what is learned from is looked through"
        needed = states_needed(symbols[(symbols != target.start) & (symbols != target.end)])
        if states[index] < needed:
            yield int(corpus.numbers[index]), int(states[index]), needed


def ctc_notes(parts: Sequence[tuple[NumberedCorpus, Callable[[int], str]]], stride: int, target: TokenSpec) -> tuple[str, ...]:
    """A sentence about the examples that CTC cannot learn from, with their names; empty when there are none.

    parts   each a corpus, and what names a record by its number
    """
    found = [(label, *entry) for corpus, label in parts for entry in too_short(corpus, stride, target)]
    if not found:
        return ()
    listed = ", ".join(f"{label(number)}: {states} of {needed}" for label, number, states, needed in found[:_NAMED])
    total = sum(len(corpus) for corpus, _ in parts)
    return (
        f"{len(found):,} of {total:,} examples have fewer states than CTC needs for their targets, so it learns nothing from them"
        f" ({listed}{', ...' if len(found) > _NAMED else ''}). Lower `model.subsampling`, use longer symbols (`task.vocabulary`), or look"
        " whether these recordings are cut off.",
    )
