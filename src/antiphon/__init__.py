"""Antiphon turns one sequence into another: a sentence into its translation, a word into its pronunciation.

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

__all__ = ["Predictor", "Recipe", "distill", "evaluate", "export", "import_model", "load", "serve", "sweep", "train", "tune"]

if TYPE_CHECKING:
    from antiphon.prediction.loading import load
    from antiphon.prediction.predictor import Predictor
    from antiphon.recipe.recipe import Recipe
    from antiphon.runs.distill import distill
    from antiphon.runs.evaluate import evaluate
    from antiphon.runs.export import export
    from antiphon.runs.import_ import import_model
    from antiphon.runs.sweep import sweep
    from antiphon.runs.train import train
    from antiphon.runs.tune import tune
    from antiphon.serving.app import serve

_PLACES = {
    "Predictor": "prediction.predictor",
    "Recipe": "recipe.recipe",
    "distill": "runs.distill",
    "evaluate": "runs.evaluate",
    "export": "runs.export",
    "import_model": "runs.import_",
    "load": "prediction.loading",
    "serve": "serving.app",
    "sweep": "runs.sweep",
    "train": "runs.train",
    "tune": "runs.tune",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'antiphon' has no attribute {name!r}; its public names are {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"antiphon.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
