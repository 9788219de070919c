"""antiphon train: from a recipe to a run."""

from pathlib import Path
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

    from antiphon.recipe import read_recipe
    from antiphon.training_run import train as run_training

    folder = out or Path("runs") / recipe.stem
    console = Console(stderr=True)
    try:
        run_training(read_recipe(recipe, settings or ()), folder, resume=resume, console=console)
    except KeyboardInterrupt as interruption:
        changes = "".join(f" --set {change}" for change in settings or ())
        again = f"antiphon train {recipe} --out {folder}{changes} --resume"
        has_checkpoint = (folder / "last").exists()
        hint = f"continue with: {again}" if has_checkpoint else "there was no checkpoint yet"
        console.print(f"Stopped ({interruption or 'interrupted'}); {hint}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(130) from None
    console.print(f"Wrote {folder}. Next: antiphon evaluate {folder}", highlight=False, markup=False, soft_wrap=True)
