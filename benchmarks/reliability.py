"""Break training in every way that happens, and count what survives. Everything runs on generated data, on two cores.

python benchmarks/reliability.py                  all of it (about ten minutes)
python benchmarks/reliability.py resume --limit 4 one experiment, on fewer cases

resume     stopped at a random update and resumed: the same bits as a run that was never stopped
kill       SIGKILL at random moments, half of them while a checkpoint is written: every kill leaves a run that can be resumed
ranks      two processes learn what one learns, from the same batches
full       no room for a file of any size, and a folder that cannot be written: one sentence, and the last checkpoint is intact
signals    Ctrl-C and SIGTERM, also under torchrun: a checkpoint, status 130 or 143, and a command that continues
diverge    a learning rate that explodes, and a record that does: skipped, counted, named
memory     batches that do not fit in memory: split, logged, and the same weights
"""

import argparse
import codecs
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

from antiphon.store import checkpoint  # noqa: E402
from tests.reliability.training_processes import (  # noqa: E402
    LSTM,
    TRANSFORMER,
    Process,
    differences,
    events,
    outcome,
    run,
    start,
    start_ranks,
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
    yield "a passing checkpoint after every update", 2, {"save_minutes": 1e-6, "save_every": None, "average": 2}
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
                report.check(set(statuses) == {128 + signal.SIGTERM}, f"{name}: stopped at {stop}: {statuses} {said[-2000:]}")
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
                checkpoint.read((out / link).resolve()).check()
            except Exception as error:
                report.add("unreadable")
                report.check(False, f"`{link}` after a kill: {error}")
    return False


def _alive(child: Process | subprocess.Popen[str]) -> bool:
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def check_ranks(limit: int, seed: int) -> Report:
    """Two processes against one, without dropout, whose random numbers belong to a rank."""
    report = Report("ranks")
    for model in ({**LSTM, "dropout": 0.0}, {**TRANSFORMER, "dropout": 0.0})[:limit]:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write_data(folder)
            recipe = write_recipe(folder, model=model, accumulation=2, log_every=1)
            for count in (1, 2):
                statuses, said = run(train_command(recipe, folder / str(count)), count)
                report.check(set(statuses) == {0}, f"{model['name']}: {statuses} {said[-2000:]}")
                report.check(said.count("Wrote ") == 1, f"{count} process(es) say what one should: {said}")
            one, two = ([event["loss"] for event in events(folder / name, "train")] for name in ("1", "2"))
            apart = max(abs(a - b) / abs(a) for a, b in zip(one, two, strict=True))
            report.counts[f"{model['name']}: largest relative difference of a loss"] = f"{apart:.1e}"
            report.check(apart < 1e-4, f"{model['name']}: losses differ by {apart:.1e}")
            same = events(folder / "1", "records") == events(folder / "2", "records")
            report.check(same, f"{model['name']}: the global batches differ")
            report.add("updates with equal batches", len(one) if same else 0)
            _validate(report, folder, model)
            _lose_a_rank(report, recipe, folder)
    return report


def _validate(report: Report, folder: Path, model: dict[str, Any]) -> None:
    """Two processes score the same weights as one does: those that a run begins with."""
    place = folder / "scored"
    place.mkdir()
    write_data(place)
    recipe = write_recipe(place, model=model, max_steps=0, best="chrf", samples=6)
    for count in (1, 2):
        run(train_command(recipe, place / str(count)), count)
    one, two = (events(place / str(count), "validation", "sample") for count in (1, 2))
    scores, others = (found[0].pop("scores") for found in (one, two))
    near = abs(scores["loss"] - others["loss"]) < 1e-5 * scores["loss"] and scores["chrf"] == others["chrf"]
    report.check(near and one == two, f"{model['name']}: scores {scores} and {others}, samples {one} and {two}")
    report.add("validations alike", int(near and one == two))


def _lose_a_rank(report: Report, recipe: Path, folder: Path) -> None:
    """When one of two processes is killed, or has no room, the other one must not wait for it; both go on when they are resumed."""
    command = train_command(recipe, folder / "lost")
    for rank in (0, 1):
        processes = start_ranks(command, 2)
        _wait_for_lines(folder / "lost" / "metrics.jsonl", 4 + 8 * rank, processes[0])
        os.kill(processes[rank].pid, signal.SIGKILL)
        began = time.monotonic()
        statuses = [process.wait() for process in processes]
        said = "".join(process.said for process in processes)
        if statuses != [0, 0]:
            report.check(statuses[rank] == -signal.SIGKILL and statuses[1 - rank] == 1, f"rank {rank} killed: {statuses} {said[-1500:]}")
            report.check(time.monotonic() - began < 20 and "Traceback" not in said, f"rank {rank} killed: {said[-1500:]}")
            report.add("lost ranks")
        command = train_command(recipe, folder / "lost", *(["--resume"] if (folder / "lost" / "recipe.yaml").exists() else []))
    statuses, said = run(train_command(recipe, folder / "full"), 2, prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)))
    report.check(statuses == [1, 1], f"rank 0 has no room: {statuses} {said[-1500:]}")
    _one_sentence(report, said, "rank 0 has no room")
    for out in ("lost", "full"):
        statuses, said = run(train_command(recipe, folder / out, "--resume"), 2)
        report.check(
            statuses == [0, 0] and not differences(outcome(folder / "2"), outcome(folder / out)), f"{out}: {statuses} {said[-1500:]}"
        )


def check_full(limit: int, seed: int) -> Report:
    """No file may grow beyond a limit; then there is room again. From no room at all to room for everything but the last file."""
    report, draw = Report("full"), random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        write_data(folder)
        recipe = write_recipe(folder, ema_decay=0.9)
        report.check(run(train_command(recipe, folder / "whole"))[0] == [0], "the undisturbed run failed")
        largest = max(path.stat().st_size for path in (folder / "whole").rglob("*") if path.is_file())
        sizes = [largest - 1, 0, 100, *(int(largest ** draw.uniform(0.5, 1)) for _ in range(limit - 3))][:limit]
        for number, size in enumerate(sizes):
            for begun in (False, True):
                _starve(report, recipe, folder, folder / f"{number}-{begun}", size, begun=begun)
        if os.getuid() == 0:
            _refuse(report, recipe, folder)
    return report


def _starve(report: Report, recipe: Path, folder: Path, out: Path, size: int, *, begun: bool) -> None:
    """Train with a limit on the size of files, from the start or from a checkpoint; then without."""
    if begun:
        run(train_command(recipe, out), prepare=stop_in_update(3))
    where = f"files of at most {size} bytes, {'resumed' if begun else 'from the start'}"
    command = train_command(recipe, out, *(["--resume"] if begun else []))
    statuses, said = run(command, prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    report.check(statuses == [1], f"{where}: status {statuses}, {said[-1500:]}")
    _one_sentence(report, said, where)
    if begun:
        checkpoint.read((out / "last").resolve()).check()
    statuses, said = run(train_command(recipe, out, *(["--resume"] if (out / "recipe.yaml").exists() else [])))
    report.check(statuses == [0], f"{where}: there is room again: {statuses} {said[-1500:]}")
    different = statuses != [0] or differences(outcome(folder / "whole"), outcome(out))
    report.check(not different, f"{where}: there is room again: {different}")
    report.add("full and recovered", not different)


def _refuse(report: Report, recipe: Path, folder: Path) -> None:
    """A run's folder that belongs to another user."""

    def become_nobody() -> None:
        codecs.lookup("utf-8-sig")  # whatever Python would still import may be out of reach for nobody
        os.setgid(65534)
        os.setuid(65534)

    out = folder / "whole"
    before = outcome(out)
    resumed = train_command(recipe, out, "--resume", "--set", "training.max_steps=20")
    for command in (resumed, train_command(recipe, folder / "new")):
        statuses, said = run(command, prepare=become_nobody)
        report.check(statuses == [1], f"a folder without permission: {statuses} {said[-1500:]}")
        _one_sentence(report, said, "a folder without permission")
    report.check(outcome(out) == before, "a folder without permission has changed")
    report.add("refused folders", 2)


def _one_sentence(report: Report, said: str, where: str) -> None:
    report.check("Traceback" not in said and said.count("antiphon: ") == 1, f"{where}: not one sentence: {said[-1500:]}")


def check_signals(limit: int, seed: int) -> Report:
    """Stop by a signal from outside, then run the command that the message names."""
    report = Report("signals")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_data(folder)
        recipe = write_recipe(folder, max_steps=400, save_every=None, validate_every=50, log_every=1)
        cases = [(number, processes) for number in (signal.SIGINT, signal.SIGTERM) for processes in (1, 2)][:limit]
        for number, processes in cases:
            out, name = folder / f"{number.name}-{processes}", f"{number.name}, {processes} process(es)"
            status, said = _interrupt(train_command(recipe, out), out, number, processes)
            report.check(status == 128 + number if processes == 1 else status != 0, f"{name}: status {status}: {said[-1500:]}")
            report.check(said.count("antiphon: stopped by ") == 1, f"{name}: not one message: {said[-3000:]}")
            if not report.check((out / "last").exists(), f"{name}: no checkpoint"):
                continue
            reached = int((out / "last").resolve().name.removeprefix("step-"))
            hint = next(line for line in said.splitlines() if "continue with: " in line).partition("continue with: ")[2]
            program, *arguments = shlex.split(hint)
            module = {"antiphon": "antiphon", "torchrun": "torch.distributed.run"}[program]
            again = [sys.executable, "-m", module, *arguments, "--set", f"training.max_steps={reached + 5}"]
            done = subprocess.run(again, env=_environment(), capture_output=True, text=True, check=False, timeout=300)
            report.check(done.returncode == 0, f"{name}: the command of the hint: {done.returncode} {done.stderr[-1500:]}")
            report.check(events(out, "records")[-1]["step"] == reached + 5, f"{name}: it did not go on from step {reached}")
            report.add("stopped and continued")
        for processes in (2,):
            statuses, said = run(train_command(recipe, out), processes)
            report.check(statuses == [1, 1], f"a folder that holds a run: {statuses}")
            _one_sentence(report, said, "a folder that holds a run, 2 processes")
    return report


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}


def _interrupt(arguments: list[str], out: Path, number: signal.Signals, processes: int) -> tuple[int, str]:
    """Start the command, under torchrun when there are several processes, and signal all of it as a terminal does."""
    runner = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    command = [sys.executable, *runner, "-m", "antiphon", *arguments]
    child = subprocess.Popen(
        command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    _wait_for_lines(out / "metrics.jsonl", 4, child)
    if number == signal.SIGINT:
        os.killpg(child.pid, number)
    else:  # as a cluster does it: only the one that it started
        child.send_signal(number)
    said, _ = child.communicate(timeout=120)
    return child.returncode, said


def _wait_for_lines(log: Path, count: int, child: Process | subprocess.Popen[str]) -> None:
    """Wait until a run has logged so many events, or has ended."""
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_bytes().count(b"\n") >= count) and time.monotonic() < deadline and _alive(child):
        time.sleep(0.005)


def check_diverge(limit: int, seed: int) -> Report:
    """Updates that are not finite."""
    report = Report("diverge")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_data(folder, poison=True)
        optimizer = {"name": "adamw", "learning_rate": 1e9}
        fast: dict[str, Any] = {"schedule": {"name": "constant"}, "nonfinite_patience": 3, "max_steps": 200, "save_every": 1}
        for processes in (1, 2)[:limit]:
            out = folder / f"explodes-{processes}"
            recipe = write_recipe(folder, model=TRANSFORMER, optimizer=optimizer, clip_norm=None, **fast)
            statuses, said = run(train_command(recipe, out), processes)
            report.check(set(statuses) == {1} and "records" in said, f"explodes: {statuses} {said[-1500:]}")
            _one_sentence(report, said, "explodes")
            _check_finite(report, out)
            skipped = events(out, "skipped")
            report.check([event["records"] != [] for event in skipped[-3:]] == [True] * 3, f"explodes: {skipped[-3:]}")
            report.add("divergences", len(skipped) >= 3)

            out = folder / f"poisoned-{processes}"
            recipe = write_recipe(folder, model=FRAGILE | {"poison": True}, max_epochs=2, max_steps=None)
            statuses, said = run(train_command(recipe, out), processes)
            report.check(set(statuses) == {0}, f"poisoned: {statuses} {said[-1500:]}")
            report.check([event["records"] for event in events(out, "skipped")] == [[7]] * 2, f"poisoned: {events(out, 'skipped')}")
            report.check(outcome(out)["progress"]["skipped"] == 2, "poisoned: skipped updates are not counted")
            _check_finite(report, out)
            report.add("poisoned records named")
    return report


def _check_finite(report: Report, out: Path) -> None:
    weights = checkpoint.read((out / "last").resolve()).weights()
    report.check(all(bool(tensor.isfinite().all()) for tensor in weights.values()), f"{out.name}: weights are not finite")


FRAGILE = {"name": "tests.reliability.fragile_model"}


def check_memory(limit: int, seed: int) -> Report:
    """A model that fits few rows into memory, against one that fits all."""
    report = Report("memory")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_data(folder)
        for processes in (1, 2)[:limit]:
            weights = []
            for most in (None, 2):
                out = folder / f"{processes}-{most}"
                recipe = write_recipe(folder, model=FRAGILE | {"most_rows": most}, accumulation=2)
                statuses, said = run(train_command(recipe, out), processes)
                report.check(set(statuses) == {0}, f"at most {most} rows: {statuses} {said[-1500:]}")
                weights.append(checkpoint.read((out / "last").resolve()).weights())
            splits = events(out, "split")
            report.check(len(splits) == outcome(out)["progress"]["splits"] > 0, f"splits are not logged: {splits}")
            apart = max(float((weights[0][name] - weights[1][name]).abs().max()) for name in weights[0])
            report.check(apart < 1e-5, f"{processes} process(es): weights differ by {apart:.1e}")
            report.add("updates split", len(splits))
            report.counts[f"{processes} process(es): largest difference of a weight"] = f"{apart:.1e}"
        recipe = write_recipe(folder, model=FRAGILE | {"most_rows": 0})
        statuses, said = run(train_command(recipe, folder / "hopeless"))
        report.check(statuses == [1] and "Not even one record at a time fits in memory" in said, f"one row does not fit: {statuses} {said}")
        _one_sentence(report, said, "one row does not fit")
    return report


EXPERIMENTS: dict[str, tuple[Callable[[int, int], Report], int]] = {
    "resume": (check_resume, 1000),
    "kill": (check_kill, 50),
    "ranks": (check_ranks, 2),
    "full": (check_full, 12),
    "signals": (check_signals, 4),
    "diverge": (check_diverge, 2),
    "memory": (check_memory, 2),
}


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
