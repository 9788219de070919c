"""antiphon train: from a recipe to a run."""

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.options import AsJson, Quiet, Resume, Set, TrustCode
from antiphon.cli.stopping import status_of
from antiphon.contracts.files import restored
from antiphon.store.json_text import json_text

if TYPE_CHECKING:
    from rich.console import Console


def train(
    recipe: Annotated[
        Path, typer.Argument(help="The recipe, a YAML file; with --resume also the run's folder, which has it.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option(help="The run's folder, or s3://bucket/run; runs/RECIPE when left out.")] = None,
    settings: Set = None,
    resume: Resume = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    trust_code: TrustCode = False,
) -> None:
    """Train a model. Ctrl-C stops after the current update and leaves a checkpoint; the exit status is then 130, after SIGTERM 143.

    Example: antiphon train german.yaml --out runs/german --set model.name=lstm
    """
    from antiphon.recipe.recipe import read_recipe
    from antiphon.runs.train import train as run_training

    stored = recipe / "recipe.yaml"
    folder = out or (recipe if stored.is_file() else Path("runs") / recipe.stem)
    again = ("train", str(recipe), "--out", restored(folder), *set_again(settings), *trusting(trust_code))

    def training(console: "Console") -> None:
        known = read_recipe(stored if stored.is_file() else recipe, settings or (), trust_code=trust_code)
        run_training(known, folder, resume=resume, console=console)

    supervise(training, folder, again, as_json=as_json, quiet=quiet)


def supervise(
    training: Callable[["Console"], object], folder: Path, again: Sequence[str], *, as_json: bool = False, quiet: bool = False
) -> None:
    """Train, of many processes or one; when it is stopped, say how to go on: by the command `again` with `--resume`.

    `as_json` prints what came of the run on standard output; `quiet` keeps all but warnings and errors from standard error.
    """
    from rich.console import Console

    from antiphon.errors import AntiphonError
    from antiphon.store.remote_runs import working_folder
    from antiphon.training import distributed

    named, folder = restored(folder), working_folder(folder)

    # Of many processes the first one speaks.
    first = distributed.process_rank() == 0
    console = Console(stderr=True, quiet=quiet or not first)
    try:
        training(console)
        distributed.stop()
    except KeyboardInterrupt as interruption:
        if not first:
            raise typer.Exit(status_of(interruption)) from None
        lost = "" if (folder / "last").exists() else "there was no checkpoint yet; "
        begun = (folder / "recipe.yaml").exists()
        interruption.add_note(f"; {lost}continue with: {_resuming(again)}" if begun else " before anything was done.")
        raise
    except AntiphonError:
        if not distributed.first_to_fail():
            raise typer.Exit(1) from None
        raise
    console.print(f"Wrote {named}. Next: {_evaluating(folder, named)}", highlight=False, markup=False, soft_wrap=True)
    if as_json and first:
        _print_summary(folder)


def _evaluating(folder: Path, named: Path | str) -> str:
    """The command that scores the run: on its test data, or where it has none on what it was validated on."""
    from antiphon.recipe.tree import parsed

    data = parsed(folder / "recipe.yaml").get("data") or {}
    command = shlex.join(["antiphon", "evaluate", str(named)])
    validated = data.get("test") is None and data.get("validation") is not None
    return f"{command} --data validation (the recipe names no `data.test`)" if validated else command


def _print_summary(folder: Path) -> None:
    from antiphon.runs.summary import summary_of

    print(json_text(summary_of(folder), indent=1))


def set_again(settings: Sequence[str] | None) -> list[str]:
    """The changes of settings as arguments."""
    return [part for change in settings or () for part in ("--set", change)]


def trusting(trust_code: bool) -> list[str]:
    """That code is trusted, as an argument."""
    return ["--trust-code"] if trust_code else []


def _resuming(command: Sequence[str]) -> str:
    """The command that resumes the run, with as many processes as there were."""
    processes = os.environ.get("LOCAL_WORLD_SIZE", "1")
    start = ["antiphon"] if processes == "1" else ["torchrun", "--nproc-per-node", processes, "-m", "antiphon"]
    return shlex.join([*start, *command, "--resume"])
