"""The best of a row, block by block: what torch finds, in the same order."""

import pytest
import torch

from antiphon.search import selection
from antiphon.search.selection import best, best_few


@pytest.fixture(autouse=True)
def _blocks_pay(monkeypatch):
    monkeypatch.setattr(selection, "_MANY", 1)


@pytest.mark.parametrize("size", [64, 640, 1024, 1031, 2000])
def test_as_torch(size, seed):
    values = torch.stack([torch.randperm(size) for _ in range(5)]).float()
    assert torch.equal(best(values), values.argmax(-1))
    for count in (1, 3):
        numbers, places = best_few(values, count)
        expected = values.topk(count, -1)
        assert torch.equal(numbers, expected.values)
        assert torch.equal(places, expected.indices)


def test_the_first_of_equal_numbers():
    values = torch.zeros(2, 640)
    values[1, [70, 65, 300]] = 1.0
    assert best(values).tolist() == [0, 65]


def test_rows_with_little_to_say():
    values = torch.full((2, 1031), -torch.inf)
    values[0, 1030], values[1, 5] = 1.0, 2.0
    numbers, places = best_few(values, 3)
    assert places[:, 0].tolist() == [1030, 5]
    assert torch.isneginf(numbers[:, 1:]).all()
    assert all(len(set(row)) == 3 for row in places.tolist())


def test_what_is_no_number_is_found():
    values = torch.zeros(1, 1024)
    values[0, 600] = torch.nan
    assert best(values).tolist() == [600]
    assert best_few(values, 2)[0].isnan().any()
