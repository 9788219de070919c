"""Series read by Antiphon: the packed table that fitting, holding out and corpora look at, and every series of it."""

import argparse
from pathlib import Path

from worker import Task, serve


def set_up(settings: argparse.Namespace) -> dict[str, Task]:
    """Both tasks: the table alone, and the table with all series made from it, on their grid and checked."""
    from antiphon.data.records import open_records
    from antiphon.data.series import SeriesReader
    from antiphon.data.series_reading import read_table
    from antiphon.data.series_table import SeriesColumns, SeriesTable
    from antiphon.features.frequency import parse_frequency

    wide = settings.kind == "wide"
    columns = SeriesColumns(None if wide else "unique_id", "ds", ("y",), wide=wide)

    def read() -> SeriesTable:
        return read_table(open_records(settings.data), columns, ())

    def table() -> float:
        return float(len(read().times))

    def series() -> float:
        return float(sum(len(one) for one in SeriesReader(read(), parse_frequency("1d"), "error", "error")))

    return {"table": table, "every series": series}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kind", required=True)
    parser.add_argument("--values", type=int, required=True)
    arguments = parser.parse_args()
    serve(lambda: set_up(arguments))
