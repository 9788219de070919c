"""Training and validation share no key, whatever the task, the files, their formats and where series end."""

import csv
import gzip
import json
from typing import Any

import polars
import pytest

from antiphon.contracts import registry
from antiphon.contracts.abilities import HoldsOut
from antiphon.contracts.asking import key_columns
from antiphon.contracts.limits import Limits
from antiphon.recipe.assembly import build_corpora, build_task, fit_task, open_splits
from antiphon.recipe.recipe import recipe_from
from tests.unit.data.sounds import tone, write

WORDS = ("one", "two", "three", "four", "five", "six", "seven")
ROWS = [
    {"source": WORDS[number % 7], "target": f"t{number}", "text": f"{WORDS[number % 7]} {number % 11}", "tag": "ab"[number % 2]}
    for number in range(60)
]
SPOKEN = [
    {"audio": f"{number % 9}.wav", "text": WORDS[number % 7], "who": f"speaker {number % 4}", "start": 0.0, "end": 0.1 * (1 + number % 2)}
    for number in range(36)
]
TASKS: dict[str, list[tuple[dict[str, Any], list[dict[str, Any]]]]] = {
    "translation": [({"tags": ["tag"]}, ROWS)],
    "summarization": [({"source": "source", "target": "target"}, ROWS)],
    "language_modeling": [({}, ROWS)],
    "denoising": [({}, ROWS), ({"text": ["source", "text"]}, ROWS)],
    "speech_recognition": [({}, SPOKEN), ({"speaker": "who"}, SPOKEN), ({"start": "start", "end": "end"}, SPOKEN)],
}


def as_tsv(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if "tsv" in path.name else ",")
        writer.writeheader()
        writer.writerows(rows)


def as_lines(path, rows):
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


WRITERS = {"tsv": as_tsv, "csv": as_tsv, "jsonl.gz": as_lines, "parquet": lambda path, rows: polars.DataFrame(rows).write_parquet(path)}


def test_every_task_that_draws_records_is_tried():
    builders = {name: registry.find("tasks", name).build for name in registry.names("tasks")}
    assert TASKS.keys() == {name for name, build in builders.items() if not (isinstance(build, type) and issubclass(build, HoldsOut))}


@pytest.mark.parametrize("name", TASKS)
def test_no_key_is_on_both_sides(name, tmp_path, seed):
    for number in range(9):
        write(tmp_path / f"{number}.wav", tone(0.3, 200 + 50 * number))
    for settings, rows in TASKS[name]:
        files = []
        for part, (suffix, write_rows) in enumerate(WRITERS.items()):
            files.append(tmp_path / f"{part}.{suffix}")
            write_rows(files[-1], rows[part :: len(WRITERS)])
        recipe = recipe_from(
            {
                "task": {"name": name, **settings},
                "model": {"name": "lstm"},
                "data": {"train": [str(path) for path in files], "validation": 12},
                "training": {"max_steps": 1},
                "seed": seed,
            }
        )
        task = build_task(recipe)
        splits = open_splits(recipe, task)
        columns = key_columns(task)
        keys = {side: {tuple(str(record[column]) for column in columns) for record in split} for side, split in splits.items()}
        assert keys["validation"]
        assert not keys["train"] & keys["validation"]
        assert sum(split.count() for split in splits.values()) == len(rows)
        assert f"{splits['validation'].count()} of {len(rows)} training records are held out for validation" in splits["validation"].note


def targets_of(corpora, horizon):
    """(series, time) of every value that a window of these corpora asks for."""
    found = set()
    for corpus in corpora:
        for index in range(len(corpus)):
            record = corpus.record(index)
            times = record["series"].times[record["origin"] : record["origin"] + horizon]
            found |= {(str(record["unique_id"]), int(time)) for time in times}
    return found


DAYS = [f"2024-{1 + day // 28:02}-{1 + day % 28:02}" for day in range(56)]
LENGTHS = {"a": 56, "b": 40, "c": 31}  # series end where they end


def long_rows(names):
    return [{"unique_id": name, "ds": DAYS[day], "y": day + ord(name)} for name in names for day in range(LENGTHS[name])]


def wide_rows(names):
    return [{"ds": ds, **{name: day + ord(name) if day < LENGTHS[name] else None for name in names}} for day, ds in enumerate(DAYS)]


SERIES = {
    "long": [long_rows("abc")],
    "long in two files": [long_rows("ab"), long_rows("c")],
    "series that go on in the next file": [long_rows("abc")[::2], long_rows("abc")[1::2]],
    "wide": [wide_rows("abc")],
    "wide in two files": [wide_rows("abc")[:30], wide_rows("abc")[30:]],
}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("name", SERIES)
def test_no_value_of_a_series_is_asked_for_on_both_sides(name, suffix, tmp_path):
    files = []
    for number, rows in enumerate(SERIES[name]):
        files.append(tmp_path / f"{number}.{suffix}")
        WRITERS[suffix](files[-1], rows)
    task = {"name": "forecasting", "horizon": 4, "context_length": 8, "backtest": {"windows": 2}, "frequency": "1d", "missing": "previous"}
    recipe = recipe_from(
        {
            "task": {**task, "format": "wide" if name.startswith("wide") else "long"},
            "model": {"name": "linear"},
            "data": {"train": [str(path) for path in files], "validation": 8},
            "training": {"max_steps": 1},
        }
    )
    made = build_task(recipe)
    splits = open_splits(recipe, made)
    fit_task(made, splits["train"])
    learned, scored = (
        targets_of(build_corpora(splits[side], made, tmp_path, Limits(), keep_records=side == "validation"), 4)
        for side in ("train", "validation")
    )
    assert {series for series, _ in scored} == set("abc")
    assert not learned & scored
    assert len(scored) == 3 * 8
