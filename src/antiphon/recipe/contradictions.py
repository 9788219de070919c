"""Settings of different sections that contradict each other."""

from antiphon.errors import ConfigError
from antiphon.recipe.recipe import Recipe


def check_context(recipe: Recipe) -> None:
    """Raise ConfigError for settings that would read the preceding sentences, or a match after a sentence, instead of the sentence."""
    for name in ("context", "matches"):
        if getattr(recipe.task, name, None) is not None and getattr(recipe.model, "wait_k", None) is not None:
            read = "the sentences before" if name == "context" else "a match that is found for a whole source"
            raise ConfigError(f"`model.wait_k` must be left out with `task.{name}`: it would count symbols of {read}.")
    if getattr(recipe.task, "matches", None) is not None or getattr(recipe.task, "context", None) is None:
        return
    if recipe.data.limits.too_long == "truncate":
        raise ConfigError(
            "`data.limits.too_long` must be `drop` or `error` with `task.context`, but is `truncate`, which would cut off the sentence"
            " itself and leave those before it."
        )
