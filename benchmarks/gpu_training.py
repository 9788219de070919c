"""How fast Transformers train on this device at each precision, as they are and compiled: target tokens a second, and the share of the
device's peak that is used.

    python benchmarks/gpu_training.py --presets small base big --precisions fp32 tf32 bf16 bf16_weights fp16
    python benchmarks/gpu_training.py --device cpu --presets tiny --precisions fp32 --tokens 512 --updates 3   # a trial without a GPU
    python benchmarks/gpu_training.py --device cpu --presets tiny small --precisions fp32 --tokens 1024 --compile --ragged --clock cpu

Batches are random symbols, the same for all; the first updates are not timed, and they are where `--compile` compiles, for which there is a
line of its own. With `--ragged` each batch is of another length, from 8 to 64, and its rows from half of that. Operations are those of the
model (Chowdhery et al. 2022, "PaLM", appendix B): six for each weight of a product and each symbol that it meets, and twelve for each
width, layer and pair of positions of attention. The peak is that of the data sheet, dense, for the precision of the products; `--peak`
says it for other devices, in TFLOPS. Precisions take turns, and each cell is the median of the rounds with their range.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Batch, Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.losses import cross_entropy
from antiphon.training.compiling import Compiled, compile_blocks
from antiphon.training.decoder_inputs import TeacherForcingConfig
from antiphon.training.distributed import Ranks
from antiphon.training.loss_scale import UNSCALED, LossScale
from antiphon.training.optimizers import AdamWConfig, build_optimizer
from antiphon.training.precision import computing
from antiphon.training.results import read
from antiphon.training.step import Update

PEAKS = {
    "H100": {"fp32": 67, "tf32": 495, "half": 989},
    "H200": {"fp32": 67, "tf32": 495, "half": 989},
    "A100": {"fp32": 19.5, "tf32": 156, "half": 312},
}
"""TFLOPS, dense."""
LENGTH = 64
SPEC = TokenSpec(32_000, 0, 1, 2, 3)


def batch(tokens: int, seed: int, *, ragged: bool = False) -> Batch:
    """Rows of random symbols, all of one length unless they are ragged."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(least: int, most: int, count: int) -> torch.Tensor:
        return torch.randint(least, most + 1, (count,), generator=generator)

    widths = drawn(8, LENGTH, 2).tolist() if ragged else [LENGTH, LENGTH]
    rows = max(1, tokens // widths[1])
    sides = []
    for width, more in zip(widths, (0, 1), strict=True):  # a target begins with the start symbol
        values = torch.randint(4, SPEC.size, (rows, width + more), generator=generator)
        lengths = drawn(width // 2, width, rows) if ragged else torch.full((rows,), width)
        lengths[0] = width
        sides.append(Padded(values, lengths + more))
    return Batch(*sides, tuple(range(rows)))


def built(preset: str) -> tuple[Any, Any]:
    """A model with fresh weights, and its settings."""
    plugin = registry.find("models", "transformer")
    torch.manual_seed(1)
    config: Any = validate(plugin.Config, {"name": "transformer", **plugin.presets[preset], "tied_embeddings": "all"})
    return plugin.build(config, SPEC, SPEC), config


def operations(preset: str, batches: Sequence[Batch]) -> float:
    """Of one update, padding included: the mean over some batches."""
    model, config = built(preset)
    read, said = (
        sum(part.weight.numel() for name, part in model.named_modules() if isinstance(part, nn.Linear) and name.startswith(side))
        for side in ("encoder", "decoder")
    )
    width, layers = config.dim, config.encoder_layers + 2 * config.decoder_layers
    found = 0.0
    for one in batches:
        rows, length = one.labels.values.shape
        found += rows * length * (6 * (read + said + width * SPEC.size) + 12 * width * layers * length)
    return found / len(batches)


def training(preset: str, precision: Any, device: torch.device, *, compiled: bool = False) -> Update:
    """The updates of a model with fresh weights."""
    model = built(preset)[0].to(device).train()
    if compiled:
        compile_blocks(model, device)
    return Update.of(
        model,
        cross_entropy.build(cross_entropy.CrossEntropyConfig(), SPEC),
        build_optimizer(AdamWConfig(learning_rate=1e-4), model),
        Ranks(0, 1, device),
        inputs=TeacherForcingConfig(),
        clip_norm=1.0,
        precision=precision,
        seed=1,
    )


def train(update: Update, batches: Sequence[Batch], precision: Any) -> list[float]:
    """The losses of an update with each batch. Results are read at the end, as a run reads them for a line of its log; with a loss that is
    scaled after each update."""
    if precision == "fp16":
        return [update([one], step, 1.0, LossScale()).loss for step, one in enumerate(batches)]
    pending = [update.begin([one], step, 1.0, UNSCALED) for step, one in enumerate(batches)]
    return [result.loss for result in read(pending, update.ranks)]


def peak(device: torch.device, precision: str, given: float | None) -> float | None:
    """TFLOPS of the device at a precision, where they are known."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    known = next((peaks for part, peaks in PEAKS.items() if part in name), None)
    return given or (None if known is None else known.get(precision, known["half"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--presets", nargs="+", default=["small", "base", "big"])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "tf32", "bf16", "bf16_weights", "fp16"])
    parser.add_argument("--tokens", type=int, default=16384, help="target tokens of a batch")
    parser.add_argument("--updates", type=int, default=10, help="timed updates of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak", type=float, default=None, help="TFLOPS of the device")
    parser.add_argument("--compile", action="store_true", help="each precision compiled, too")
    parser.add_argument("--ragged", action="store_true", help="batches of different lengths")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu counts computing time, for a CPU that is shared")
    settings = parser.parse_args()
    device, clock = torch.device(settings.device), time.process_time if settings.clock == "cpu" else time.perf_counter
    batches = [batch(settings.tokens, seed, ragged=settings.ragged) for seed in range(8 if settings.ragged else 4)]
    real = [int(one.labels.lengths.sum()) for one in batches]
    for preset in settings.presets:
        ways = [
            (precision, compiled) for precision in settings.precisions for compiled in ((False, True) if settings.compile else (False,))
        ]
        updates = {way: training(preset, way[0], device, compiled=way[1]) for way in ways}
        count, rates = operations(preset, batches), {way: list[float]() for way in ways}
        for number in range(settings.rounds):
            for (precision, compiled), update in updates.items():
                with computing(precision, device, deterministic=False):
                    before = Compiled.so_far() if compiled else Compiled()
                    train(update, batches if number == 0 else batches[:2], precision)
                    began = clock()
                    train(update, [batches[step % len(batches)] for step in range(settings.updates)], precision)
                    seconds = clock() - began
                if compiled and (new := Compiled.so_far().since(before)).graphs:
                    print(
                        f"{preset:>6} {precision:>12} round {number + 1}: {new.graphs} graphs compiled in {new.seconds:.1f} s", flush=True
                    )
                rates[precision, compiled].append(sum(real[step % len(real)] for step in range(settings.updates)) / seconds)
        for (precision, compiled), found in rates.items():
            rate, most = statistics.median(found), peak(device, precision, settings.peak)
            operated = rate * count / statistics.mean(real)
            used = "" if most is None else f"   {operated / most / 1e10:5.1f} % of {most:g}"
            said = f"{rate:>12,.0f} target tokens/s ({min(found):,.0f} to {max(found):,.0f})   {operated / 1e12:7.2f} TFLOPS{used}"
            print(f"{preset:>6} {precision:>12} {'compiled' if compiled else '':>8} {said}", flush=True)
        del updates


if __name__ == "__main__":
    main()
