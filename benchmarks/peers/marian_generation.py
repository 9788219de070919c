"""transformers' `generate` with a random Marian: forced lengths only, since it cannot hold our weights (it is post-norm)."""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from marian import marian
from worker import Task, serve


def set_up(settings: argparse.Namespace) -> Mapping[str, Task]:
    """The model, and one warm-up of each task."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(1)
    model = marian(settings.symbols, settings.pad, settings.start, settings.end).eval()
    with np.load(settings.sources, allow_pickle=False) as file:
        values, lengths = torch.from_numpy(file["values"]), torch.from_numpy(file["lengths"])
    steps = settings.forced + 1  # the symbols and the end, as many as our search takes

    def task(beams: int, batch: int, count: int) -> Task:
        @torch.inference_mode()
        def decode() -> float:
            for first in range(0, count, batch):
                rows = values[first : first + batch, : int(lengths[first : first + batch].max())]
                mask = (rows != settings.pad).long()
                said = model.generate(
                    input_ids=rows, attention_mask=mask, num_beams=beams, do_sample=False, min_new_tokens=steps, max_new_tokens=steps
                )
                assert said.shape[1] == steps + 1, f"{said.shape[1] - 1} steps instead of {steps}"
            return float(count)

        return decode

    tasks = {"greedy, batch 1": task(1, 1, 8), "greedy, batch 32": task(1, 32, 64), "beam 5, batch 32": task(5, 32, 32)}
    for run in tasks.values():
        run()
    return tasks


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=Path, required=True)
    for name in ("--symbols", "--pad", "--start", "--end", "--forced"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    serve(lambda: set_up(chosen))
