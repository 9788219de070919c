"""Settings of different sections that contradict each other."""

from antiphon.errors import ConfigError
from antiphon.recipe.recipe import Recipe


def check_context(recipe: Recipe) -> None:
    """Raise ConfigError for what would read the sentences before a sentence instead of it."""
    if recipe.data.limits.too_long == "truncate":
        raise ConfigError(
            "`data.limits.too_long` must be `drop` or `error` with `task.context`, but is `truncate`, which would cut off the sentence"
            " itself and leave those before it."
        )
    if getattr(recipe.model, "wait_k", None) is not None:
        raise ConfigError("`model.wait_k` must be left out with `task.context`: it would count symbols of the sentences before.")
