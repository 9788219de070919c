"""Which settings have an effect on a trained model. Others are refused, since a user who sets one expects an effect."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from antiphon.contracts.configuration import setting_fields
from antiphon.errors import ConfigError
from antiphon.recipe.recipe import Recipe


@dataclass(frozen=True)
class Effects:
    """The settings that have an effect on one kind of use of a trained model.

    what      what the settings have an effect on, as in "a prediction"
    keys      settings that have one, and with them all that stand below
    without   patterns of settings below `keys` that have none
    """

    what: str
    keys: tuple[str, ...]
    without: tuple[str, ...] = ()

    def check(self, overrides: Sequence[str]) -> None:
        """Raise ConfigError for the first of the `key.path=value` changes without effect. Unknown keys are reported elsewhere."""
        for override in overrides:
            for key in _settings(override):
                if key.split(".")[0] in setting_fields(Recipe) and not self._has(key):
                    raise ConfigError(
                        f"`{key}` must not be set here, since it has no effect on {self.what}. What can be set:"
                        f" {', '.join(f'`{own}`' for own in self.keys)}."
                    )

    def _has(self, key: str) -> bool:
        within = any(key == own or key.startswith(f"{own}.") for own in self.keys)
        return within and not any(fnmatch(key, pattern) for pattern in self.without)


_LEARNING = (  # how models learn, and how their vocabularies were made
    "model.*dropout*",
    "model.*checkpoint_activations",
    "task.augmentation*",
    "task.storage",
    "task.stride",
    "task.weighting",
    *(f"task.*vocabulary.{name}" for name in ("size", "min_frequency", "character_coverage", "training_lines", "sampling")),
)

PREDICTION = Effects(
    "a prediction",
    ("search", "task", "model", "engine", "evaluation.batch_size", "data.limits.max_source_length", "data.limits.too_long"),
    (*_LEARNING, "task.backtest*", "task.baselines"),
)
"""Of `predict`."""

EVALUATION = replace(
    PREDICTION,
    what="an evaluation",
    keys=(
        *PREDICTION.keys[:4],
        "evaluation",
        "data.test",
        *PREDICTION.keys[5:],
        "data.limits.empty",
        "training.loss",
        "training.batching",
        "training.decoder_inputs",
    ),
    without=_LEARNING,
)
"""Of `evaluate`, which also measures the loss, in batches like those of training."""


def _settings(override: str) -> Iterator[str]:
    """The settings that one `key.path=value` changes, each with its whole path; those in a mapping are listed one by one."""
    dotted, _, text = override.partition("=")
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        value = None  # who applies it says so
    yield from _leaves(dotted.strip(), value)


def _leaves(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}", inner)
    else:
        yield key
