"""Frequencies: inferred, counted along, continued."""

import numpy as np
import pytest

from antiphon.errors import ConfigError, DataError
from antiphon.features.frequency import Frequency, IrregularTimeError, infer_frequency, parse_frequency
from antiphon.features.times import TimesRead, read_time, style_of


def _stamps(start: str, end: str, step: int, unit: str) -> np.ndarray:
    return np.arange(start, end, step, dtype=f"M8[{unit}]").astype("M8[us]").astype(np.int64)


MONTH_STARTS = _stamps("2019-01", "2021-06", 1, "M")
DAY = 86_400_000_000
WORKDAYS = np.array(
    [day for day in _stamps("2024-01-01", "2024-03-01", 1, "D") if np.is_busday(np.datetime64(int(day), "us").astype("M8[D]"))]
)

CASES = [
    (_stamps("2020-01-01T00:05", "2020-01-01T03:00", 15, "m"), "15m", 96, "2020-01-01T03:05"),
    (_stamps("2020-01-01T00", "2020-01-05T00", 1, "h"), "1h", 24, "2020-01-05T00"),
    (_stamps("2020-02-25", "2020-02-29", 1, "D"), "1d", 7, "2020-02-29"),
    (WORKDAYS, "1b", 5, "2024-03-01"),
    (_stamps("2020-01-06", "2020-03-02", 7, "D"), "1w", 52, "2020-03-02"),
    (MONTH_STARTS, "1mo", 12, "2021-06-01"),
    (_stamps("2019-01", "2020-06", 1, "M") - DAY, "1mo", 12, "2020-05-31"),  # the last day of each month
    (_stamps("2019-01", "2021-01", 3, "M") - DAY, "1q", 4, "2020-12-31"),
    (_stamps("2001", "2010", 1, "Y"), "1y", 1, "2010-01-01"),
    (_stamps("2020-01-01T00:00:00", "2020-01-01T00:01:00", 10, "s"), "10s", 6, "2020-01-01T00:01:00"),
]


@pytest.mark.parametrize(("times", "text", "season", "following"), CASES, ids=[f"{case[1]}-{number}" for number, case in enumerate(CASES)])
def test_inferred_counted_and_continued(times: np.ndarray, text: str, season: int, following: str) -> None:
    frequency = infer_frequency([times], calendar=True)
    assert str(frequency) == text
    assert frequency == parse_frequency(text)
    assert frequency.season == season
    assert frequency.positions(times).tolist() == list(range(len(times)))
    assert np.datetime64(int(frequency.following(times, 1)[0]), "us") == np.datetime64(following)


def test_gaps_do_not_mislead() -> None:
    holes = np.delete(MONTH_STARTS, [3, 4, 11])
    frequency = infer_frequency([holes], calendar=True)
    assert str(frequency) == "1mo"
    assert frequency.positions(holes)[-1] == len(MONTH_STARTS) - 1
    assert (frequency.grid(holes, np.arange(len(MONTH_STARTS))) == MONTH_STARTS).all()


def test_a_series_on_the_thirtieth_passes_february() -> None:
    times = TimesRead().values(["2021-01-30", "2021-02-28", "2021-03-30"])
    frequency = infer_frequency([times], calendar=True)
    assert frequency == Frequency("mo")
    assert frequency.following(times, 2).tolist() == TimesRead().values(["2021-04-30", "2021-05-30"]).tolist()


def test_integers() -> None:
    assert infer_frequency([np.arange(3, 30, 3)], calendar=False) == Frequency("i", 3)
    assert Frequency("i", 3).following(np.array([0, 3]), 2).tolist() == [6, 9]


def test_days_without_a_weekend_between_them_are_days() -> None:
    assert str(infer_frequency([TimesRead().values(["2024-01-01", "2024-01-02", "2024-01-03"])], calendar=True)) == "1d"


def test_what_is_irregular_is_named() -> None:
    with pytest.raises(DataError, match=r"most steps are hour and one is 90 minutes"):
        infer_frequency([TimesRead().values([f"2020-01-01 0{time}" for time in ("0:00", "1:00", "2:00", "3:30")])], calendar=True)
    with pytest.raises(DataError, match=r"no series has two times"):
        infer_frequency([np.array([5])], calendar=True)
    with pytest.raises(IrregularTimeError) as found:
        Frequency("d").positions(TimesRead().values(["2020-01-01T00", "2020-01-02T00", "2020-01-03T01"]))
    assert found.value.index == 2
    with pytest.raises(IrregularTimeError):
        Frequency("b").positions(TimesRead().values(["2024-01-05", "2024-01-06"]))  # a Saturday
    with pytest.raises(ConfigError, match=r"must be a number and a unit such as 15m"):
        parse_frequency("hourly")


@pytest.mark.parametrize(
    "text", ["1994-12", "1994-12-31", "1994-12-31T23:30", "1994-12-31 23:30:05", "1994-12-31T23:30:05.250", "1994Q4", "17"]
)
def test_times_are_written_as_they_were_read(text: str) -> None:
    style = style_of(text)
    assert [str(time) for time in style.write(TimesRead().values([text]))] == [text]


def test_times_with_an_offset_are_utc_and_objects_are_read() -> None:
    assert read_time("2020-01-01T02:00+02:00") == read_time("2020-01-01T00:00Z") == read_time("2020-01-01")
    for value in (np.datetime64("2020-03-01", "D").item(), np.datetime64("2020-03-01T12:00", "s").item()):
        assert style_of(value).write(np.array([read_time(value)])) == (value,)


@pytest.mark.parametrize("value", ["", None, "soon", 1.5, True, "2020-13-01"])
def test_no_time(value: object) -> None:
    with pytest.raises(DataError, match="a time must be"):
        TimesRead().values(["2020-01-01", value])


def test_the_series_that_is_irregular_is_named():
    monthly, odd = (TimesRead().values([f"2020-{month:02}" for month in months]) for months in ((1, 3, 5, 7, 9), (1, 3, 4)))
    with pytest.raises(DataError, match=r"most steps are 2 months and one of series `odd` is 1"):
        infer_frequency([monthly, odd], calendar=True, names=["monthly", "odd"])
    with pytest.raises(DataError, match=r"and one of series `b` is"):
        infer_frequency([np.arange(0, 20, 2), np.array([0, 2, 5])], calendar=False, names=["a", "b"])


@pytest.mark.parametrize(
    ("days", "behind"),
    [
        (["2024-01-31", "2024-02-29", "2024-03-29", "2024-04-30", "2024-05-31", "2024-06-28"], ["2024-07-31", "2024-08-30"]),
        (["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01", "2024-06-03"], ["2024-07-01", "2024-08-01"]),
    ],
)
def test_business_days_that_stand_for_months(days: list[str], behind: list[str]) -> None:
    times = TimesRead().values(days)
    frequency = infer_frequency([times], calendar=True)
    assert str(frequency) == "1mo"
    assert frequency.positions(times).tolist() == list(range(6))
    assert frequency.following(times, 2).tolist() == TimesRead().values(behind).tolist()
    assert str(infer_frequency([times[::3]], calendar=True)) == "1q"


def test_days_of_months_that_follow_no_rule_have_a_remedy_that_works() -> None:
    days = ["2024-01-31", "2024-02-29", "2024-03-28", "2024-04-30"]  # Good Friday is no day of trade
    with pytest.raises(DataError, match=r"If each row stands for a month, write the month instead of a day in it: 2024-03\."):
        infer_frequency([TimesRead().values(days)], calendar=True)
    assert str(infer_frequency([TimesRead().values([day[:7] for day in days])], calendar=True)) == "1mo"
