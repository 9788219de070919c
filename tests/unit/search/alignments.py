"""All alignments of a few frames, one by one: what CTC's dynamic programs are compared with."""

import itertools
from collections import defaultdict
from functools import partial

import numpy as np
import torch

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Frames, Memory, Output, Padded
from antiphon.contracts.specs import TokenSpec, ValueSpec

BLANK, UNKNOWN, START, END = 0, 1, 2, 3
SPEC = TokenSpec(6, BLANK, UNKNOWN, START, END)


def collapsed(path):
    """What an alignment says: without repetitions, then without blanks."""
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != BLANK)


def probabilities(log_probs):
    """The probability of every sequence that the frames (S, V) can say."""
    found = defaultdict(float)
    table = np.exp(log_probs.double().numpy())
    for path in itertools.product(range(table.shape[1]), repeat=len(table)):
        found[collapsed(path)] += float(np.prod([row[symbol] for row, symbol in zip(table, path, strict=True)]))
    return dict(found)


def best_path_saying(log_probs, symbols):
    """The likeliest of all alignments that say these symbols, or None."""
    paths = [path for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)) if collapsed(path) == tuple(symbols)]
    return max(paths, key=lambda path: sum(float(row[s]) for row, s in zip(log_probs, path, strict=True)), default=None)


class FramesModel(Seq2SeqModel):
    """A model that says of each frame what its source holds: logits as values."""

    def __init__(self, size=SPEC.size):
        super().__init__()
        self.source, self.target = ValueSpec(channels=size), TokenSpec(size, BLANK, UNKNOWN, START, END)

    def encode(self, source: Padded) -> Memory:
        return Memory(source.values, source.mask)

    def frames(self, memory: Memory) -> Frames:
        return Frames(memory.states, memory.mask, partial(torch.mul, other=1.0))

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        frames = self.frames(memory)
        return Output(frames.features, frames.head, frames=frames)


def random_frames(lengths, size, generator, scale=1.5):
    """Frames as a source for `FramesModel`, with noise behind their ends."""
    return Padded(scale * torch.randn(len(lengths), max(lengths), size, generator=generator), torch.tensor(lengths))
