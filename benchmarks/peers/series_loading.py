"""Series read by others: a frame of polars, utilsforecast's arrays, Darts' TimeSeries."""

import argparse
from collections.abc import Callable
from pathlib import Path

from worker import Task, serve


def with_polars(settings: argparse.Namespace) -> Task:
    """A frame, nothing sorted, dates as texts."""
    import polars

    def read() -> float:
        return float(polars.read_csv(settings.data).height and settings.values)

    return read


def with_utilsforecast(settings: argparse.Namespace) -> Task:
    """The arrays that statsforecast and mlforecast are fitted on."""
    import polars
    from utilsforecast.processing import process_df

    def read() -> float:
        frame = polars.read_csv(settings.data, try_parse_dates=True, schema_overrides={"unique_id": polars.String})
        if settings.kind == "wide":
            frame = frame.unpivot(index="ds", variable_name="unique_id", value_name="y")
        return float(len(process_df(frame, "unique_id", "ds", "y").data))

    return read


def with_darts(settings: argparse.Namespace) -> Task:
    """A list of TimeSeries; of a wide table, one of many components."""
    import pandas
    from darts import TimeSeries

    def read() -> float:
        frame = pandas.read_csv(settings.data, parse_dates=["ds"])
        if settings.kind == "wide":
            return float(TimeSeries.from_dataframe(frame, time_col="ds").values(copy=False).size)
        series = TimeSeries.from_group_dataframe(frame, group_cols="unique_id", time_col="ds", value_cols="y", verbose=False)
        return float(sum(len(one) for one in series))

    return read


SYSTEMS: dict[str, Callable[[argparse.Namespace], Task]] = {
    "polars": with_polars,
    "utilsforecast": with_utilsforecast,
    "darts": with_darts,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kind", required=True)
    parser.add_argument("--values", type=int, required=True)
    parser.add_argument("--system", choices=SYSTEMS, required=True)
    arguments = parser.parse_args()
    serve(lambda: {"table": SYSTEMS[arguments.system](arguments)})
