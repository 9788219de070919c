"""Trains a student that learns from a trained teacher: `train`, with a teacher in the recipe."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from antiphon.recipe.assembly import Given
from antiphon.recipe.recipe import Recipe, read_recipe
from antiphon.runs.train import Callback, train
from antiphon.training.distillation import DistillationConfig


def distill(
    teacher: Path | str | Sequence[Path | str],
    recipe: Recipe | Path | str,
    out: Path | str,
    *,
    resume: bool = False,
    data: Given | None = None,
    trust_code: bool = False,
    console: Console | None = None,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train the student that a recipe describes; returns the run's folder.

    teacher   the teacher's run or checkpoint; several are an ensemble, of whose probabilities the mean counts
    recipe    a Recipe, or the path of one; its `distillation` says what is learned from the teacher
    out, resume, data, trust_code, console, callbacks   as for `train`

    Raises ConfigError, DataError, CheckpointError or TrainingError; a run that was interrupted, also while the teacher decoded the
    training data, can be resumed.
    """
    if not isinstance(recipe, Recipe):
        recipe = read_recipe(recipe, trust_code=trust_code)
    student = with_teacher(recipe, teacher)
    return train(student, out, resume=resume, data=data, trust_code=trust_code, console=console, callbacks=callbacks)


def with_teacher(recipe: Recipe, teacher: Path | str | Sequence[Path | str]) -> Recipe:
    """The recipe of a student with these teachers."""
    paths = [teacher] if isinstance(teacher, Path | str) else teacher
    settings = recipe.distillation or DistillationConfig()
    return replace(recipe, distillation=replace(settings, teachers=tuple(Path(path).absolute() for path in paths)))
