"""antiphon train: from a recipe to a run."""

import os
import shlex
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.options import Set, TrustCode

if TYPE_CHECKING:
    from rich.console import Console


def train(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/RECIPE when left out.")] = None,
    settings: Set = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run exactly where its last checkpoint is.")] = False,
    trust_code: TrustCode = False,
) -> None:
    """Train a model. Ctrl-C stops after the current update and leaves a checkpoint.

    Example: antiphon train german.yaml --out runs/german --set model.name=lstm
    """
    from antiphon.recipe.recipe import read_recipe
    from antiphon.runs.train import train as run_training

    folder = out or Path("runs") / recipe.stem
    again = ("train", str(recipe), "--out", str(folder), *set_again(settings))
    supervise(
        lambda console: run_training(read_recipe(recipe, settings or (), trust_code=trust_code), folder, resume=resume, console=console),
        folder,
        again,
    )


def supervise(training: Callable[["Console"], object], folder: Path, again: Sequence[str]) -> None:
    """Train, of many processes or one; when it is stopped, say how to go on: by the command `again` with `--resume`."""
    from rich.console import Console

    from antiphon.errors import AntiphonError
    from antiphon.training import distributed

    # Of many processes the first one speaks.
    console = Console(stderr=True, quiet=distributed.process_rank() > 0)
    signal.signal(signal.SIGTERM, _interrupt)  # while the data is prepared; the trainer has its own
    try:
        training(console)
        distributed.stop()
    except KeyboardInterrupt as interruption:
        lost = "" if (folder / "last").exists() else "there was no checkpoint yet; "
        hint = f"{lost}continue with: {_resuming(again)}" if (folder / "recipe.yaml").exists() else "nothing was done yet"
        console.print(f"Stopped ({interruption or 'interrupted'}); {hint}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(130) from None
    except AntiphonError:
        if not distributed.first_to_fail():
            raise typer.Exit(1) from None
        raise
    console.print(f"Wrote {folder}. Next: antiphon evaluate {folder}", highlight=False, markup=False, soft_wrap=True)


def set_again(settings: Sequence[str] | None) -> list[str]:
    """The changes of settings as arguments."""
    return [part for change in settings or () for part in ("--set", change)]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def _resuming(command: Sequence[str]) -> str:
    """The command that resumes the run, with as many processes as there were."""
    processes = os.environ.get("LOCAL_WORLD_SIZE", "1")
    start = ["antiphon"] if processes == "1" else ["torchrun", "--nproc-per-node", processes, "-m", "antiphon"]
    return shlex.join([*start, *command, "--resume"])
