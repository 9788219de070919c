"""How fast are series read, and in how much memory? Ours, `polars.read_csv` alone, utilsforecast and Darts, in turns.

    python benchmarks/series_reading.py
    python benchmarks/series_reading.py --rows 10000000 --only long

Three made-up tables of daily values, as CSV: `long` has a row for each of 1,000 days of many series, in order; `many` the rows of series of
25 days, all series of a day behind each other, so they must be sorted; `wide` a column for each series and a row for each of 1,000 days.

Not equal: `polars.read_csv` gives a frame, dates as texts, nothing sorted. Ours gives the packed table that a task is fitted on: ids
told apart, dates as numbers, sorted by series and time, errors with file and line. utilsforecast's `process_df` gives the same arrays, of a
frame of polars that reads dates by itself; Darts a list of TimeSeries, of a frame of pandas. The peers are found in an environment of their
own (benchmarks/peers/install .venv-peers forecasting); those that are not there are left out. Memory is the peak of a process that has read
the table as often as there are rounds, what its packages take included.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from turns import ROOT, System, machine, table, take_turns, versions

KINDS = ("long", "many", "wide")
REFERENCE = "polars.read_csv alone"


def write_table(kind: str, rows: int, path: Path) -> int:
    """A table of about so many values; how many values it has."""
    import numpy as np
    import polars

    steps = 25 if kind == "many" else 1000
    series = max(1, rows // steps)
    days = np.datetime64("2000-01-01") + np.arange(steps)
    values = np.random.default_rng(1).normal(100, 10, series * steps).round(3)
    names = polars.Series("unique_id", np.arange(series)).cast(polars.String).str.zfill(7)
    if kind == "wide":
        frame = polars.DataFrame({"ds": days, **dict(zip(names, values.reshape(series, steps), strict=True))})
    elif kind == "many":
        frame = polars.DataFrame({"unique_id": polars.concat([names] * steps), "ds": days.repeat(series), "y": values})
    else:
        frame = polars.DataFrame({"unique_id": names.gather(np.arange(series).repeat(steps)), "ds": np.tile(days, series), "y": values})
    frame.write_csv(path)
    return len(values)


def systems(path: Path, kind: str, values: int, settings: argparse.Namespace) -> list[System]:
    """Who takes part."""
    told = (f"--data={path}", f"--kind={kind}", f"--values={values}")
    found = [
        System(REFERENCE, "peers/series_loading.py", (*told, "--system=polars"), threads=settings.threads),
        System("Antiphon", "own_series.py", told, threads=settings.threads),
    ]
    if settings.against:
        found.append(replace(found[-1], name="Antiphon before", checkout=settings.against))
    there = versions(str(settings.peers), ["utilsforecast", "darts"]) if settings.peers.exists() else ""
    for name in ("utilsforecast", "Darts"):
        if name.lower() not in there:
            print(f"{settings.peers} has no {name}: it is left out (benchmarks/peers/install .venv-peers forecasting)", file=sys.stderr)
        elif name.lower() not in settings.leave_out:
            arguments = (*told, f"--system={name.lower()}")
            found.append(System(name, "peers/series_loading.py", arguments, str(settings.peers), settings.threads))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="values of each table")
    parser.add_argument("--only", choices=KINDS, help="one of the tables")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of polars and of everybody else")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-peers-forecasting" / "bin" / "python", help="the peers' Python")
    parser.add_argument("--leave-out", nargs="*", default=[], choices=("utilsforecast", "darts"))
    parser.add_argument("--against", type=Path, help="another checkout, to compare with")
    settings = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS if settings.only is None else (settings.only,):
            path = Path(folder) / f"{kind}.csv"
            values = write_table(kind, settings.rows, path)
            packed = values * 16 / 2**20
            print(f"\n{kind}: {values:,} values, {path.stat().st_size / 2**20:,.0f} MB of CSV, {packed:,.0f} MB as times and values\n")
            found = take_turns(systems(path, kind, values, settings), settings.rounds, settings.clock)
            print(table(found, f"values per {settings.clock} second (ratio)", REFERENCE))
            path.unlink()


if __name__ == "__main__":
    main()
