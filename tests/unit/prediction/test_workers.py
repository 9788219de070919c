"""Processes that decode beside this one: the same predictions in the same places, and one sentence when one of them has ended."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import antiphon
from antiphon.contracts.sequences import Example, Prediction, Request
from antiphon.errors import ConfigError, DataError, TrainingError
from antiphon.prediction import loading
from antiphon.prediction.predictor import Predictor
from antiphon.prediction.workers import DecodingWorkers, Way
from antiphon.recipe.recipe import recipe_from

WORDS = ["abc", "", "cba" * 3, "zork", "b", "ca", "bbbb", "acacac", "cab", "a"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "character"}},
            "model": {"name": "lstm", "dim": 8},
            "data": {"validation": 2},
            "training": {"max_steps": 1, "device": "cpu", "samples": 0},
            "search": {"name": "beam", "beam_size": 2, "limits": {"max_length": 6}},
            "evaluation": {"batch_size": 2},
        }
    )
    rows = [{"source": word, "target": word[::-1]} for word in ("abc", "cba", "aab", "cca", "bcb", "bac")]
    return Path(antiphon.train(recipe, tmp_path_factory.mktemp("workers") / "run", data={"train": rows}))


def told(predictions: Any) -> list[Any]:
    """All that can be seen of predictions."""
    return [
        (one.value, one.hypothesis.score, [*one.hypothesis.step_scores], one.details, [other.value for other in one.alternatives])
        for one in predictions
    ]


def test_the_same_predictions_until_a_worker_is_killed(run: Path) -> None:
    alone, together = antiphon.load(run, device="cpu"), antiphon.load(run, device="cpu", workers=2)
    expected = told(alone.predict(WORDS, on_error="keep"))
    assert told(together.predict(WORDS, on_error="keep")) == expected
    assert "error" in expected[1][3]
    assert told(together.predict(iter(WORDS * 9), on_error="keep")) == told(alone.predict(iter(WORDS * 9), on_error="keep"))
    assert together.predict("abc").text == expected[0][0]
    with pytest.raises(DataError, match="Input 2: "):
        together.predict(WORDS)
    other = {"name": "greedy", "limits": {"max_length": 3}}
    assert told(together.with_search(other).predict(["abc", "b"])) == told(alone.with_search(other).predict(["abc", "b"]))
    (plain,) = together.without_copies().predict(["abc"])
    assert plain.hypothesis.score == expected[0][1]
    assert [*plain.hypothesis.step_scores] == []
    workers: Any = together._workers
    pids = [process.pid for process in workers._started]
    assert all(os.getsid(pid) != os.getsid(0) for pid in pids), "Ctrl-C in the terminal must not reach them"
    os.kill(pids[0], signal.SIGKILL)
    with pytest.raises(TrainingError, match=r"^A worker has ended \(killed by SIGKILL\) before .* take fewer workers"):
        together.predict(WORDS * 4, on_error="keep")
    assert not any(map(is_running, pids))
    with pytest.raises(TrainingError, match=r"^The workers have ended\. Load the model again\.$"):
        together.predict("abc")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_end_with_the_predictor_and_say_why_they_cannot_begin(run: Path) -> None:
    workers = DecodingWorkers({"path": str(run / "elsewhere")}, 1)
    (process,) = workers._started
    with pytest.raises(antiphon.errors.CheckpointError, match="elsewhere"):
        workers.decode([], [Request()][:0], Way({}, False, True, 2)) or workers.decode([_example()], [Request()], Way({}, False, True, 2))
    until = time.monotonic() + 60
    while is_running(process.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_running(process.pid)
    with pytest.raises(ConfigError, match=r"^`workers` must be at least 1, but is 0\.$"):
        antiphon.load(run, workers=0)


def _example() -> Example:
    import numpy as np

    return Example(np.array([4, 3]), None, 0)


class InThisProcess:
    """What does the same in this process, to see what is asked of workers."""

    asked: list[tuple[int, Way]] = []

    def __init__(self, arguments: dict[str, Any], count: int):
        self.count, self._predictor = count, loading.open_predictor(arguments["path"], device="cpu", overrides=arguments["overrides"])

    def decode(self, examples: list[Example], requests: list[Request], way: Way) -> list[Prediction]:
        self.asked.append((len(examples), way))
        return self._predictor.decoding_by(way).decode(examples, requests)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, Way]]]:
    monkeypatch.setattr(loading, "DecodingWorkers", InThisProcess)
    monkeypatch.setattr(Predictor, "with_workers", lambda self, workers: vars(self).update(_workers=workers) or self)
    InThisProcess.asked.clear()
    yield InThisProcess.asked
    InThisProcess.asked.clear()


def test_the_command_line_has_them_decode(seen: Any, run: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from antiphon.cli.main import main

    (tmp_path / "words.txt").write_text("\n".join(word or "" for word in WORDS) + "\n")

    def said(*options: str) -> tuple[str, str]:
        arguments = ["antiphon", "predict", str(run), str(tmp_path / "words.txt"), "--set", "search.beam_size=3", *options]
        monkeypatch.setattr("sys.argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return tuple(capsys.readouterr())

    alone = said()
    assert seen == []
    assert said("--workers", "2") == alone
    assert [count for count, _ in seen] == [len(WORDS) - 1]  # a blank line needs none
    ((_, way),) = seen
    assert (way.search["beam_size"], way.step_scores, way.batch_size) == (3, False, 2)
