"""Packing pairs: every element once and in its place, rows without overlap, and the same way each time."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from antiphon.contracts.packing import pack_pairs
from antiphon.contracts.sequences import Padded


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=40), st.integers(0, 2**31))
def test_every_element_is_there_once_and_comes_back(lengths, seed):
    sources, targets = (torch.tensor(side) for side in zip(*lengths, strict=True))
    packing = pack_pairs(sources, targets)
    generator = torch.Generator().manual_seed(seed)
    for side, of in ((packing.source, sources), (packing.inputs, targets)):
        values = torch.randint(1, 1000, (len(lengths), int(of.max())), generator=generator)
        plain = Padded(values, of)
        packed = plain.packed(side)
        assert packed.mask.sum() == of.sum()
        assert torch.equal(packed.mask, side.segments.ids > 0)
        assert torch.equal(side.unpack(packed.values)[plain.mask], values[plain.mask])
        assert torch.equal(side.unpack(side.segments.positions)[plain.mask], torch.arange(int(of.max())).expand_as(values)[plain.mask])
        row = side.back // side.places.shape[1]
        for pair, length in enumerate(of.tolist()):
            places = side.back[pair, :length] % side.places.shape[1]
            assert places.diff().eq(1).all(), "side by side"
            assert row[pair, :length].unique().numel() == 1, "in one row"
            assert side.segments.ids[row[pair, 0], places].unique().numel() == 1
    first = [side.segments.ids.flatten()[side.back[:, 0]] for side in (packing.source, packing.inputs)]
    assert torch.equal(*first), "a source and its target are of one number"
    again = pack_pairs(sources, targets)
    assert torch.equal(packing.source.places, again.source.places)
    assert torch.equal(packing.inputs.back, again.inputs.back)


def test_short_pairs_stand_beside_long_ones():
    generator = np.random.default_rng(1)
    lengths = torch.from_numpy(np.concatenate([np.full(3, 50), generator.integers(3, 12, 40)]))
    packing = pack_pairs(lengths, lengths)
    places = packing.source.places.numel()
    assert places < 1.1 * int(lengths.sum()) < 50 * 43 / 3
    alike = pack_pairs(torch.full((8,), 20), torch.full((8,), 10))
    assert alike.source.places.shape == (8, 20), "where all are as long, longer rows would only have more attention"
