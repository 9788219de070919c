"""What a long source costs the Transformer when read in whole, through a sliding window, and in chunks.

Memory and time of an encoding and of a training step, for one source of each length.

    python benchmarks/long_sources.py

Every measurement is a process of its own on one thread, in turns: each way of reading once, then all of them again. A process first reads
a short source, so that what is needed once is there; then its resident memory is noted, the long source is read once for the peak of
memory above that, and once more for the time. The model is the preset `small`: 3 + 3 layers, 256 wide.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from turns import machine

ROOT = Path(__file__).resolve().parents[1]
WORK = ("encode", "train")
TARGET_LENGTH, SYMBOLS, WARM_UP_LENGTH = 64, 8000, 64


def readings(window: int, chunk_length: int) -> dict[str, dict[str, Any]]:
    """Settings for each way of reading a source."""
    return {
        "full": {},
        f"window {window}": {"window": window},
        f"window {window}, 1 global position": {"window": window, "global_positions": 1},
        f"chunks of {chunk_length}": {"chunk_length": chunk_length},
        f"window {window}, checkpointed": {"window": window, "checkpoint_activations": True},
    }


def resident_and_peak() -> tuple[float, float]:
    """Megabytes of this process: now, and the most since the peak was last forgotten."""
    status = Path("/proc/self/status")
    if not status.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
        return peak, peak
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(fields["VmRSS"].split()[0]) / 1024, int(fields["VmHWM"].split()[0]) / 1024


def forget_peak() -> None:
    """Begin a new peak, where Linux allows it; elsewhere the short source's peak is the start."""
    forget = Path("/proc/self/clear_refs")
    if forget.exists():
        forget.write_text("5")


def prepare(work: str, settings: dict[str, Any]) -> Callable[[int], None]:
    """A small model, and what it is to do with a source of a given length."""
    import torch

    from antiphon.contracts.sequences import Batch, Padded
    from antiphon.contracts.specs import TokenSpec
    from antiphon.layers.transformer_config import TransformerConfig
    from antiphon.losses import cross_entropy
    from antiphon.models import transformer
    from antiphon.training.decoder_inputs import TeacherForcingConfig
    from antiphon.training.distributed import Ranks
    from antiphon.training.optimizers import AdamWConfig, build_optimizer
    from antiphon.training.step import Update

    torch.set_num_threads(1)
    torch.manual_seed(1)
    spec = TokenSpec(size=SYMBOLS, pad=0, unknown=1, start=2, end=3)
    preset = transformer.plugin.presets["small"]
    model = transformer.build(TransformerConfig(**{**preset, "max_positions": 2**14, **settings}), spec, spec)

    def sequence(length: int) -> Padded:
        return Padded(torch.randint(4, SYMBOLS, (1, length)), torch.tensor([length]))

    if work == "encode":
        model.eval()

        def encode(length: int) -> None:
            with torch.no_grad():
                model.encode(sequence(length))

        return encode
    loss = cross_entropy.build(cross_entropy.CrossEntropyConfig(), spec)
    optimizer = build_optimizer(AdamWConfig(), model.train())
    update = Update.of(
        model, loss, optimizer, Ranks(0, 1, torch.device("cpu")), inputs=TeacherForcingConfig(), clip_norm=1.0, precision="fp32", seed=1
    )

    def train(length: int) -> None:
        update([Batch(sequence(length), sequence(TARGET_LENGTH), (0,))], 1, 1.0)

    return train


def measure(work: str, length: int, settings: dict[str, Any]) -> dict[str, float]:
    """Megabytes above the start, and seconds of computing (on a busy machine steadier than those on the clock)."""
    do = prepare(work, settings)
    do(WARM_UP_LENGTH)
    forget_peak()
    start, _ = resident_and_peak()
    do(length)
    _, peak = resident_and_peak()
    began = time.process_time()
    do(length)
    return {"megabytes": peak - start, "seconds": time.process_time() - began}


def in_a_process(work: str, length: int, settings: dict[str, Any]) -> dict[str, float]:
    """The same, in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, str(Path(__file__).resolve()), "--case", json.dumps([work, length, settings])]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return found


def table(found: dict[tuple[str, int, str], list[dict[str, float]]], work: str, lengths: Sequence[int]) -> str:
    """A Markdown table: median and range of megabytes and seconds for each way of reading and length."""
    names = list(dict.fromkeys(name for done, _, name in found if done == work))
    title = {"encode": "encoding", "train": "training step"}[work]
    lines = [f"| {title} | {' | '.join(f'{length:,} tokens' for length in lengths)} |", "|---" * (len(lengths) + 1) + "|"]
    for name in names:
        cells = [_cell(found[work, length, name]) for length in lengths]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(results: list[dict[str, float]]) -> str:
    parts = []
    for quantity, unit, form in (("megabytes", "MB", ",.0f"), ("seconds", "s", ".2f")):
        numbers = [result[quantity] for result in results]
        parts.append(f"{statistics.median(numbers):{form}} {unit} ({min(numbers):{form}} to {max(numbers):{form}})")
    return ", ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 2048, 8192], help="elements of a source")
    parser.add_argument("--window", type=int, default=128, help="states to each side")
    parser.add_argument("--chunk-length", type=int, default=256, help="states in a chunk")
    parser.add_argument("--positions", default="sinusoidal", help="kind of positions; with `relative` a full source needs much memory")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of everything")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.case is not None:
        print(json.dumps(measure(*json.loads(settings.case))))
        return
    print(machine())
    ways = readings(settings.window, settings.chunk_length)
    found: dict[tuple[str, int, str], list[dict[str, float]]] = {}
    for number in range(settings.rounds):
        for work in WORK:
            for length in settings.lengths:
                for name, way in ways.items():
                    if work == "encode" and "checkpoint_activations" in way:
                        continue  # it matters in training only
                    result = in_a_process(work, length, {**way, "positions": settings.positions})
                    found.setdefault((work, length, name), []).append(result)
                    shown = f"{result['megabytes']:,.0f} MB, {result['seconds']:.2f} s"
                    print(f"round {number + 1}: {work} {length}: {name}: {shown}", file=sys.stderr)
    print("\n\n".join(table(found, work, settings.lengths) for work in WORK))


if __name__ == "__main__":
    main()
