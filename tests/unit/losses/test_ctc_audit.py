"""Examples that CTC cannot learn from are found by name."""

import numpy as np
import torch

from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import TokenSpec
from antiphon.losses.ctc import frames_needed
from antiphon.losses.ctc_audit import ctc_notes, states_needed, too_short

TARGET = TokenSpec(size=9, pad=0, unknown=1, start=2, end=3)


class Examples:
    """A corpus of (frames, symbols) in memory; records are numbered from 10."""

    def __init__(self, *rows):
        self.rows = rows
        self.source_lengths = np.array([frames for frames, _ in rows])
        self.target_lengths = np.array([len(symbols) + 2 for _, symbols in rows])
        self.numbers = np.arange(len(rows)) + 10

    def __len__(self):
        return len(self.rows)

    def example(self, index, seed=None):
        frames, symbols = self.rows[index]
        return Example(np.zeros((frames, 1), dtype=np.float32), np.array([2, *symbols, 3], dtype=np.uint8), index)


def test_states_needed_are_those_of_the_loss():
    generator = np.random.default_rng(3)
    for _ in range(50):
        symbols = generator.integers(4, 6, size=generator.integers(1, 8))
        expected = int(frames_needed(torch.as_tensor(symbols)[None], torch.tensor([len(symbols)])))
        assert states_needed(symbols) == expected


def test_the_last_group_of_frames_counts_as_a_state():
    corpus = Examples((8, [4, 5]), (5, [4, 5]), (4, [4, 5]), (8, [4, 4]), (9, [4, 4]), (100, [4] * 20))
    assert list(too_short(corpus, 4, TARGET)) == [(12, 1, 2), (13, 2, 3), (15, 25, 39)]


def test_the_sentence_counts_and_names():
    few = Examples((1, [4, 5]), (9, [4]))
    [sentence] = ctc_notes([(few, lambda number: f"clips.tsv:{number}"), (few, str)], 1, TARGET)
    assert sentence.startswith("2 of 4 examples")
    assert "clips.tsv:10: 1 of 2" in sentence
    assert ctc_notes([(Examples((9, [4])), str)], 1, TARGET) == ()
    [long] = ctc_notes([(Examples(*[(1, [4, 5])] * 7), str)], 1, TARGET)
    assert "14: 1 of 2, ...)" in long
