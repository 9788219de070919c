"""Series through the whole task: held out by series and time, over several files, with the names and the zones that came in."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars
import pytest

import antiphon
from antiphon.contracts.configuration import validate
from antiphon.contracts.limits import Limits
from antiphon.contracts.sequences import Hypothesis
from antiphon.data.records import open_records
from antiphon.data.windows import WindowCorpus
from antiphon.errors import ConfigError, DataError
from antiphon.features.calendar import calendar_features
from antiphon.prediction.writers import writer_for
from antiphon.recipe.assembly import build_corpora, fit_task, open_splits
from antiphon.recipe.recipe import recipe_from
from antiphon.tasks.forecasting.config import ForecastingConfig
from antiphon.tasks.forecasting.task import Forecasting

ENDS = {"a": 30, "b": 22, "c": 40}


def long_rows() -> list[dict[str, Any]]:
    return [{"unique_id": name, "ds": step, "y": step + 1.0} for step in range(40) for name in ENDS if step < ENDS[name]]


def wide_rows() -> list[dict[str, Any]]:
    return [{"ds": step, **{name: step + 1.0 if step < end else None for name, end in ENDS.items()}} for step in range(40)]


def given(kind: str, folder: Path) -> Any:
    """The same series in many ways."""
    rows = wide_rows() if "wide" in kind else long_rows()
    if "several" in kind:
        paths = [folder / "old.csv", folder / "new.csv", folder / "newer.parquet"]
        for path, part in zip(paths, (rows[: len(rows) // 3], rows[len(rows) // 3 : -10], rows[-10:]), strict=True):
            frame = polars.DataFrame(
                part, schema={name: polars.Float64 if name != "ds" else polars.Int64 for name in part[0]} if "wide" in kind else None
            )
            frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
        return [str(path) for path in paths]
    if "frame" in kind:
        return polars.DataFrame(rows)
    if "file" in kind:
        polars.DataFrame(rows).write_csv(folder / "data.csv")
        return str(folder / "data.csv")
    return rows


def corpora(kind: str, folder: Path, **settings: Any) -> tuple[list[WindowCorpus], list[WindowCorpus]]:
    recipe = recipe_from(
        {
            "task": {"name": "forecasting", "horizon": 4, "context_length": 8, "format": kind.split()[0], **settings},
            "data": {"validation": 6},
            "model": "lstm",
            "training": {"max_steps": 1},
        }
    )
    made = Forecasting(recipe.task)
    splits = open_splits(recipe, made, {"train": given(kind, folder)})
    fit_task(made, splits["train"])
    train = build_corpora(splits["train"], made, folder / "corpora", Limits(), keep_records=False)
    held = build_corpora(splits["validation"], made, folder / "corpora", Limits(), keep_records=True)
    # What is learned from as rows is what is learned from as a table.
    again = Forecasting(recipe.task)
    again.fit([record for _, record in splits["train"].whole()])
    assert again.fingerprint == made.fingerprint
    return [part for part in train if isinstance(part, WindowCorpus)], [part for part in held if isinstance(part, WindowCorpus)]


def forecast_keys(parts: list[WindowCorpus]) -> Iterator[tuple[str, int]]:
    for part in parts:
        for owner in part.used:
            series = part.series(int(owner))
            for origin in part.origins(int(owner)):
                yield from ((str(series.unique_id), int(time)) for time in series.times[origin : origin + part.plan.horizon])


@pytest.mark.parametrize("kind", ["long", "wide", "long frame", "wide frame", "long file", "wide file", "long several", "wide several"])
def test_no_value_is_forecast_in_training_and_in_validation(tmp_path: Path, kind: str) -> None:
    train, held = corpora(kind, tmp_path)
    assert len(train) == len(held) == 1
    learned, scored = set(forecast_keys(train)), list(forecast_keys(held))
    assert not learned & set(scored)
    assert sorted(scored) == sorted((name, step) for name, end in ENDS.items() for step in range(end - 4, end))
    assert {name: max(time for one, time in learned if one == name) for name in ENDS} == {name: end - 7 for name, end in ENDS.items()}


def test_files_that_weigh_differently_share_no_series(tmp_path: Path) -> None:
    first, second, *_ = given("long several", tmp_path)
    settings = {
        "task": {"name": "forecasting", "horizon": 2, "context_length": 4},
        "data": {"train": [first, {"path": second, "weight": 2}]},
        "model": "lstm",
        "training": {"max_steps": 1},
    }
    recipe = recipe_from(settings)
    made = Forecasting(recipe.task)
    with pytest.raises(DataError, match=r"new.csv:2, series `.`: a series must have one `weight`, but goes on in a file of another"):
        fit_task(made, open_splits(recipe, made)["train"])
    polars.read_csv(second).with_columns(unique_id=polars.col("unique_id") + "2").write_csv(second)
    fit_task(made, open_splits(recipe, made)["train"])
    assert made.notes[0].startswith("6 series")


def recipe(**settings: Any) -> dict[str, Any]:
    return {
        "task": {"name": "forecasting", "horizon": 3, "context_length": 6, "decoding": "direct", **settings},
        "data": {"validation": 3},
        "model": {"name": "lstm", "dim": 8},
        "training": {"max_steps": 1},
        "evaluation": {"metrics": ["mae"], "resamples": 0},
    }


@pytest.mark.parametrize("form", ["frame", "csv", "parquet"])
def test_names_come_out_as_they_went_in(tmp_path: Path, form: str) -> None:
    frame = polars.DataFrame([{"unique_id": name, "ds": step, "y": 1.0 * step + name} for name in (7, 12) for step in range(20)])
    frame.write_csv(tmp_path / "data.csv")
    frame.write_parquet(tmp_path / "data.parquet")
    data = frame if form == "frame" else tmp_path / f"data.{form}"
    model = antiphon.load(antiphon.train(recipe_from(recipe()), tmp_path / "run", data={"train": data}))
    table = model.predict_table(data)
    assert table.join(frame.select("unique_id").unique(), on="unique_id").height == 6
    predictions = model.predict(polars.read_csv(data) if form == "csv" else polars.read_parquet(data) if form == "parquet" else data)
    assert [prediction.value.unique_id for prediction in predictions] == [7, 12]
    said = io.StringIO()
    for kind in ("json", "csv"):
        writer = writer_for(said, kind, model.task)
        for prediction in predictions:
            writer.write(prediction, {})
        writer.finish()
        if kind == "json":
            assert [row["unique_id"] for one in json.loads(said.getvalue()) for row in one["prediction"]] == [7] * 3 + [12] * 3
            said.seek(said.truncate(0))
    assert [row["unique_id"] for row in csv.DictReader(said.getvalue().splitlines())] == ["7"] * 3 + ["12"] * 3
    evaluation = antiphon.evaluate(tmp_path / "run", data)
    assert [row["unique_id"] for row in evaluation.details["series"]["worst"]] in ([7, 12], [12, 7])


# ---------------------------------------------------------------------------------------------------------------- zones


def task(data: Any, **settings: Any) -> Forecasting:
    made = Forecasting(validate(ForecastingConfig, {"horizon": 3, "context_length": 6, **settings}))
    made.fit(data)
    return made


def times_behind(made: Forecasting, data: Any) -> tuple[Any, ...]:
    item = next(iter(made.items(data)))
    return made.decode([Hypothesis(np.zeros((3, 1), np.float32), 0.0, 0.0)], made.encode(item)).value.times  # type: ignore[no-any-return]


def stamped(stamps: list[Any]) -> list[dict[str, Any]]:
    return [{"unique_id": "a", "ds": stamp, "y": float(step)} for step, stamp in enumerate(stamps)]


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("stamps", "behind"),
    [
        ([f"2024-03-{day}T00:00Z" for day in range(10, 30)], ("2024-03-30T00:00Z", "2024-03-31T00:00Z", "2024-04-01T00:00Z")),
        (
            [f"2024-03-{day} 06:00+0530" for day in range(10, 30)],
            ("2024-03-30 06:00+0530", "2024-03-31 06:00+0530", "2024-04-01 06:00+0530"),
        ),
        ([f"2023-{quarter}" for quarter in ("Q1", "Q2", "Q3", "Q4")] * 1, ("2024-Q1", "2024-Q2", "2024-Q3")),
        ([f"202{year}q{quarter}" for year in (2, 3) for quarter in (1, 2, 3, 4)], ("2024q1", "2024q2", "2024q3")),
    ],
)
def test_times_go_out_as_they_came_in(stamps: list[str], behind: tuple[str, ...]) -> None:
    data = stamped(stamps)
    assert times_behind(task(data, context_length=2), data) == behind


@pytest.mark.parametrize("change", [datetime(2024, 3, 31), datetime(2024, 10, 27)])
@pytest.mark.parametrize("form", ["python", "frame"])
def test_a_day_with_a_change_of_clocks_is_a_day(form: str, change: datetime) -> None:
    first = polars.Series([change]).dt.offset_by("-15d").item()
    days = polars.datetime_range(first, polars.Series([change]).dt.offset_by("4d").item(), "1d", eager=True).dt.replace_time_zone(
        "Europe/Berlin"
    )
    data: Any = stamped(days.to_list())
    data = open_records(polars.DataFrame(data)) if form == "frame" else data
    made = task(data, calendar=["hour", "weekday"])
    assert str(made.covariates.frequency) == "1d"
    behind = times_behind(made, data)
    assert all(isinstance(stamp, datetime) and str(stamp.tzinfo) == "Europe/Berlin" and stamp.hour == 0 for stamp in behind)
    (item,) = made.items(data)
    source = made.encode(item).source
    np.testing.assert_allclose(source[:, 1:3], [[0, 1]] * 6, atol=1e-6)  # midnight, on both sides of the change
    weekdays = calendar_features(np.array(days.dt.replace_time_zone(None).to_physical()[-6:]), ["weekday"])
    np.testing.assert_allclose(source[:, 3:5], weekdays, atol=1e-6)
    before = [row for row in stamped(days.to_list()) if row["ds"].replace(tzinfo=None) < change]  # the change lies ahead
    assert times_behind(made, before) == tuple(days.to_list()[len(before) : len(before) + 3])


def test_offsets_that_change_need_the_name_of_the_zone() -> None:
    days = (
        polars.datetime_range(datetime(2024, 3, 20), datetime(2024, 4, 5), "1d", eager=True).dt.replace_time_zone("Europe/Berlin").to_list()
    )
    texts = stamped([day.isoformat() for day in days])
    with pytest.raises(DataError, match=r"offsets \+01:00 and \+02:00: .* Name the zone in `task.time_zone`"):
        task(texts)
    made = task(texts, time_zone="Europe/Berlin", calendar=["hour"])
    assert times_behind(made, texts) == ("2024-04-06T00:00:00+02:00", "2024-04-07T00:00:00+02:00", "2024-04-08T00:00:00+02:00")
    winter = stamped([row["ds"] for row in texts[:11]])
    assert times_behind(made, winter) == ("2024-03-31T00:00:00+01:00", "2024-04-01T00:00:00+02:00", "2024-04-02T00:00:00+02:00")
    utc = stamped([day.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%MZ") for day in days])
    assert times_behind(made, utc) == ("2024-04-05T22:00Z", "2024-04-06T22:00Z", "2024-04-07T22:00Z")
    with pytest.raises(DataError, match=r"or `task.time_zone` where clocks are changed"):
        task(utc, frequency="1d")
    with pytest.raises(ConfigError, match=r"`task.time_zone` must be a zone such as Europe/Berlin, UTC or \+01:00, but is 'Berlin'"):
        task(utc, time_zone="Berlin")
    with pytest.raises(ConfigError, match=r"`task.time_zone` is for times with an offset from UTC, but `ds` has none"):
        task(stamped([f"2024-01-{day:02d}" for day in range(1, 20)]), time_zone="Europe/Berlin")


def test_hours_across_a_change_of_clocks_are_hours_and_the_calendar_is_local(tmp_path: Path) -> None:
    hours = polars.datetime_range(datetime(2024, 10, 26, tzinfo=BERLIN), datetime(2024, 10, 27, 12, tzinfo=BERLIN), "1h", eager=True)
    data = open_records(polars.DataFrame(stamped(hours.to_list())))
    made = task(data, calendar=["hour"], context_length=24)
    assert str(made.covariates.frequency) == "1h"
    (item,) = made.items(data)
    local = np.array([stamp.hour for stamp in hours.to_list()][-24:])
    np.testing.assert_allclose(made.encode(item).source[:, 1], np.sin(2 * np.pi * local / 24), atol=1e-6)
    made.save(tmp_path)
    again = Forecasting(made.settings)
    again.load(tmp_path)
    assert again.fingerprint == made.fingerprint
    assert times_behind(again, data) == tuple(datetime(2024, 10, 27, hour, tzinfo=BERLIN) for hour in (13, 14, 15))
    saved = json.loads((tmp_path / "task.json").read_text())
    del saved["times"]["zone"], saved["times"]["offset"]  # as a version that knew no zones wrote it, whose hours were those of UTC
    (tmp_path / "task.json").write_text(json.dumps(saved))
    earlier = Forecasting(made.settings)
    earlier.load(tmp_path)
    utc = np.array([stamp.astimezone(ZoneInfo("UTC")).hour for stamp in hours.to_list()][-24:])
    (item,) = earlier.items(data)
    np.testing.assert_allclose(earlier.encode(item).source[:, 1], np.sin(2 * np.pi * utc / 24), atol=1e-6)


def test_dates_and_whole_numbers_are_told_apart() -> None:
    made = task(stamped(list(range(20))))
    with pytest.raises(DataError, match=r"`ds` must hold whole numbers, as in training, but holds dates"):
        list(made.items(stamped([f"2024-01-{day:02d}" for day in range(1, 20)])))
