"""The table of rules: what suits so much data in so many minutes."""

import pytest

from antiphon.runs.fitting_rules import (
    FEWEST_TOKENS,
    FRAMES,
    TOKENS,
    UPDATES,
    Facts,
    batch,
    dropout,
    held_out,
    passes_said,
    wide_enough,
    worth_rounding,
)


def facts(
    minutes: float = 10.0,
    elements: float = 500_000.0,
    speed: float | None = 2000.0,
    *,
    records: int = 30_000,
    frames: bool = False,
    sources: float = 0.0,
) -> Facts:
    return Facts(records, minutes, elements, speed, frames, sources)


@pytest.mark.parametrize(("minutes", "speed", "size"), [(10.0, 2000.0, 450), (20.0, 2000.0, 950), (0.5, 500.0, 250), (600.0, 2000.0, 4000)])
def test_a_batch_leaves_enough_updates(minutes: float, speed: float, size: int) -> None:
    found = batch(facts(minutes, speed=speed))
    assert found.value == size
    updates = minutes * 60 * speed / size
    assert size in (TOKENS[0], 4000) or updates == pytest.approx(UPDATES, rel=0.1)


def test_batches_of_sound_are_counted_in_frames() -> None:
    assert batch(facts(3.0, speed=5000.0, frames=True)).value == FRAMES[0]
    assert batch(facts(120.0, speed=5000.0, frames=True)).value == FRAMES[1]
    assert "frames" in batch(facts(frames=True)).reason
    assert facts(elements=45_000_000.0, frames=True).bounds[0] == 3000, "two recordings of 15 s"


def test_batches_of_short_targets_to_long_sources_are_smaller() -> None:
    """Headlines of 4 symbols below texts of 50."""
    headlines = facts(2.5, elements=20_000.0, speed=1000.0, sources=125_000.0)
    assert headlines.bounds == (80, TOKENS[1])
    assert batch(headlines).value == 80
    assert facts(elements=20_000.0, sources=2_000_000.0).bounds[0] == FEWEST_TOKENS
    assert facts(sources=500_000.0).bounds[0] == TOKENS[0]


def test_what_is_seen_often_is_dropped_more() -> None:
    assert [dropout(facts(minutes)).value for minutes in (1.0, 20.0, 100.0, 1000.0)] == [0.1, 0.2, 0.3, 0.4]


def test_a_model_is_small_enough_to_see_the_data_some_times() -> None:
    assert wide_enough(facts(10.0))
    assert not wide_enough(facts(5.0)), "not even 2 passes"
    assert not wide_enough(facts(2.5, speed=1000.0, elements=20_000.0)), "7 passes, but only 600 updates"
    assert passes_said(facts(1.0)) == "sees the data about 0.24 times in 1 minute here (2,000 symbols/s)"
    assert passes_said(facts(speed=None)) == "a small one for few records"


@pytest.mark.parametrize(("records", "count"), [(2, 1), (100, 5), (1100, 55), (34_000, 500)])
def test_a_twentieth_is_held_out_and_never_more_than_500(records: int, count: int) -> None:
    assert held_out(records) == count


def test_bf16_must_be_faster_by_more_than_chance() -> None:
    assert worth_rounding(3.0, 2.0) == 1.5
    assert worth_rounding(2.2, 2.0) is None
    assert worth_rounding(2.0, 3.0) is None
