"""What a service costs around a model: `antiphon serve` beside `antiphon predict`, and beside services without batches, in turns.

    python benchmarks/serving.py EXPORTED texts.txt --count 320 --rounds 3

EXPORTED was written with `--format ctranslate2`; texts.txt has a sentence a line. Measured are

* 32 clients who ask for one sentence after another, beside `antiphon predict` on the same sentences as one file, in the same engine;
* one client alone, beside a call of the engine for the same sentences, a few sentences each in turns;
* the same 32 clients of a service that is CTranslate2 behind FastAPI and nothing else, and of one that decodes as LibreTranslate does
  (`bare_serving.py`), both with the same weights and beam.

The clients are a process of their own (`http_load.py`), which counts neither for one nor for the other. By the clock, and by the
processor's time of all processes of a service: a machine with other work falsifies the first, not the second. Everything stays on loopback.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, final

from turns import ROOT, machine, versions

_TICKS = os.sysconf("SC_CLK_TCK")
_ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONPATH": os.pathsep.join([str(ROOT / "benchmarks"), str(ROOT / "src")]),
}


def family(pid: int) -> list[int]:
    """A process and those that it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [pid, *(one for child in children.read_text().split() for one in family(int(child)))] if children.exists() else []


def computed(pid: int) -> float:
    """Seconds of the processor that a process has had with all its children."""
    total = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def resident(pid: int) -> float:
    """Megabytes in memory of a process with all its children."""
    lines = (line for one in family(pid) for line in Path(f"/proc/{one}/status").read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


@final
class Service:
    """A service that runs, by its process and port."""

    def __init__(self, process: "subprocess.Popen[str]", port: int):
        self.process, self.port = process, port

    def load(self, texts: Path, clients: int, *more: str, path: str = "/translate") -> dict[str, Any]:
        """What clients got of it, with the seconds that its processes computed (`cpu`)."""
        before = computed(self.process.pid)
        command = [sys.executable, str(ROOT / "benchmarks" / "http_load.py"), f"--port={self.port}", f"--path={path}", f"--texts={texts}"]
        done = subprocess.run([*command, f"--clients={clients}", *more], stdout=subprocess.PIPE, text=True, check=True)
        return {**json.loads(done.stdout), "cpu": computed(self.process.pid) - before}


@contextmanager
def ours(folder: Path, beam: int, *options: str) -> Iterator[Service]:
    """`antiphon serve` with a folder, at a port that is free."""
    settings = () if not beam else ("--set", "search.name=beam", "--set", f"search.beam_size={beam}")
    command = [sys.executable, "-m", "antiphon", "serve", f"en-de={folder}", "--port", "0", *settings, *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=_ENVIRONMENT) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"http://[^:]+:(\d+)", process.stderr.readline())
            assert found is not None, process.stderr.read()
            yield Service(process, int(found[1]))
        finally:
            process.terminate()


@contextmanager
def peer(folder: Path, beam: int, kind: str, port: int) -> Iterator[Service]:
    """A service of `bare_serving.py`."""
    program = str(ROOT / "benchmarks" / "bare_serving.py")
    command = [sys.executable, program, str(folder), f"--port={port}", f"--kind={kind}", f"--beam={beam}"]
    with subprocess.Popen(command, text=True, env=_ENVIRONMENT) as process:
        try:
            time.sleep(1)
            yield Service(process, port)
        finally:
            process.terminate()


@final
class Direct:
    """Our predictions without a service (`own_texts.py`)."""

    def __init__(self, folder: Path, texts: Path, beam: int):
        command = [sys.executable, str(ROOT / "benchmarks" / "own_texts.py"), str(folder), str(texts), f"--beam={beam}"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_ENVIRONMENT)
        self._answer()

    def do(self, what: str, count: int) -> dict[str, Any]:
        """Let it work."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what} {count}\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


def throughput(services: dict[str, Service], direct: Direct, texts: Path, settings: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Each in turns: how many sentences, and seconds by the clock and of the processor."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    lines = len(texts.read_text(encoding="utf-8").splitlines())
    for number in range(settings.rounds):
        found["antiphon predict, a file"].append(direct.do("file", max(1, settings.count // lines)))
        for name, service in services.items():
            one = service.load(texts, settings.clients, f"--count={settings.count}")
            if one["statuses"] != {"200": settings.count}:
                raise SystemExit(f"{name} answered {one['statuses']}, so nothing is measured.")
            found[name].append({**one, "count": settings.count})
        print(f"round {number + 1} of {settings.rounds}", file=sys.stderr)
    return found


def alone(service: Service, direct: Direct, texts: Path, rounds: int) -> dict[str, float]:
    """Median seconds for a sentence: of a client alone, of `predict`, and of the engine, in short turns."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        own = direct.do("one", 16)
        found["engine"] += own["engine"]
        found["predict"] += own["seconds"]
        found["client"].append(service.load(texts, 1, "--count=16")["p50"])
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def table(found: dict[str, list[dict[str, Any]]]) -> str:
    """A line for each system: sentences a second, ratios to `predict`, seconds of the processor, latency."""
    reference = found["antiphon predict, a file"]
    lines = ["| system | sentences/s (ratio) | processor ms a sentence (ratio) | p50 | p95 |", "|---|---|---|---|---|"]
    for name, rounds in found.items():
        rates, costs = [one["count"] / one["wall"] for one in rounds], [1000 * one["cpu"] / one["count"] for one in rounds]
        faster = statistics.median(rate * one["wall"] / one["count"] for rate, one in zip(rates, reference, strict=True))
        dearer = statistics.median(1000 * one["cpu"] / one["count"] / cost for cost, one in zip(costs, reference, strict=True))
        times = [f"{1000 * statistics.median(one[key] for one in rounds):.0f} ms" if key in rounds[0] else "" for key in ("p50", "p95")]
        cells = [name, f"{statistics.median(rates):.1f} ({faster:.2f})", f"{statistics.median(costs):.1f} ({dearer:.2f})", *times]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exported", type=Path, help="a folder that was exported for CTranslate2")
    parser.add_argument("texts", type=Path, help="a sentence a line")
    parser.add_argument("--beam", type=int, default=4, help="the beam of all")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--count", type=int, default=320, help="requests of a turn, of all clients together")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only-ours", action="store_true", help="without the services that batch nothing")
    parser.add_argument("--serve", nargs=argparse.REMAINDER, default=[], help="options of `antiphon serve`, last of all")
    settings = parser.parse_args()
    place = machine()
    with ExitStack() as stack:
        services = {"antiphon serve": stack.enter_context(ours(settings.exported, settings.beam, *settings.serve))}
        for number, kind in enumerate(() if settings.only_ours else ("bare", "libretranslate")):
            name = "CTranslate2 behind FastAPI" if kind == "bare" else "as LibreTranslate decodes"
            services[name] = stack.enter_context(peer(settings.exported, settings.beam, kind, 18765 + number))
        direct = Direct(settings.exported, settings.texts, settings.beam)
        for service in services.values():  # also waits until they are there
            _warm(service, settings.texts)
        found = throughput(services, direct, settings.texts, settings)
        print(f"{place}; {versions(sys.executable, ['ctranslate2', 'fastapi', 'uvicorn'])}")
        print(f"{settings.clients} clients, {settings.count} sentences, {settings.rounds} rounds, beam {settings.beam}\n")
        print(table(found), flush=True)
        one = alone(services["antiphon serve"], direct, settings.texts, 2 * settings.rounds)
        direct.process.kill()
    ratios = f"{one['client'] / one['predict']:.2f} times `predict`, {one['client'] / one['engine']:.2f} times the engine"
    print(f"\na client alone: {1000 * one['client']:.1f} ms (median), {ratios}")


def _warm(service: Service, texts: Path) -> None:
    until = time.monotonic() + 120
    while service.load(texts, 1, "--count=16", "--pause=1")["statuses"].get("200", 0) < 16:
        if time.monotonic() > until:
            raise SystemExit("A service does not answer.")
        time.sleep(1)


if __name__ == "__main__":
    main()
