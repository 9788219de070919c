"""Checks which runs can form an ensemble: those with the same symbols on both sides, and the same audio features."""

from collections.abc import Sequence

from antiphon.contracts.abilities import PreparesSources
from antiphon.errors import ConfigError
from antiphon.recipe.assembly import Trained


def check_alike(trained: Sequence[Trained]) -> Trained:
    """The first of the runs. Raises ConfigError when another has a different source or target."""
    first = trained[0]
    for other in trained[1:]:
        if (other.task.source_spec, other.task.target_spec) != (first.task.source_spec, first.task.target_spec):
            raise ConfigError(
                f"Runs of an ensemble must share their vocabularies, but {other.folder} has others than {first.folder}."
                " Train them with the same `data` and `task` and one `data.cache`."
            )
        if _prepared(other) != _prepared(first):
            raise ConfigError(
                f"Runs of an ensemble must read recordings in the same way, but {other.folder} has another sample"
                " rate, other features or another"
                f" normalization than {first.folder}. Train them with the same `data` and `task`."
            )
    return first


def _prepared(trained: Trained) -> str | None:
    """How sources are preprocessed, as far as their spec does not tell."""
    return trained.task.source_fingerprint if isinstance(trained.task, PreparesSources) else None
