"""Workers of a sweep that are killed, and workers side by side: no trial is lost, run twice, or other than it would have been."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="needs the extra `tune`")

from tests.reliability.training_processes import write_data

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
RECIPE = """\
task: {name: translation, vocabulary: {kind: word}}
data: {train: train.tsv, validation: validation.tsv}
model: {name: lstm, dim: 16, dropout: 0.2}
training:
  max_steps: 120
  validate_every: 20
  save_every: 10
  device: cpu
  batching: {target_tokens: 64}
  best: chrf
evaluation: {metrics: [chrf], resamples: 20}
sweep:
  space:
    training.optimizer.learning_rate: {low: 1e-3, high: 1e-1, log: true}
    model.dropout: {low: 0.1, high: 0.5}
"""


def prepared(folder: Path) -> Path:
    write_data(folder)
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    (folder / "elsewhere").mkdir()
    return folder / "recipe.yaml"


def worker(recipe: Path, out: Path, trials: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "antiphon", "sweep", str(recipe), "--out", str(out), "--trials", str(trials), "--json"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def ended(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    out, said = process.communicate(timeout=900)
    assert process.returncode == 0, said
    return json.loads(out), said


def killed_when(process: subprocess.Popen[str], place: Path, attempt: int | None = None) -> None:
    """Kill the worker once something is there: a checkpoint, or the lease of an attempt."""
    deadline = time.monotonic() + 600
    while not place.exists() or (attempt and f'"attempt": {attempt}' not in place.read_text(encoding="utf-8")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def weights(out: Path) -> dict[str, bytes]:
    return {path.parent.name: (path / "model.safetensors").read_bytes() for path in sorted(out.glob("trials/*/best"))}


def test_a_killed_workers_trial_is_taken_up_from_its_checkpoint(tmp_path: Path) -> None:
    recipe = prepared(tmp_path)
    undisturbed, _ = ended(worker(recipe, tmp_path / "undisturbed", 3))
    out = tmp_path / "killed"
    killed_when(worker(recipe, out, 3), out / "trials" / "0001" / "checkpoints" / "step-40")
    killed_when(worker(recipe, out, 3), out / "trials" / "0001" / "checkpoints" / "step-80")
    begun = json.loads((out / "trials" / "0001" / "lease.json").read_text(encoding="utf-8"))["checkpoint"]
    assert int(begun.removeprefix("step-")) >= 30, "the second worker began from a checkpoint of the first"
    found, said = ended(worker(recipe, out, 3))
    again = re.search(r"trial 1 of 3, taken up from step-(\d+):", said)
    assert again is not None, said
    assert int(again[1]) >= 70
    assert "trial 0 of 3" not in said, "what is complete is not run again"
    assert weights(out) == weights(tmp_path / "undisturbed")
    assert len(weights(out)) == 3
    for one, other in zip(found["trials"], undisturbed["trials"], strict=True):
        assert {**one, "run": "", "seconds": 0} == {**other, "run": "", "seconds": 0}
    steps = [json.loads(line) for line in (out / "trials" / "0001" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [event["step"] for event in steps if event["kind"] == "validation"] == [20, 40, 60, 80, 100, 120]


def test_a_trial_that_kills_its_workers_fails(tmp_path: Path) -> None:
    recipe, out = prepared(tmp_path), tmp_path / "out"
    for attempt in (1, 2, 3):
        killed_when(worker(recipe, out, 2), out / "trials" / "0000" / "lease.json", attempt)
    found, _ = ended(worker(recipe, out, 2))
    assert [trial["outcome"] for trial in found["trials"]] == ["failed", "complete"]
    assert found["trials"][0]["reason"] == "Its worker died 3 times, perhaps for want of memory."


def test_two_workers_share_one_journal(tmp_path: Path) -> None:
    recipe, out = prepared(tmp_path), tmp_path / "out"
    both = [worker(recipe, out, 6) for _ in range(2)]
    said = [ended(process)[1] for process in both]
    last, _ = ended(worker(recipe, out, 6))
    begun = [line.split()[1] for text in said for line in text.splitlines() if line.startswith("trial ") and " of 6" in line]
    assert sorted(begun) == [str(number) for number in range(6)], "each trial has run once"
    assert all(any(line.startswith("trial ") for line in text.splitlines()) for text in said), "both had some"
    assert len({json.dumps(trial["settings"]) for trial in last["trials"]}) == 6
    assert {trial["outcome"] for trial in last["trials"]} == {"complete"}
    seconds = [trial["seconds"] for trial in last["trials"]]
    assert all(second > 0 for second in seconds)


def test_a_worker_that_is_stopped_leaves_its_trial_to_the_next(tmp_path: Path) -> None:
    recipe, out = prepared(tmp_path), tmp_path / "out"
    first = worker(recipe, out, 1)
    deadline = time.monotonic() + 600
    while not (out / "trials" / "0000" / "checkpoints" / "step-20").exists():
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.send_signal(signal.SIGTERM)
    _, said = first.communicate(timeout=600)
    assert first.returncode == 143
    assert f"continue with: antiphon sweep {recipe} --out {out} --trials 1" in said
    assert not (out / "trials" / "0000" / "lease.json").exists()
    found, said = ended(worker(recipe, out, 1))
    assert re.search(r"trial 0 of 1, taken up from step-\d+:", said)
    assert found["trials"][0]["steps"] == 120
