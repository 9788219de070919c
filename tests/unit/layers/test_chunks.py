"""Chunks: nothing is lost in cutting and joining, and a chunk of padding does no harm."""

import pytest
import torch

from antiphon.layers import chunks


@pytest.mark.parametrize("length", [1, 3, 7, 12, 30])
def test_joined_chunks_are_the_sequence(length, seed):
    x = torch.randn(2, 12, 5)
    mask = torch.arange(12) < torch.tensor([[12], [4]])
    pieces, real = chunks.cut(x, mask, min(length, 12))
    assert pieces.shape[:2] == real.shape == (2 * -(-12 // min(length, 12)), min(length, 12))
    assert torch.equal(chunks.join(pieces, 2, 12), x)


def test_only_a_chunk_of_nothing_but_padding_counts_as_real():
    mask = torch.arange(7) < torch.tensor([[7], [2]])
    _, real = chunks.cut(torch.zeros(2, 7, 1), mask, 3)
    assert real.tolist() == [
        [True, True, True],
        [True, True, True],
        [True, False, False],
        [True, True, False],
        [True, True, True],
        [True, True, True],
    ]
