"""Features of the calendar."""

import numpy as np
import pytest

from antiphon.features.calendar import Cycle, calendar_features, calendar_width
from antiphon.features.times import TimesRead


@pytest.mark.parametrize(
    ("cycle", "start", "quarter"),
    [
        ("hour", "2024-01-01T00:00", "2024-01-01T06:00"),
        ("minute", "2024-01-01T05:00", "2024-01-01T05:15"),
        ("month", "2024-01-31", "2024-04-01"),
        ("quarter", "2024-03-31", "2024-04-01"),
        ("monthday", "2024-02-01", None),
        ("yearday", "2023-01-01", None),
        ("weekday", "2024-01-01", None),
        ("week", "2024-01-07", None),
    ],
)
def test_a_cycle_begins_at_zero_and_passes_its_quarter(cycle: Cycle, start: str, quarter: str | None) -> None:
    features = calendar_features(TimesRead().values([start]), [cycle])
    np.testing.assert_allclose(features, [[0, 1]], atol=1e-6)
    if quarter is not None:
        np.testing.assert_allclose(calendar_features(TimesRead().values([quarter]), [cycle]), [[1, 0]], atol=1e-6)


def test_weekdays_and_two_cycles() -> None:
    times = TimesRead().values([f"2024-01-0{day}" for day in range(1, 9)])
    features = calendar_features(times, ["weekday", "month"])
    assert features.shape == (8, calendar_width(["weekday", "month"])) == (8, 4)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features[0], features[7], atol=1e-6)
    angles = np.unwrap(np.arctan2(features[:, 0], features[:, 1]))
    np.testing.assert_allclose(np.diff(angles), 2 * np.pi / 7, atol=1e-5)


def test_times_before_1970() -> None:
    np.testing.assert_allclose(calendar_features(TimesRead().values(["1969-12-29"]), ["weekday"]), [[0, 1]], atol=1e-6)
