"""antiphon distill: from a trained run and a recipe to a student's run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.options import AsJson, Quiet, Resume, Set, TrustCode
from antiphon.cli.train import set_again, supervise, trusting

if TYPE_CHECKING:
    from rich.console import Console


def distill(
    teacher: Annotated[list[Path], typer.Argument(help="The teacher's run or checkpoint; several are an ensemble.", show_default=False)],
    recipe: Annotated[Path, typer.Argument(help="The student's recipe, a YAML file.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The student's folder; runs/RECIPE when left out.")] = None,
    settings: Set = None,
    resume: Resume = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    trust_code: TrustCode = False,
) -> None:
    """Train a student on the outputs or probabilities of a trained teacher, as the section `distillation` of the recipe says.

    Example: antiphon distill runs/german student.yaml --out runs/student --set distillation.level=both
    """
    from antiphon.recipe.recipe import read_recipe
    from antiphon.runs.distill import distill as run_distillation

    folder = out or Path("runs") / recipe.stem
    again = ("distill", *map(str, teacher), str(recipe), "--out", str(folder), *set_again(settings), *trusting(trust_code))

    def training(console: "Console") -> None:
        known = read_recipe(recipe, settings or (), trust_code=trust_code)
        run_distillation(teacher, known, folder, resume=resume, console=console)

    supervise(training, folder, again, as_json=as_json, quiet=quiet)
