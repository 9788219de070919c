"""How far two ways to run a model are apart, up to the rounding of single precision."""

import pytest
import torch

from antiphon.prediction.comparing import Said, difference, moved_probability


def said(*values: float) -> Said:
    return Said(torch.tensor([[list(values)]]), torch.ones(1, 1, dtype=torch.bool))


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (-1.0, -1.5, 0.5),
        (-5.0, -5.25, 0.25),
        (-50.0, -50.5, 0.05),  # a tenth of it: rounding grows with the number
        (-1.0, -50.0, 49.0),  # but what one of them thinks likely is not forgiven
        (float("-inf"), float("-inf"), 0.0),
        (float("nan"), float("nan"), 0.0),
        (float("-inf"), -3.0, float("inf")),
        (float("nan"), -3.0, float("inf")),
    ],
)
def test_difference(one: float, other: float, apart: float) -> None:
    assert difference(said(-2.0, one), said(-2.0, other)) == pytest.approx(apart)
    assert difference(said(other, -2.0), said(one, -2.0)) == pytest.approx(apart)


def test_probability_that_moves_counts_and_that_of_symbols_which_nobody_says_does_not() -> None:
    likely = Said(torch.tensor([[[0.6, 0.4 - 1e-8, 1e-8]]]).log(), torch.ones(1, 1, dtype=torch.bool))
    other = Said(torch.tensor([[[0.5, 0.5 - 1e-6, 1e-6]]]).log(), torch.ones(1, 1, dtype=torch.bool))
    assert moved_probability(likely, other) == pytest.approx(0.1, abs=1e-5)
    rare = Said(torch.tensor([[[0.6, 0.4 - 1e-6, 1e-6]]]).log(), torch.ones(1, 1, dtype=torch.bool))
    assert moved_probability(likely, rare) < 1e-5
    assert difference(likely, rare) > 1
