"""Checks that a run that is stopped and resumed equals one that is not interrupted, on copies, from the last checkpoint on.

Unusual: a copy shares the files of the run (hard links), except the log, which is written to in place. All else is only ever replaced.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from antiphon.contracts.tracker import Event
from antiphon.errors import CheckpointError
from antiphon.recipe.recipe import read_recipe
from antiphon.runs.resuming import LOG, RECIPE
from antiphon.runs.train import train
from antiphon.store import checkpoint
from antiphon.store.atomic import beside
from antiphon.training.state import OPTIMIZER, PROGRESS, TRAINED

_SHARED = ("corpus", "features", "distilled")


class _Enough(Exception):  # noqa: N818 - what a callback raises to end training is no error
    """Raised when the copy has been trained far enough."""


def resumed_as_uninterrupted(run: Path, updates: int, *, trust_code: bool) -> str:
    """The differences between the copies, in words; empty if they are bitwise equal.

    Raises CheckpointError when the run cannot be resumed, and what training raises, such as DataError when its data is gone.
    """
    last = checkpoint.find_checkpoint(run, prefer="last").resolve()
    if not (run / RECIPE).is_file() or not (last / checkpoint.TRAINING / PROGRESS).is_file():
        raise CheckpointError(f"{run} holds no training state to go on from: name the folder of a run.")
    step = int(checkpoint.read_json(last / checkpoint.TRAINING / PROGRESS)["step"])
    settings = {"max_steps": step + updates + 2, "max_epochs": "null", "max_minutes": "null", "patience": "null"}
    often = {"save_minutes": 1e-9, "log_every": 1, "samples": 0, "trackers": "[]", "tensorboard": "false"}
    recipe = read_recipe(run / RECIPE, [f"training.{key}={value}" for key, value in (settings | often).items()], trust_code=trust_code)

    def to(copy: Path, stop: int) -> None:
        """Train until the checkpoint of a step is written, and stop in the next update, as a kill would."""

        def callback(event: Event) -> None:
            if event.get("kind") == "train" and int(event["step"]) > stop:
                raise _Enough

        try:
            train(recipe, copy, resume=True, trust_code=trust_code, console=Console(quiet=True), callbacks=[callback])
        except _Enough:
            return
        raise CheckpointError(f"{run} came to its end before so many updates.")

    with _copy(run, last) as at_once, _copy(run, last) as interrupted:
        to(at_once, step + updates)
        to(interrupted, step + updates // 2)
        to(interrupted, step + updates)
        return _different(_tensors(at_once), _tensors(interrupted))


@contextmanager
def _copy(run: Path, last: Path) -> Iterator[Path]:
    """A copy of what resuming needs, beside the run, so that files can be hard-linked; it is removed in the end."""
    with beside(run) as place:
        shutil.copy2(run / RECIPE, place)
        if (run / LOG).is_file():
            shutil.copy2(run / LOG, place)
        for name in _SHARED:
            if (run / name).is_dir():
                shutil.copytree(run / name, place / name, copy_function=_share)
        best = (run / "best").resolve()
        for folder in {last, best} if best.is_dir() else {last}:
            shutil.copytree(folder, place / "checkpoints" / folder.name, copy_function=_share)
        for link, folder in (("last", last), ("best", best)):
            if (place / "checkpoints" / folder.name).is_dir():
                checkpoint.point(place / link, place / "checkpoints" / folder.name)
        yield place


def _share(source: str, target: str) -> None:
    """Hard-link a file, or copy it if the file system does not support that."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _tensors(copy: Path) -> dict[str, Any]:
    """All tensors of the model and the optimizer in the last checkpoint of a copy."""
    saved = checkpoint.read((copy / "last").resolve())
    found = {f"model {name}": tensor for name, tensor in saved.weights().items()}
    for file in (OPTIMIZER, TRAINED):
        if (saved.training / file).is_file():
            found |= {f"{file} {name}": tensor for name, tensor in checkpoint.read_tensors(saved.training / file).items()}
    return found


def _different(one: dict[str, Any], other: dict[str, Any]) -> str:
    names = sorted(name for name in {*one, *other} if name not in one or name not in other or not torch.equal(one[name], other[name]))
    first = ", ".join(name.split(" ")[-1] for name in names[:3])
    return f"{len(names):,} of {len(one):,} tensors differ ({first}{', ...' if len(names) > 3 else ''})" if names else ""
