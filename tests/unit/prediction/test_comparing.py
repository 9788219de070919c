"""How far two ways to run a model are apart, up to the rounding of single precision."""

import pytest
import torch

from antiphon.prediction.comparing import Said, difference


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
