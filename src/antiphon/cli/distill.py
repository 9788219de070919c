"""antiphon distill: from a trained run and a recipe to a student's run."""

from pathlib import Path
from typing import Annotated

import typer

from antiphon.cli.options import Set, TrustCode
from antiphon.cli.train import set_again, supervise


def distill(
    teacher: Annotated[list[Path], typer.Argument(help="The teacher's run or checkpoint; several are an ensemble.", show_default=False)],
    recipe: Annotated[Path, typer.Argument(help="The student's recipe, a YAML file.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The student's folder; runs/RECIPE when left out.")] = None,
    settings: Set = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue where the teacher or the student stopped.")] = False,
    trust_code: TrustCode = False,
) -> None:
    """Train a student on what a trained teacher says: `distillation` in the recipe tells how.

    Example: antiphon distill runs/german student.yaml --out runs/student --set distillation.level=both
    """
    from antiphon.recipe.recipe import read_recipe
    from antiphon.runs.distill import distill as run_distillation

    folder = out or Path("runs") / recipe.stem
    again = ("distill", *map(str, teacher), str(recipe), "--out", str(folder), *set_again(settings))
    supervise(
        lambda console: run_distillation(
            teacher, read_recipe(recipe, settings or (), trust_code=trust_code), folder, resume=resume, console=console
        ),
        folder,
        again,
    )
