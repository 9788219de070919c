"""Measure several systems in turn in one run: A, B, C, A, B, C, ...

A shared machine drifts by tens of percent within minutes, so numbers of different runs do not compare. Here every system is a process that
waits, warmed up, for its turn; a round gives each its turn; medians over rounds, and the median of the ratios within each round, remain.
On a machine that others use meanwhile, the clock `cpu` counts computing time only: better for ratios, blind to how well threads share work.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, final

ROOT = Path(__file__).resolve().parents[1]


Clock = Literal["wall", "cpu"]


@dataclass(frozen=True)
class System:
    """What is measured: a program that calls `worker.serve`, with its arguments. With several processes their rates add up."""

    name: str
    program: str  # path below benchmarks/
    arguments: tuple[str, ...] = ()
    python: str = sys.executable
    threads: int = 1
    processes: int = 1
    spinning: bool = False  # whether threads spin while they wait, as without `antiphon.cli.threads`
    checkout: Path = ROOT  # whose antiphon and benchmarks it runs


def asleep_and_spinning(system: System) -> list[System]:
    """One alone and two at once, each with threads that sleep while they wait and with threads that spin."""
    twice = replace(system, name=f"{system.name}, two at once", processes=2)
    return [variant for one in (system, twice) for variant in (one, replace(one, name=f"{one.name}, spinning", spinning=True))]


@dataclass
class Measured:
    """The rates of one system, task by task, its memory (the sum over its processes), and what its model learns, if it said so."""

    rates: dict[str, list[float]] = field(default_factory=dict)
    peak_megabytes: float = 0.0
    parameters: int | None = None


@final
class _Running:
    """A system's processes, warmed up and waiting."""

    def __init__(self, system: System):
        threads = str(system.threads)
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "OMP_WAIT_POLICY": "PASSIVE",  # for everybody, as the commands of Antiphon do for themselves
            "PYTHONPATH": os.pathsep.join([str(system.checkout / "benchmarks"), str(system.checkout / "src")]),
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
        }
        if system.spinning:
            del environment["OMP_WAIT_POLICY"]
        command = [system.python, str(system.checkout / "benchmarks" / system.program), *system.arguments]
        self.system = system
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
            for _ in range(system.processes)
        ]
        try:
            ready = [self._read(process) for process in self.processes]
        except BaseException:
            self.kill()
            raise
        self.tasks: list[str] = ready[0]["tasks"]
        self.parameters: int | None = ready[0].get("parameters")  # an older checkout does not say

    def rate(self, task: str, clock: Clock) -> float:
        """Do a task in all processes at once: work per second."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(task + "\n")
            process.stdin.flush()
        answers = [self._read(process) for process in self.processes]
        return float(sum(answer["amount"] for answer in answers) / max(answer[clock] for answer in answers))

    def stop(self) -> float:
        """End the processes; returns their peak memory."""
        peak = 0.0
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
            peak += self._read(process)["peak_megabytes"]
            process.wait()
        return peak

    def kill(self) -> None:
        """End the processes whatever they are doing."""
        for process in self.processes:
            process.kill()
            with process:  # closes its pipes, and waits
                pass

    def _read(self, process: "subprocess.Popen[str]") -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.system.name} ended with status {process.wait()}; its message is above.")
        answer: dict[str, Any] = json.loads(line)
        return answer


def take_turns(systems: Sequence[System], rounds: int, clock: Clock = "wall") -> dict[str, Measured]:
    """Start every system, give each its turn `rounds` times, and stop them. The tasks are those that the systems offer."""
    found = {system.name: Measured() for system in systems}
    running: list[_Running] = []
    try:
        for system in systems:
            print(f"starting {system.name}", file=sys.stderr)
            running.append(_Running(system))
            found[system.name].parameters = running[-1].parameters
        for number in range(rounds):
            for task in dict.fromkeys(task for one in running for task in one.tasks):
                for one in running:
                    if task in one.tasks:
                        rate = one.rate(task, clock)
                        found[one.system.name].rates.setdefault(task, []).append(rate)
                        print(f"round {number + 1}: {one.system.name}: {task}: {rate:.1f}/s", file=sys.stderr)
        for one in running:
            found[one.system.name].peak_megabytes = one.stop()
    finally:
        for one in running:
            one.kill()
    return found


def table(found: Mapping[str, Measured], unit: str, reference: str) -> str:
    """A Markdown table: for each system and task the median, and in brackets the median ratio to the reference with its range.

    Numbers of parameters have a column where a system said its own.
    """
    tasks = list(dict.fromkeys(task for measured in found.values() for task in measured.rates))
    sized = any(measured.parameters is not None for measured in found.values())
    heads = [unit, *(["parameters"] if sized else []), *tasks, "peak memory"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, measured in found.items():
        size = [f"{measured.parameters:,}" if measured.parameters is not None else ""] if sized else []
        cells = [_cell(measured.rates.get(task, []), found[reference].rates.get(task, [])) for task in tasks]
        lines.append(f"| {' | '.join([name, *size, *cells])} | {measured.peak_megabytes:,.0f} MB |")
    return "\n".join(lines)


def _cell(rates: Sequence[float], reference: Sequence[float]) -> str:
    if not rates:
        return ""
    median = statistics.median(rates)
    number = f"{median:,.0f}" if median >= 100 else f"{median:.1f}"
    if not reference:
        return number
    ratios = [rate / other for rate, other in zip(rates, reference, strict=True)]
    return f"{number} ({statistics.median(ratios):.2f}; {min(ratios):.2f} to {max(ratios):.2f})"


def machine() -> str:
    """Where this was measured: processor, cores, load, versions."""
    cpu = Path("/proc/cpuinfo")
    names = (
        [line.split(":", 1)[1].strip() for line in cpu.read_text().splitlines() if line.startswith("model name")] if cpu.exists() else []
    )
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, load before {load}; Python {platform.python_version()}"


def versions(python: str, packages: Sequence[str]) -> str:
    """The versions of packages in an environment; those that are not there are left out."""
    program = (
        "import importlib.metadata as m, sys\n"
        "for name in sys.argv[1:]:\n"
        "    try: print(name, m.version(name))\n"
        "    except m.PackageNotFoundError: pass"
    )
    result = subprocess.run([python, "-c", program, *packages], capture_output=True, text=True, check=True)
    return ", ".join(result.stdout.splitlines())
