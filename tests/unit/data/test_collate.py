"""Collating: padding with the spec's symbol, records in the order of the rows."""

import numpy as np
import pytest
import torch

from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.data.collate import collate
from antiphon.data.workers import _packed, _unpacked
from antiphon.errors import DataError

SOURCE = TokenSpec(size=10, pad=9, unknown=1, start=2, end=3)
TARGET = TokenSpec(size=10, pad=7, unknown=1, start=2, end=3)


def test_symbols_are_padded_with_their_specs_symbol() -> None:
    batch = collate(
        [Example(np.array([4, 5], np.uint16), np.array([2, 3]), 11), Example(np.array([6]), np.array([2, 4, 3]), 5)], SOURCE, TARGET
    )
    assert batch.target is not None
    assert batch.source.values.tolist() == [[4, 5], [6, 9]]
    assert batch.target.values.tolist() == [[2, 3, 7], [2, 4, 3]]
    assert batch.source.lengths.tolist() == [2, 1]
    assert batch.source.values.dtype == torch.int64
    assert batch.records == (11, 5)
    assert batch.labels.values.tolist() == [[3, 7], [4, 3]]


def test_values_are_padded_with_zeros() -> None:
    examples = [Example(np.ones((n, 2), np.float32), np.ones((1, 1), np.float32)) for n in (1, 3)]
    batch = collate(examples, ValueSpec(2), ValueSpec(1))
    assert batch.source.values.shape == (2, 3, 2)
    assert batch.source.values[0, 1:].abs().sum() == 0
    assert batch.source.values.dtype == torch.float32


def test_targets_are_all_there_or_none() -> None:
    with_target, without = Example(np.array([4]), np.array([2, 3]), 0), Example(np.array([4]), None, 8)
    assert collate([without], SOURCE, TARGET).target is None
    with pytest.raises(DataError, match="but record 8 has none"):
        collate([with_target, without], SOURCE, TARGET)


def test_what_is_packed_stays_so_in_parts_and_from_a_worker() -> None:
    spec = TokenSpec(size=11, pad=0, unknown=1, start=2, end=3, fingerprint="test")
    examples = [Example(np.full(length, 5), np.full(length + 1, 6), length) for length in (9, 2, 3, 2, 9)]
    batch = collate(examples, spec, spec, pack=True)
    assert batch.packing is not None
    assert batch.packing.source.places.numel() < batch.source.values.numel()
    assert collate(examples, spec, spec).packing is None
    half = batch.select_rows(torch.tensor([0, 1, 3]))
    assert half.packing is not None
    assert half.packing.source.back.shape == half.source.values.shape
    there = _unpacked(_packed(batch))
    assert there is not None
    assert there.packing is not None
    assert torch.equal(there.packing.inputs.back, batch.packing.inputs.back)
