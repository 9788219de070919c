"""What is told of series before training: against sums done by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example
from antiphon.data.series import Series
from antiphon.data.series_audit import audit_series
from antiphon.data.windows import Plan, WindowCorpus, build_windows


def no_window(series: Series, covariates: np.ndarray, origin: int, number: int) -> Example:
    raise AssertionError("looking at series encodes no window")


def no_item(series: Series, covariates: np.ndarray, origin: int) -> Record:
    raise AssertionError("looking at series makes no records")


def corpus_of(folder: Path, series: dict[str, tuple[int, list[Any]]], plan: Plan) -> WindowCorpus:
    """A corpus of series: name -> (time of the first step, values of one or more channels)."""
    made = []
    for name, (start, values) in series.items():
        targets = np.array(values, dtype=np.float64).reshape(len(values), -1)
        nothing = np.empty((len(values), 0))
        one = Series(name, start + np.arange(len(values)), targets, nothing, nothing)
        made.append((one, np.empty((len(values), 0), dtype=np.float32)))
    build_windows(iter(made), folder, str(folder), dict, (made[0][0].targets.shape[1], 0))
    return WindowCorpus(folder, plan, no_window, no_item)


def written(times: np.ndarray) -> list[str]:
    return [f"t{time}" for time in times]


PLAN = Plan(context=3, shortest=2, horizon=2)


def test_counts_spans_and_values(tmp_path: Path) -> None:
    series = {"a": (10, [1.0, 2.0, np.nan, 4.0, 5.0, 9.0]), "short": (0, [100.0, 200.0, 300.0]), "b": (8, [-3.0, 0.0, 0.0, 0.0])}
    found = audit_series({"train": [corpus_of(tmp_path / "train", series, PLAN)]}, ("y",), written)["train"]
    assert (found.series, found.windows, found.context, found.horizon) == (2, 4, (2, 3), 2)
    assert found.times == ("t8", "t15"), "the short series has no window, so its times do not count"
    assert found.forecast == ("t10", "t15")
    (values,) = found.values
    assert (values.name, values.lowest, values.highest, values.missing) == ("y", -3, 9, 1)
    assert values.mean == pytest.approx((1 + 2 + 4 + 5 + 9 - 3) / 9)
    assert found.steps is not None
    assert (found.steps.quantiles["min"], found.steps.quantiles["max"]) == (4, 6)
    assert found.seen == 0


def test_several_channels_are_told_apart(tmp_path: Path) -> None:
    found = audit_series(
        {"train": [corpus_of(tmp_path / "a", {"a": (0, [[1, 10], [2, 20], [3, np.nan], [4, 40]])}, PLAN)]}, ("x", "z"), written
    )
    assert [(one.name, one.lowest, one.highest, one.missing) for one in found["train"].values] == [("x", 1, 4, 0), ("z", 10, 40, 1)]


def test_a_forecast_of_a_learned_step_is_seen(tmp_path: Path) -> None:
    """Series `a` was learned up to time 5, `b` up to 7; nothing was learned of `c`."""
    train = corpus_of(tmp_path / "train", {"a": (0, [0.0] * 6), "b": (0, [0.0] * 8)}, PLAN)
    scored = Plan(3, 2, 2, stride=2, last=2)  # of 10 steps, forecasts of 6 and 7, and of 8 and 9
    test = corpus_of(tmp_path / "test", {name: (0, [0.0] * 10) for name in "abc"}, scored)
    found = audit_series({"train": [train], "test": [test]}, ("y",), written)
    assert (found["test"].windows, found["test"].seen, found["test"].first_seen) == (6, 1, ("b",))
    assert found["train"].seen == 0
    assert found["test"].forecast == ("t6", "t9")


def test_origins_are_those_of_the_records(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "a", {"a": (0, [0.0] * 9), "b": (0, [0.0] * 3), "c": (0, [0.0] * 4)}, Plan(3, 2, 2, stride=3))
    located = [corpus._locate(index) for index in range(len(corpus))]
    assert [(int(owner), int(origin)) for owner in corpus.used for origin in corpus.origins(int(owner))] == located


def test_a_test_of_what_validation_chose_by_is_seen_too(tmp_path: Path) -> None:
    scored = Plan(3, 2, 2, last=1)
    train, validation, test = (corpus_of(tmp_path / name, {"a": (0, [0.0] * 6)}, scored) for name in ("train", "validation", "test"))
    late = corpus_of(tmp_path / "late", {"a": (0, [0.0] * 8)}, scored)
    assert audit_series({"test": [late], "train": [train]}, ("y",), written)["test"].seen == 0
    found = audit_series({"test": [late], "train": [train], "validation": [late]}, ("y",), written)
    assert (found["validation"].seen, found["test"].seen) == (0, 1)
    assert audit_series({"train": [train], "validation": [validation], "test": [test]}, ("y",), written)["validation"].seen == 1
