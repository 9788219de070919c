"""Uses the training data as translation memory for a model that reads matches, unless another memory is named."""

from antiphon.contracts.abilities import ReadsMatches
from antiphon.errors import ConfigError, DataError
from antiphon.prediction.memory import Say
from antiphon.prediction.predictor import Predictor
from antiphon.recipe.assembly import open_splits


def remembering(predictor: Predictor, say: Say) -> Predictor:
    """The predictor, whose task finds matches in its recipe's training data, unless it has a memory; held-out records are not used.

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
