"""Clocks on the wall."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from antiphon.errors import ConfigError, DataError
from antiphon.features.frequency import Frequency, infer_frequency
from antiphon.features.times import TimesRead, TimeStyle, read_time, style_of
from antiphon.features.zones import check_zone, instants_of, nominal_times, python_zone, wall_times, zone_of

SAO_PAULO = "America/Sao_Paulo"  # where clocks were changed at midnight, until 2019


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", SAO_PAULO, "Asia/Kolkata", "UTC", "-03:30", None])
def test_as_python_has_it(zone: str | None) -> None:
    instants = TimesRead().values(["2018-03-01T12:00"])[0] + np.arange(24 * 365) * 3_600_000_000
    shown = wall_times(instants, zone)
    python = UTC if zone is None else python_zone(zone)
    expected = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(each)) for each in instants[::97]]
    assert [each.astimezone(python).replace(tzinfo=None) for each in expected] == shown[::97].astype("M8[us]").tolist()
    back = instants_of(shown, zone)
    assert ((back == instants) | (back == instants - 3_600_000_000)).all()  # what the clock shows twice is the first of both
    assert (back != instants).sum() <= 1


def test_an_hour_that_is_left_out() -> None:
    nothing = TimesRead().values(["2018-11-04T00:00"])  # clocks went from 00:00 to 01:00
    assert wall_times(instants_of(nothing, SAO_PAULO), SAO_PAULO).tolist() == TimesRead().values(["2018-11-04T01:00"]).tolist()
    days = instants_of(TimesRead().values([f"2018-11-0{day}" for day in range(1, 9)]), SAO_PAULO)
    assert nominal_times(days, SAO_PAULO).tolist() == TimesRead().values([f"2018-11-0{day}" for day in range(1, 9)]).tolist()
    assert str(infer_frequency([days], calendar=True, zone=SAO_PAULO)) == "1d"
    assert Frequency("d", zone=SAO_PAULO).following(days[:2], 6).tolist() == days[2:].tolist()


def test_names_of_zones() -> None:
    assert zone_of(datetime(2024, 1, 1)) is None
    assert zone_of(datetime(2024, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo"))) == "Asia/Tokyo"
    assert zone_of(datetime(2024, 1, 1, tzinfo=timezone(-timedelta(hours=3, minutes=30)))) == "-03:30"
    for zone in ("Europe/Berlin", "UTC", "+05:45"):
        check_zone(zone)
    with pytest.raises(ConfigError, match=r"must be a zone such as Europe/Berlin, UTC or \+01:00, but is 'CEST\?'"):
        check_zone("CEST?")


@pytest.mark.parametrize(
    "text", ["2024-07-01T05:00Z", "2024-07-01T05:00:00+02:00", "2024-07-01 05:00-0330", "2024-07-01T05:00+05", "2024-07-01T05Z"]
)
def test_offsets_are_written_as_they_were_read(text: str) -> None:
    assert style_of(text).write(np.array([read_time(text)])) == (text,)


@pytest.mark.parametrize("text", ["2024-Q4", "2024Q4", "2024q4", "2024-q4"])
def test_quarters_are_written_as_they_were_read(text: str) -> None:
    assert style_of(text).write(np.array([read_time(text)])) == (text,)
    assert TimeStyle("text", "Q").write(np.array([read_time(text)])) == ("2024Q4",)  # as runs of earlier versions have it


@pytest.mark.parametrize(("text", "clock", "behind"), [("2022-01-01T13-05", "13:05", 5), ("2022-01-01 13-10", "13:10", 10)])
def test_a_time_of_two_meanings_is_refused(text: str, clock: str, behind: int) -> None:
    with pytest.raises(DataError, match=rf"'{text}' may be {clock} o'clock, or 13 o'clock {behind} hours behind UTC\. Write"):
        read_time(text)
    assert read_time("2022-01-01T13:00-05:00") == read_time("2022-01-01T18:00Z")


@pytest.mark.parametrize("text", ["today", "now", "NaT", "2024-01-05-07", "2024-01-01T00:00:00.1234567", "2024-01-01T00:00+25:00"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(DataError, match=r"a time must be a whole number, or a date"):
        read_time(text)


def test_offsets_that_differ() -> None:
    seen = TimesRead()
    seen.values(["2024-03-31T00:00+01:00", "2024-04-01T00:00+02:00"])
    with pytest.raises(DataError, match=r"have the offsets \+01:00 and \+02:00"):
        seen.style(None)
    style = seen.style("Europe/Berlin")
    times = TimesRead().values(["2024-03-30T23:00Z", "2024-03-31T22:00Z"])
    assert style.write(times) == ("2024-03-31T00:00+01:00", "2024-04-01T00:00+02:00")
    with pytest.raises(DataError, match=r"an offset from UTC everywhere or nowhere"):
        seen.values(["2024-04-02T00:00"])
