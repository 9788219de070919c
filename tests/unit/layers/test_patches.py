"""Patches are laid from the end of each sequence."""

import torch

from antiphon.contracts.sequences import Padded
from antiphon.layers.patches import Patches


def values(*lengths: int, channels: int = 1) -> Padded:
    """Rows 1, 2, 3, ... (and tens of them in a second channel), with padding that could be mistaken for values."""
    steps = torch.arange(1.0, max(lengths) + 1).repeat(len(lengths), 1)
    return Padded(torch.stack([steps * 10**channel for channel in range(channels)], dim=-1), torch.tensor(lengths))


def test_by_hand() -> None:
    cut = Patches(3, 3).cut(values(7, 3, 1))
    assert cut.lengths.tolist() == [3, 1, 1]
    assert cut.values[0].tolist() == [[1, 1, 1], [2, 3, 4], [5, 6, 7]], "the newest is whole, the oldest begins with its first value"
    assert cut.values[1, 0].tolist() == [1, 2, 3]
    assert cut.values[2, 0].tolist() == [1, 1, 1]


def test_overlapping() -> None:
    cut = Patches(3, 2).cut(values(6))
    assert cut.values[0].tolist() == [[1, 1, 2], [2, 3, 4], [4, 5, 6]]


def test_channels_stay_beside_each_other() -> None:
    assert Patches(2, 2).cut(values(2, channels=2)).values.tolist() == [[[1, 10, 2, 20]]]


def test_padding_is_never_seen() -> None:
    source = values(7, 4)
    spoiled = Padded(source.values.clone(), source.lengths)
    spoiled.values[1, 4:] = torch.nan
    cut = Patches(3, 2).cut(spoiled)
    assert not cut.values[cut.mask].isnan().any()
    assert torch.equal(cut.values[1, :2], Patches(3, 2).cut(values(4)).values[0])
