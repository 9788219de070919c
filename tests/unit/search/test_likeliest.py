"""The likeliest symbols are those that sorting finds."""

import pytest
import torch

from antiphon.search.likeliest import best, likeliest


@pytest.mark.parametrize(("rows", "symbols", "k"), [(1, 11, 3), (7, 4096, 1), (33, 8000, 6), (9, 8191, 20), (5, 5000, 60)])
def test_the_best_are_those_that_sorting_finds(rows, symbols, k, seed):
    ranking = torch.randn(rows, symbols)
    ranking[:, ::7] = -float("inf")
    values, places = best(ranking, k)
    order = ranking.sort(dim=-1, descending=True)
    assert torch.equal(values, order.values[:, :k])
    assert torch.equal(ranking.gather(1, places), values)
    assert all(len(set(row)) == k for row in places.tolist()), "equal numbers stand in different places"


def test_where_all_is_forbidden_different_symbols_are_found(seed):
    _, places = best(torch.full((9, 8191), -float("inf")), 6)
    assert all(len(set(row)) == 6 for row in places.tolist())
    assert 0 <= int(places.min()) <= int(places.max()) < 8191


def test_of_equals_the_first_is_likeliest():
    assert likeliest(torch.tensor([[0.0, 2.0, 2.0], [-float("inf")] * 3])).tolist() == [1, 0]
    assert likeliest(torch.tensor([[0.0, 2.0, 2.0]], dtype=torch.bfloat16)).tolist() == [1]
