"""Predictions a second of two processes, start-up apart: plain `antiphon predict`, shards of blocks, and actors of Ray.

    python benchmarks/batch_prediction.py --count 50000 --ways plain shards ray

Two plain processes have a half of the inputs each, and share nothing. All ways take turns, one thread a process, and are measured between
their first predictions and their end: by the clock, and by the processor time of all processes that a way has started (Linux). The model
is a small LSTM that knows nothing; its outputs are 12 symbols at most.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import antiphon
from antiphon.recipe.recipe import recipe_from
from antiphon.store.json_text import json_text

WAYS = ("plain", "shards", "ray")
_TICKS = os.sysconf("SC_CLK_TCK")
_MARK = "ANTIPHON_BENCHMARK"


def make_run(folder: Path) -> Path:
    """A run that was hardly trained."""
    drawn = random.Random(1)
    words = ["".join(drawn.choices("abcdefgh", k=drawn.randint(3, 12))) for _ in range(200)]
    settings = {
        "task": {"name": "translation", "vocabulary": {"kind": "character"}},
        "model": {"name": "lstm", "dim": 128},
        "data": {"validation": 20},
        "training": {"max_steps": 2, "device": "cpu", "samples": 0},
        "search": {"name": "beam", "beam_size": 4, "limits": {"max_length": 12}},
    }
    return Path(
        antiphon.train(recipe_from(settings), folder / "run", data={"train": [{"source": one, "target": one[::-1]} for one in words]})
    )


def write_inputs(folder: Path, count: int) -> None:
    """All inputs in one file, and in two halves."""
    drawn = random.Random(2)
    lines = ["".join(drawn.choices("abcdefgh", k=drawn.randint(3, 40))) + "\n" for _ in range(count)]
    for name, part in (("all", lines), ("half-0", lines[: count // 2]), ("half-1", lines[count // 2 :])):
        (folder / f"{name}.txt").write_text("".join(part), encoding="utf-8")


def commands(way: str, run: Path, folder: Path, out: Path, block: int) -> list[list[str]]:
    """The processes of a way."""
    ask = [sys.executable, "-m", "antiphon", "predict", str(run), "--quiet", "-i"]
    if way == "plain":
        return [[*ask, str(folder / f"half-{half}.txt"), "-o", str(out / f"half-{half}.jsonl")] for half in range(2)]
    asked = [*ask, str(folder / "all.txt"), "-o", f"{out}/", "--block-records", str(block)]
    if way == "shards":
        return [[*asked, "--shard", f"{number}/2"] for number in (1, 2)]
    return [[*asked, "--engine", "ray", "--workers", "2"]]


def predicted(out: Path) -> int:
    """How many predictions are there, finished or not."""
    return sum(path.read_bytes().count(b"\n") for pattern in ("*.jsonl", "*.jsonl.partial") for path in out.glob(pattern))


def processor_seconds(mark: str, known: dict[int, float]) -> float:
    """The processor time of all processes with this mark in their environment, those that have ended among them."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if f"{_MARK}={mark}".encode() in (entry / "environ").read_bytes():
                    fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                    known[int(entry.name)] = (int(fields[11]) + int(fields[12])) / _TICKS
            except OSError:  # it has ended
                continue
    return sum(known.values())


def measure(way: str, run: Path, folder: Path, out: Path, block: int) -> tuple[float, float]:
    """Predictions a second by the clock and by the processor, from the first ones on."""
    out.mkdir()
    mark, known = uuid.uuid4().hex, dict[int, float]()
    environment = {**os.environ, _MARK: mark, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    started = [subprocess.Popen(one, env=environment) for one in commands(way, run, folder, out, block)]
    first: tuple[int, float, float] | None = None
    spent = 0.0
    while any(one.poll() is None for one in started):
        time.sleep(0.25)
        spent = processor_seconds(mark, known)
        if first is None and (there := predicted(out)):
            first = there, time.perf_counter(), spent
    if first is None or any(one.returncode for one in started):
        raise SystemExit(f"{way} has failed")
    count = predicted(out) - first[0]
    return count / (time.perf_counter() - first[1]), count / (spent - first[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--block-records", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    settings = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in settings.ways}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = make_run(folder)
        write_inputs(folder, settings.count)
        for turn in range(settings.rounds):
            for way in settings.ways:
                found[way].append(measure(way, run, folder, folder / f"{way}-{turn}", settings.block_records))
                print(way, *(f"{rate:.0f}/s" for rate in found[way][-1]), file=sys.stderr, flush=True)
    medians = {way: [statistics.median(one[index] for one in rates) for index in range(2)] for way, rates in found.items()}
    base = medians.get("plain", next(iter(medians.values())))
    for way, rates in medians.items():
        facts = dict(zip(("a_second", "a_processor_second"), (round(rate, 1) for rate in rates), strict=True))
        print(json_text({"way": way, **facts, "of_plain": [round(rate / one, 3) for rate, one in zip(rates, base, strict=True)]}))


if __name__ == "__main__":
    main()
