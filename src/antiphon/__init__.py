"""Antiphon turns one sequence into another: a sentence its translation, a word its pronunciation.

    import antiphon

    run = antiphon.train("recipe.yaml", "runs/mine")
    model = antiphon.load(run)
    model.predict("The file could not be opened.").text
    antiphon.tune(run)
    antiphon.evaluate(run)

Importing the package imports no torch; the names below load what they need when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from antiphon.version import __version__ as __version__

__all__ = ["Predictor", "Recipe", "distill", "evaluate", "export", "import_model", "load", "train", "tune"]

if TYPE_CHECKING:
    from antiphon.distillation_run import distill
    from antiphon.evaluation_run import evaluate
    from antiphon.export_run import export
    from antiphon.import_run import import_model
    from antiphon.predictor import Predictor, load
    from antiphon.recipe import Recipe
    from antiphon.training_run import train
    from antiphon.tuning_run import tune

_PLACES = {
    "Predictor": "predictor",
    "Recipe": "recipe",
    "distill": "distillation_run",
    "evaluate": "evaluation_run",
    "export": "export_run",
    "import_model": "import_run",
    "load": "predictor",
    "train": "training_run",
    "tune": "tuning_run",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'antiphon' has no attribute {name!r}; its public names are {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"antiphon.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
