"""Numbers have the digits that tell two scores apart."""

import math

import pytest

from antiphon.metrics.shown import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.37084, "0.3708"),
        (24.3512, "24.35"),
        (63.1, "63.10"),
        (9.99996, "10.00"),
        (1014.3, "1014"),
        (331_134.2, "331134"),
        (0.0, "0.000"),
        (-0.25, "-0.2500"),
        (0.00012344, "0.0001234"),
        (0.0000123, "1.230e-05"),
        (12_345_678.0, "1.235e+07"),
        (math.nan, "undefined"),
        (-math.inf, "-infinity"),
    ],
)
def test_four_digits_are_shown(value: float, text: str) -> None:
    assert shown(value) == text
