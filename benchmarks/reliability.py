"""Break training in every way that happens, and count what survives. Everything runs on generated data, on two cores.

python benchmarks/reliability.py                  all of it (about ten minutes)
python benchmarks/reliability.py resume --limit 4 one experiment, on fewer cases

resume     stopped at a random update and resumed: the same bits as a run that was never stopped
kill       SIGKILL at random moments, half of them while a checkpoint is written: every kill leaves a run that can be resumed
ranks      two processes learn what one learns, from the same batches
full       no room for a file of any size, and a folder that cannot be written: one sentence, and the last checkpoint is intact
signals    Ctrl-C and SIGTERM, also under torchrun: a checkpoint, status 130, and a command that continues
diverge    a learning rate that explodes, and a record that does: skipped, counted, named
memory     batches that do not fit in memory: split, logged, and the same weights
"""

import argparse
import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

import torch  # noqa: E402

from antiphon import checkpoint  # noqa: E402
from tests.reliability.training_processes import (  # noqa: E402
    LSTM,
    TRANSFORMER,
    Process,
    differences,
    events,
    outcome,
    run,
    start,
    stop_in_update,
    train_command,
    write_data,
    write_recipe,
)


@dataclass
class Report:
    """Counts, and what went wrong."""

    name: str
    counts: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def check(self, good: bool, what: str) -> bool:
        """Remember a failure; says whether all was well."""
        if not good:
            self.failures.append(what)
        return good

    def add(self, key: str, amount: int = 1) -> None:
        """Count."""
        self.counts[key] = self.counts.get(key, 0) + amount

    def __str__(self) -> str:
        counts = ", ".join(f"{key} {value}" for key, value in self.counts.items())
        return "\n".join([f"{self.name}: {counts}; failures {len(self.failures)}", *(f"  FAILED {failure}" for failure in self.failures)])


# -------------------------------------------------------------------------------------------------------------- experiments

SAMPLING = {"kind": "unigram", "size": 300, "sampling": 0.2}


def resume_cases() -> Iterator[tuple[str, int, dict[str, Any]]]:
    """(name, processes, settings) of runs that are stopped and resumed."""
    extras: tuple[dict[str, Any], ...] = ({}, {"ema_decay": 0.9, "vocabulary": SAMPLING})
    for extra, model, processes, precision, accumulation in product(extras, (LSTM, TRANSFORMER), (1, 2), ("fp32", "bf16"), (1, 3)):
        name = f"{model['name']}, {processes} process(es), {precision}, accumulation {accumulation}{', ema, sampling' if extra else ''}"
        yield name, processes, {"model": model, "precision": precision, "accumulation": accumulation, **extra}
    cosine = {"name": "cosine", "warmup_steps": 3}
    scheduled = {"name": "scheduled_sampling", "steps": 5, "sample": True}
    explode = {"name": "sgd", "learning_rate": 30.0, "momentum": 0.9}
    yield "early stopping", 1, {"patience": 2, "validate_every": 2, "max_steps": 60, "optimizer": explode, "clip_norm": None}
    yield "epochs, cosine, validation per epoch", 1, {"max_steps": None, "max_epochs": 2, "validate_every": None, "schedule": cosine}
    yield "averaged checkpoints, best by a metric", 1, {"average": 3, "best": "chrf"}
    yield "scheduled sampling, adafactor", 1, {"decoder_inputs": scheduled, "optimizer": {"name": "adafactor"}}
    yield "frozen encoder, momentum", 2, {"freeze": ["encoder.*"], "optimizer": {"name": "sgd", "momentum": 0.9}}
    yield "one checkpoint kept", 1, {"keep": 1, "validate_every": 3, "log_every": 4}


def check_resume(limit: int, seed: int) -> Report:
    """Stop each case at one or two random updates, resume, compare with the run that was never stopped."""
    report, draw = Report("resume"), random.Random(seed)
    cases = list(resume_cases())
    for name, processes, settings in cases if limit >= len(cases) else draw.sample(cases, limit):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write_data(folder)
            recipe = write_recipe(folder, **settings)
            statuses, said = run(train_command(recipe, folder / "whole"), processes)
            if not report.check(set(statuses) == {0}, f"{name}: {statuses} {said[-2000:]}"):
                continue
            steps = events(folder / "whole", "records")[-1]["step"]
            stops = sorted(draw.sample(range(1, steps), draw.randint(1, 2)))
            more: list[str] = []
            for stop in stops:
                statuses, said = run(train_command(recipe, folder / "parts", *more), processes, prepare=stop_in_update(stop))
                report.check(set(statuses) == {130}, f"{name}: stopped at {stop}: {statuses} {said[-2000:]}")
                more = ["--resume"]
            statuses, said = run(train_command(recipe, folder / "parts", "--resume"), processes)
            if report.check(set(statuses) == {0}, f"{name}: resumed: {statuses} {said[-2000:]}"):
                different = differences(outcome(folder / "whole"), outcome(folder / "parts"))
                report.add("identical", report.check(not different, f"{name}: stopped at {stops} of {steps}: {different}"))
            report.add("combinations")
            report.add("stops", len(stops))
    return report


def check_kill(limit: int, seed: int) -> Report:
    """Kill at random moments until there were `limit` kills; every second one waits for a checkpoint that is being written."""
    report, draw = Report("kill", {"kills": 0, "during a save": 0, "unreadable": 0, "lost or repeated": 0, "runs": 0}), random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_data(folder)
        recipe = write_recipe(folder, max_steps=60, save_every=2, ema_decay=0.9, validate_every=10)
        began = time.monotonic()
        report.check(run(train_command(recipe, folder / "whole"))[0] == [0], "the undisturbed run failed")
        duration, whole = time.monotonic() - began, outcome(folder / "whole")
        while report.counts["kills"] < limit:
            out = folder / f"run-{report.counts['runs']}"
            while not _kill_once(recipe, out, duration, report, draw):
                pass
            different = differences(whole, outcome(out))
            report.check(not different, f"after the kills: {different}")
            report.add("lost or repeated", events(out, "records") != events(folder / "whole", "records"))
            report.add("runs")
            shutil.rmtree(out)
    return report


def _kill_once(recipe: Path, out: Path, duration: float, report: Report, draw: random.Random) -> bool:
    """Start or resume, and kill; True when the run came to its end first."""
    child = start(train_command(recipe, out, *(["--resume"] if (out / "recipe.yaml").exists() else [])))
    deadline = time.monotonic() + draw.uniform(0.02, duration * 0.8)
    wait_for_save, delay = draw.random() < 0.6, draw.uniform(0, 0.01)
    while time.monotonic() < deadline or (wait_for_save and not list(out.glob("checkpoints/.*partial*")) and _alive(child)):
        time.sleep(0.0003)
    if wait_for_save:
        time.sleep(delay)
    os.kill(child.pid, signal.SIGKILL)
    status = child.wait()
    if status == 0:
        return True
    report.check(status == -signal.SIGKILL, f"a resumed run failed: {status} {child.said[-2000:]}")
    if status != -signal.SIGKILL:
        raise SystemExit(str(report))
    report.add("kills")
    report.add("during a save", bool(list(out.glob("checkpoints/.*partial*"))))
    for link in ("last", "best"):
        if os.path.lexists(out / link):
            try:
                checkpoint.read((out / link).resolve()).weights()
            except Exception as error:
                report.add("unreadable")
                report.check(False, f"`{link}` after a kill: {error}")
    return False


def _alive(child: Process) -> bool:
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


EXPERIMENTS: dict[str, tuple[Callable[[int, int], Report], int]] = {"resume": (check_resume, 1000), "kill": (check_kill, 50)}


def main() -> None:
    """Run the experiments that are asked for; the exit status is 1 when something did not survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="*", choices=[*EXPERIMENTS, []], help="which; all when left out")
    parser.add_argument("--limit", type=int, help="so many cases or kills")
    parser.add_argument("--seed", type=int, default=1, help="decides the random stops and kills")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    failed = False
    for name in arguments.experiment or EXPERIMENTS:
        check, usual = EXPERIMENTS[name]
        began = time.monotonic()
        report = check(arguments.limit or usual, arguments.seed)
        print(f"{report} ({time.monotonic() - began:.0f} s)", flush=True)
        failed |= bool(report.failures)
    sys.exit(failed)


if __name__ == "__main__":
    main()
