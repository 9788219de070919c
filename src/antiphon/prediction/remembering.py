"""A model that reads matches of what was translated before remembers what it was trained on, where nothing else was named."""

from antiphon.contracts.abilities import ReadsMatches
from antiphon.errors import ConfigError, DataError
from antiphon.prediction.memory import Say
from antiphon.prediction.predictor import Predictor
from antiphon.recipe.assembly import open_splits


def remembering(predictor: Predictor, say: Say) -> Predictor:
    """The predictor, whose task finds matches in the training data of its recipe, unless it has a memory; what was held out is none of it.

    Where that data is not there any more, a sentence says so, and records are read without matches.
    """
    recipe, task = predictor.recipe, predictor.task
    if isinstance(task, ReadsMatches) and task.lacks_memory:
        try:
            if recipe.data.train is not None:
                task.remember(open_splits(recipe, task)["train"])
        except (DataError, ConfigError) as error:
            say(f"Records are read without matches, since the training data cannot be read: {error}")
    return predictor
