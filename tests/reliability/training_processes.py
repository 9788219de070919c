"""Training processes that can be stopped, killed and starved, and what they leave behind. Used by `benchmarks/reliability.py` and tests.

Unusual here: a training process is a fork of this one, which has imported everything and started no thread, so that it takes a tenth of
a second to start instead of five, and dies like any other process.
"""

import fcntl
import json
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # torch's optimizers import it when they are made
from ruamel.yaml import YAML

# Everything that a child would import.
import antiphon.heads.categorical
import antiphon.losses.cross_entropy
import antiphon.metrics.chrf
import antiphon.models.lstm
import antiphon.models.transformer
import antiphon.runs.summary
import antiphon.runs.train
import antiphon.search.beam
import antiphon.search.greedy
import antiphon.tasks.translation  # noqa: F401
from antiphon.cli.main import main as command_line
from antiphon.store import checkpoint
from antiphon.training.step import Update

TIMINGS = ("time", "seconds", "elements_per_second", "seconds_left")
LSTM = {"name": "lstm", "dim": 16, "dropout": 0.2}
_SIZES = {"heads": 2, "encoder_layers": 1, "decoder_layers": 1, "feed_forward_dim": 32}
TRANSFORMER = {"name": "transformer", "dim": 16, **_SIZES, "dropout": 0.1}


# ------------------------------------------------------------------------------------------------------------ a tiny problem


def write_data(folder: Path, *, poison: bool = False) -> None:
    """Sentences and their reversals, short enough to train on in milliseconds. With `poison`, one word occurs in record 7 only."""
    draw = random.Random(1)
    words = ["ara", "beko", "cita", "dola", "efu", "gami"]
    for name, count in (("train", 60), ("validation", 6)):
        lines = ["source\ttarget"]
        for number in range(count):
            sentence = [draw.choice(words) for _ in range(draw.randint(2, 6))]
            marked = [*sentence, "zzz"] if poison and name == "train" and number == 7 else sentence
            lines.append(f"{' '.join(marked)}\t{' '.join(reversed(sentence))}")
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_recipe(folder: Path, *, model: dict[str, Any] | None = None, vocabulary: dict[str, Any] | None = None, **training: Any) -> Path:
    """A recipe beside the data; keywords are settings of `training`."""
    settings = {
        "max_steps": 14,
        "batching": {"target_tokens": 40},
        "optimizer": {"name": "adamw", "learning_rate": 0.01},
        "schedule": {"name": "inverse_square_root", "warmup_steps": 5},
        "validate_every": 5,
        "save_every": 2,
        "log_every": 3,
        "log_records": True,
        "samples": 1,
        "loss": "cross_entropy",
        "device": "cpu",
    }
    recipe = {
        "task": {"name": "translation", "vocabulary": vocabulary or {"kind": "word"}},
        "data": {"train": "train.tsv", "validation": "validation.tsv"},
        "model": model or {"name": "lstm", "dim": 16, "dropout": 0.2},
        "training": settings | training,
        "evaluation": {"metrics": ["chrf"]},
        "seed": 3,
    }
    path = folder / "recipe.yaml"
    with open(path, "w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(recipe, file)
    return path


# ------------------------------------------------------------------------------------------------------- training processes


@dataclass
class Process:
    """A forked `antiphon` command; what it prints is read when it has ended."""

    pid: int
    output: int
    said: str = ""

    def wait(self) -> int:
        """The exit status, negative for a signal, as in subprocess."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with open(self.output, "rb") as pipe:
            self.said = pipe.read().decode()
        return status


def start(arguments: Sequence[str], *, environment: dict[str, str] | None = None, prepare: Callable[[], None] | None = None) -> Process:
    """Fork a child that runs the command line. `prepare` is called in the child first."""
    readable, writable = os.pipe()
    fcntl.fcntl(writable, fcntl.F_SETPIPE_SZ, 1 << 20)
    pid = os.fork()
    if pid:
        os.close(writable)
        return Process(pid, readable)
    status = 70
    try:
        os.dup2(writable, 1)
        os.dup2(writable, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)  # pytest may have replaced them
        os.environ |= environment or {}
        signal.signal(signal.SIGINT, signal.default_int_handler)
        torch.set_num_threads(1)
        sys.argv = ["antiphon", *arguments]
        if prepare is not None:
            prepare()
        command_line()
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def start_ranks(arguments: Sequence[str], count: int, *, prepare: Callable[[], None] | None = None) -> list[Process]:
    """Several processes as torchrun would start them, without its agent; `prepare` is for rank 0."""
    if count == 1:
        return [start(arguments, prepare=prepare)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    return [start(arguments, environment=shared | {"RANK": str(rank)}, prepare=None if rank else prepare) for rank in range(count)]


def run(arguments: Sequence[str], count: int = 1, *, prepare: Callable[[], None] | None = None) -> tuple[list[int], str]:
    """Run to the end: (exit statuses, what all of them said)."""
    processes = start_ranks(arguments, count, prepare=prepare)
    return [process.wait() for process in processes], "".join(process.said for process in processes)


def stop_in_update(number: int) -> Callable[[], None]:
    """Makes a child send itself SIGTERM in the middle of an update."""

    def prepare() -> None:
        call = Update.begin

        def stopping(self: Update, batches: Any, step: int, factor: float, scale: Any) -> Any:
            if step == number - 1:
                os.kill(os.getpid(), signal.SIGTERM)
            return call(self, batches, step, factor, scale)

        Update.begin = stopping  # type: ignore[method-assign]

    return prepare


def train_command(recipe: Path, out: Path, *more: str) -> list[str]:
    """The command that trains."""
    return ["train", str(recipe), "--out", str(out), *more]


# ------------------------------------------------------------------------------------------------------ what a run comes to


def events(out: Path, *kinds: str) -> list[dict[str, Any]]:
    """The log without timings."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").split("\n") if line]
    kept = [line for line in lines if not kinds or line["kind"] in kinds]
    return [{key: value for key, value in line.items() if key not in TIMINGS} for line in kept]


def outcome(out: Path) -> dict[str, Any]:
    """Everything a run leaves that does not depend on the clock: hashes of tensors, progress, links, checkpoints, events."""
    last = (out / "last").resolve()
    files = {str(path.relative_to(last)): checkpoint.digest(path) for path in sorted(last.rglob("*")) if path.is_file()}
    del files[checkpoint.MANIFEST], files["training/progress.json"]
    progress = checkpoint.read_json(last / "training" / "progress.json")
    del progress["seconds"], progress["window"]["since"]
    return {
        "files": files,
        "progress": progress,
        "best": (out / "best").resolve().name,
        "best weights": checkpoint.digest(out / "best" / checkpoint.WEIGHTS),
        "checkpoints": sorted(path.name for path in (out / "checkpoints").iterdir()),
        "events": events(out),
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Which parts of two outcomes differ, with the first event that does."""
    found = [key for key in one if one[key] != other[key] and key != "events"]
    pairs = zip(one["events"], other["events"], strict=False)
    if one["events"] != other["events"]:
        first = next((pair for pair in pairs if pair[0] != pair[1]), (len(one["events"]), len(other["events"])))
        found.append(f"events: {first[0]} / {first[1]}")
    return found
