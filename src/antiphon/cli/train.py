"""antiphon train: from a recipe to a run."""

import os
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from antiphon.cli.options import Set


def train(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/RECIPE when left out.")] = None,
    settings: Set = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run exactly where its last checkpoint is.")] = False,
) -> None:
    """Train a model. Ctrl-C stops after the current update and leaves a checkpoint.

    Example: antiphon train german.yaml --out runs/german --set model.name=lstm
    """
    from rich.console import Console

    from antiphon.errors import AntiphonError
    from antiphon.recipe import read_recipe
    from antiphon.training import distributed
    from antiphon.training_run import train as run_training

    folder = out or Path("runs") / recipe.stem
    # Of many processes the first one speaks.
    console = Console(stderr=True, quiet=distributed.process_rank() > 0)
    signal.signal(signal.SIGTERM, _interrupt)  # while the data is prepared; the trainer has its own
    try:
        run_training(read_recipe(recipe, settings or ()), folder, resume=resume, console=console)
        distributed.stop()
    except KeyboardInterrupt as interruption:
        lost = "" if (folder / "last").exists() else "there was no checkpoint yet; "
        hint = (
            f"{lost}continue with: {_again(recipe, folder, settings or ())}"
            if (folder / "recipe.yaml").exists()
            else "nothing was done yet"
        )
        console.print(f"Stopped ({interruption or 'interrupted'}); {hint}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(130) from None
    except AntiphonError:
        if not distributed.first_to_fail():
            raise typer.Exit(1) from None
        raise
    console.print(f"Wrote {folder}. Next: antiphon evaluate {folder}", highlight=False, markup=False, soft_wrap=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def _again(recipe: Path, folder: Path, settings: Sequence[str]) -> str:
    """The command that resumes the run, with as many processes as there were."""
    processes = os.environ.get("LOCAL_WORLD_SIZE", "1")
    start = ["antiphon"] if processes == "1" else ["torchrun", "--nproc-per-node", processes, "-m", "antiphon"]
    changes = [part for change in settings for part in ("--set", change)]
    return shlex.join([*start, "train", str(recipe), "--out", str(folder), *changes, "--resume"])
