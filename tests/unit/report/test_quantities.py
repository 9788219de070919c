"""Numbers as people read them."""

import pytest

from antiphon.report.quantities import duration, number, percent, plural


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (12, "12"),
        (1234567, "1,234,567"),
        (28.835851, "28.84"),
        (0.8469, "0.8469"),
        (0.00012346, "0.0001235"),
        (0.0000123, "1.23e-05"),
        (123456.7, "123,457"),
        (3.2e12, "3,200,000,000,000"),
        (-2.5, "-2.500"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("nan", "nan"),
        (True, "True"),
    ],
)
def test_number(value: object, shown: str) -> None:
    assert number(value) == shown


def test_number_of_digits() -> None:
    assert [number(28.835851, digits) for digits in (2, 3, 5)] == ["29", "28.8", "28.836"]


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0, "0%"),
        (1, "100%"),
        (0.5, "50.0%"),
        (0.001234, "0.12%"),
        (0.00001, "< 0.01%"),
        (0.9999, "99.99%"),
        (0.99999, "99.99%"),
        (1.25, "125.0%"),
    ],
)
def test_percent_never_rounds_to_nothing_or_to_all(share: float, shown: str) -> None:
    assert percent(share) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.25, "250 ms"),
        (20.275, "20.3 s"),
        (60, "1 min"),
        (119.9, "2 min"),
        (125, "2 min 5 s"),
        (1830, "30 min"),
        (3599.9, "1 h 00 min"),
        (7260, "2 h 01 min"),
    ],
)
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_plural() -> None:
    assert [plural(count, "record") for count in (0, 1, 2000)] == ["0 records", "1 record", "2,000 records"]
