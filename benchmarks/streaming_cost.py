"""What a chunk of a stream costs as the recording goes on, with all of its past and with a bounded one.

    python benchmarks/streaming_cost.py

An encoder for CTC follows noise, one thread, one chunk at a time; every past in turns, a minute of sound each. A cell shows the median of
the milliseconds of computing for a chunk within that minute, and the megabytes that are kept at its end.
"""

import argparse
import statistics
import time
from typing import Any

import torch
from turns import machine

from antiphon.contracts import registry
from antiphon.contracts.sequences import map_tensors
from antiphon.contracts.specs import TokenSpec, ValueSpec

BINS, FRAMES_A_MINUTE = 80, 6000
SPECS = ValueSpec(BINS), TokenSpec(500, pad=0, unknown=1, start=2, end=3)


def followed(settings: argparse.Namespace, left_chunks: int | None) -> Any:
    """A recording that begins, heard by the same weights whatever its past."""
    torch.manual_seed(1)
    plugin = registry.find("models", "encoder_only")
    encoder = {"name": "conformer", "dim": 144, "layers": settings.layers, "feed_forward_dim": 576, "positions": settings.positions}
    return plugin.build(plugin.Config(encoder=encoder, chunk=settings.chunk, left_chunks=left_chunks), *SPECS).eval().follow()


def megabytes(tree: Any) -> float:
    """What a past holds."""
    sizes: list[int] = []

    def count(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.numel() * tensor.element_size())
        return tensor

    map_tensors(count, tree)
    return sum(sizes) / 2**20


def minute(stream: Any, frames: int) -> list[float]:
    """Milliseconds of each chunk of the next minute."""
    times = []
    for _ in range(FRAMES_A_MINUTE // frames):
        piece = torch.randn(frames, BINS)
        began = time.process_time()
        stream.feed(piece)
        times.append(1000 * (time.process_time() - began))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=6)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--chunk", type=int, default=16, help="states of a chunk; each is 4 frames of 10 ms")
    parser.add_argument("--left", type=int, nargs="*", default=[8, 32], help="chunks of the bounded pasts")
    parser.add_argument("--positions", default="rotary")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    pasts = [None, *settings.left]
    streams = {left: followed(settings, left) for left in pasts}
    print(f"{machine()}; chunks of {settings.chunk * 40} ms\n")
    print("| minute | " + " | ".join("all of the past" if left is None else f"{left} chunks" for left in pasts) + " |")
    print("|---" * (len(pasts) + 1) + "|")
    for number in range(1, settings.minutes + 1):
        cells = []
        for stream in streams.values():
            cost = statistics.median(minute(stream, 4 * settings.chunk))
            cells.append(f"{cost:.1f} ms, {megabytes(stream.states.past):.1f} MB")
        print(f"| {number} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
