"""Windows over stored series: which there are, what is in them, how often each is shown."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.sequences import Example
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.series import Series
from antiphon.data.windows import Plan, Weighting, WindowCorpus, build_windows, check_windows
from antiphon.errors import DataError
from antiphon.features.scaling import Scale

LENGTHS = {"long": 30, "short": 9, "tiny": 3}


def window(series: Series, covariates: np.ndarray, origin: int, number: int) -> Example:
    context = series.targets[max(0, origin - 6) : origin]
    return Example(
        np.concatenate([context, covariates[max(0, origin - 6) : origin]], axis=1), series.targets[origin - 1 : origin + 4], number
    )


def item(series: Series, covariates: np.ndarray, origin: int) -> dict[str, Any]:
    return {"unique_id": series.unique_id, "origin": origin, "known": len(covariates)}


def stored(folder: Path, plan: Plan, weighting: Weighting = "windows", identity: str = "1", built: list[str] | None = None) -> WindowCorpus:
    def series() -> Any:
        for number, (name, length) in enumerate(LENGTHS.items()):
            if built is not None:
                built.append(name)
            values = 100.0 * number + np.arange(length, dtype=float)[:, None]
            scale = Scale(np.array([1.0]), np.array([2.0])) if number == 0 else None
            nothing = np.empty((length, 0))
            one = Series(name, np.arange(length), values, nothing, nothing, ("north", number), scale)
            yield one, np.stack([-values[:, 0], values[:, 0] % 2], axis=1).astype(np.float32)

    build_windows(series(), folder, identity, lambda: {"mended": ["Nothing."]}, (1, 2))
    return WindowCorpus(folder, plan, window, item, weighting=weighting)


def test_the_windows_that_there_are(tmp_path: Path) -> None:
    corpus = stored(tmp_path / "windows", Plan(context=6, shortest=3, horizon=4, stride=2))
    # long: origins 26, 24, ... 4 (12 of them); short: 5, 3; tiny: none
    assert [corpus.record(index)["origin"] for index in range(len(corpus))] == [*range(4, 27, 2), 3, 5]
    assert corpus.record(len(corpus) - 1)["unique_id"] == "short"
    assert corpus.source_lengths.tolist() == [4, *[6] * 11, 3, 5]
    assert corpus.target_lengths.tolist() == [5] * 14
    for index in range(len(corpus)):
        example = corpus.example(index)
        sources, targets = corpus.lengths(np.array([index]))
        assert (len(example.source), len(example.target)) == (sources[0], targets[0])  # type: ignore[arg-type]
        assert example.target is not None
        assert example.target[0, 0] == example.source[-1, 0]
    last = corpus.example(11)
    assert last.source[:, 0].tolist() == [20, 21, 22, 23, 24, 25]
    assert last.source[:, 1].tolist() == [-20, -21, -22, -23, -24, -25]
    assert last.target is not None
    assert last.target[:, 0].tolist() == [25, 26, 27, 28, 29]
    with pytest.raises(IndexError):
        corpus.example(14)


def test_what_became_of_the_series(tmp_path: Path) -> None:
    corpus = stored(tmp_path / "windows", Plan(6, 3, 4))
    tally = corpus.tally
    assert (tally["read"], tally["kept"], tally["windows"]) == (3, 2, len(corpus))
    assert tally["dropped"] == {"series too short for one window": 1}
    assert tally["first"] == {"series too short for one window": ["tiny"]}
    assert corpus.notes == ("Nothing.",)
    series = corpus.series(0)
    assert (series.unique_id, series.static) == ("long", ("north", 0))
    assert series.scale is not None
    assert series.scale.scale.tolist() == [2.0]
    assert corpus.series(1).scale is None


def test_only_the_last_windows(tmp_path: Path) -> None:
    corpus = stored(tmp_path / "windows", Plan(6, 3, 4, stride=4, last=3))
    assert [corpus.record(index)["origin"] for index in range(len(corpus))] == [18, 22, 26, 5]
    records = corpus.records()
    assert [number for number, _ in records()] == [0, 1, 2, 3]
    assert records.place(3) == "series short, after step 5"


def test_stored_once(tmp_path: Path) -> None:
    built: list[str] = []
    stored(tmp_path / "windows", Plan(6, 3, 4), built=built)
    stored(tmp_path / "windows", Plan(5, 2, 3), built=built)  # other windows of the same series
    assert built == list(LENGTHS)
    stored(tmp_path / "windows", Plan(6, 3, 4), identity="2", built=built)
    assert len(built) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["windows"]


def test_series_weigh_equally(tmp_path: Path) -> None:
    corpus = stored(tmp_path / "windows", Plan(6, 3, 4), weighting="series")
    sampler = Sampler(corpus, BatchingConfig(target_tokens=40), seed=3)
    shown = np.concatenate([np.concatenate(list(sampler.batches(epoch))) for epoch in range(60)])
    short = np.array([corpus.record(index)["unique_id"] == "short" for index in range(len(corpus))])
    assert abs(short[shown].mean() - 0.5) < 0.02  # though it has 3 of 27 windows
    assert set(shown.tolist()) == set(range(len(corpus)))
    again = np.concatenate(list(sampler.batches(0)))
    np.testing.assert_array_equal(again, np.concatenate(list(Sampler(corpus, BatchingConfig(target_tokens=40), seed=3).batches(0))))
    showings = [showing for rows, times in sampler.shown(0) for showing in zip(rows.tolist(), times.tolist(), strict=True)]
    assert len(set(again.tolist())) < len(again), "some windows are drawn more than once"
    assert len(set(showings)) == len(showings)


def test_every_window_once(tmp_path: Path) -> None:
    corpus = stored(tmp_path / "windows", Plan(6, 3, 4))
    rows = np.concatenate(list(Sampler(corpus, BatchingConfig(target_tokens=40), seed=3).batches(0)))
    assert sorted(rows.tolist()) == list(range(len(corpus)))


def test_copies_map_the_files_again(tmp_path: Path) -> None:
    corpus = stored(tmp_path / "windows", Plan(6, 3, 4))
    copy = pickle.loads(pickle.dumps(corpus))  # noqa: S301 - our own
    np.testing.assert_array_equal(copy.example(5).source, corpus.example(5).source)


def test_series_that_are_all_too_short(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must have 44 steps \(a context of 40 and a horizon of 4\), but the longest of 3 has 30"):
        check_windows(stored(tmp_path / "windows", Plan(40, 40, 4)))
