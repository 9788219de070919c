"""A season is that of the frequency if the data confirm it, else another one that they do."""

import numpy as np
import pytest

from antiphon.features.season_search import find_season


def series(season: int, count: int = 20, steps: int = 200, noise: float = 0.3, trend: float = 0.05) -> list[np.ndarray]:
    draw = np.random.default_rng(3)
    pattern = draw.normal(size=season)
    return [np.resize(pattern, steps) + trend * np.arange(steps) + noise * draw.normal(size=steps) for _ in range(count)]


@pytest.mark.parametrize("season", [7, 12, 24])
def test_the_season_of_the_frequency_is_confirmed(season: int) -> None:
    found = find_season(series(season), season, "day")
    assert (found.steps, found.reason) == (season, "usual for steps of one day, and seen in 20 of 20 series")


@pytest.mark.parametrize(("season", "natural"), [(7, 12), (12, 7), (5, 12), (7, 1), (12, 1), (24, 1)])
def test_another_season_wins_where_the_data_say_so(season: int, natural: int) -> None:
    assert find_season(series(season), natural, "step").steps == season


@pytest.mark.parametrize("natural", [12, 1])
def test_trends_and_noise_are_no_season(natural: int) -> None:
    draw = np.random.default_rng(4)
    walks = [draw.normal(size=300).cumsum() + 0.2 * np.arange(300) for _ in range(20)]
    assert find_season(walks, natural, "month").steps is None
    assert find_season([np.full(100, 3.0)] * 5, natural, "month").steps is None, "nor is what never changes"


def test_short_series_cannot_tell() -> None:
    found = find_season(series(12, steps=30), 12, "month")
    assert found.steps is None
    assert found.reason == "12 would be usual for steps of one month, but no series is long enough to tell"


def test_missing_values_are_passed_over() -> None:
    some = series(7)
    for one in some:
        one[5::9] = np.nan
    assert find_season(some, 7, "day").steps == 7
