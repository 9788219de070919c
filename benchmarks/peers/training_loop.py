"""The bare training loop of the peers, and the batches that they read: torch and numpy only."""

import argparse
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from worker import Ready, serve

Arrays = Mapping[str, Tensor]


def read_batches(path: Path) -> list[dict[str, Tensor]]:
    """Batches with source (B, S), source_lengths (B,), target (B, T) and target_lengths (B,)."""
    with np.load(path, allow_pickle=False) as file:
        count = 1 + max(int(name.split(".")[0]) for name in file.files)
        names = ("source", "source_lengths", "target", "target_lengths")
        return [{name: torch.from_numpy(file[f"{number}.{name}"]) for name in names} for number in range(count)]


def parameters(model: nn.Module) -> int:
    """How many numbers a model learns; a tied weight counts once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def options() -> argparse.Namespace:
    """What every peer is told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batches", type=Path, required=True)
    parser.add_argument("--symbols", type=int, required=True, help="size of the joint vocabulary")
    parser.add_argument("--pad", type=int, required=True)
    parser.add_argument("--start", type=int, required=True)
    parser.add_argument("--end", type=int, required=True)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def run(build: Callable[[Any], tuple[nn.Module, Callable[[nn.Module, Arrays], Tensor]]]) -> None:
    """Serve a model that `build` makes together with a function to its logits (B, T, V) for a batch."""
    chosen = options()

    def set_up() -> Ready:
        torch.set_num_threads(chosen.threads)
        torch.manual_seed(1)
        model, logits = build(chosen)
        model.train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.0, fused=True)
        criterion = nn.CrossEntropyLoss(ignore_index=chosen.pad, label_smoothing=0.1)
        batches = read_batches(chosen.batches)

        def train(count: int = len(batches)) -> float:
            elements = 0
            for batch in batches[:count]:
                with torch.autocast("cpu", torch.bfloat16) if chosen.precision == "bf16" else nullcontext():
                    scores = logits(model, batch)
                    loss = criterion(scores.flatten(0, 1).float(), batch["target"][:, 1:].flatten())
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                elements += int((batch["target_lengths"] - 1).sum())
                float(loss.detach())
            return float(elements)

        train(2)
        return Ready({"training": train}, parameters(model))

    serve(set_up)
