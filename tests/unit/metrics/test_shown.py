"""Scores as people read them."""

import pytest

from antiphon.metrics.shown import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.3708, "0.3708"),
        (33.41, "33.41"),
        (12345.6, "12346"),
        (9.9996, "10.00"),
        (-0.05, "-0.05000"),
        (0.00012345, "0.0001234"),
        (0.000012345, "1.234e-05"),
        (0.0, "0.000"),
        (100, "100.0"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
    ],
)
def test_four_digits_that_matter(value: int | float, text: str) -> None:
    assert shown(value) == text
