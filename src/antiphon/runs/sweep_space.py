"""Checks, before any trial begins, that every setting of a sweep is known and accepts each value.

What only contradicts another setting, such as `heads` that do not divide `dim`, may fit together with other values of the space: then
the sweep begins, and says how many of its combinations are impossible.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from antiphon.errors import ConfigError
from antiphon.metrics.interface import says_better
from antiphon.metrics.scoring import find_metric
from antiphon.recipe.assembly import metric_names
from antiphon.recipe.recipe import Recipe, read_recipe, with_overrides
from antiphon.recipe.tree import line_of, parsed
from antiphon.store.json_text import json_text
from antiphon.sweeping.settings import RangeConfig, SweepConfig
from antiphon.sweeping.space import Point, Space

_DRAWN = 24
"""Combinations that are looked at before a sweep begins."""
_NOT_TRIED = {
    "sweep": "it says what is tried",
    "data.validation": "trials are compared on the same records",
    "evaluation": "trials are compared by the same scores",
    "training.best": "trials are compared by `sweep.metric`",
}


@final
@dataclass(frozen=True)
class Source:
    """The source of trials' recipes: a recipe, or its file with `key.path=value` changes, read anew for each trial so that presets and
    defaults suit the tried settings."""

    recipe: Recipe | Path
    overrides: tuple[str, ...] = ()
    trust_code: bool = False

    def with_values(self, values: Mapping[str, Any]) -> Recipe:
        """The recipe with some settings, given by dotted names. Raises ConfigError for invalid ones."""
        changes = [f"{key}={json_text(value)}" for key, value in _outer_first(values)]
        if isinstance(self.recipe, Path):
            return read_recipe(self.recipe, [*self.overrides, *changes], trust_code=self.trust_code)
        recipe = self.recipe
        recipe = replace(recipe, trust=replace(recipe.trust, runs=True)) if self.trust_code else recipe
        return with_overrides(recipe, [*self.overrides, *changes])


def _outer_first(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Orders whole sections before settings in them, and the choice of a plug-in before its settings."""
    return sorted(values.items(), key=lambda item: (item[0].count("."), item[0].rpartition(".")[2] not in ("name", "preset"), item[0]))


def settings_of(recipe: Recipe) -> SweepConfig:
    """The recipe's sweep section. Raises ConfigError when it has none."""
    if recipe.sweep is None:
        raise ConfigError(
            "The recipe has no section `sweep`: say there what is tried, such as"
            " `sweep: {space: {training.optimizer.learning_rate: {low: 1e-4, high: 3e-3, log: true}}}`."
        )
    return recipe.sweep


def metric_of(recipe: Recipe) -> str:
    """The metric of a sweep. Raises ConfigError when it is not computed, or cannot rank trials."""
    names, wanted = metric_names(recipe), settings_of(recipe).metric
    metric = wanted or (recipe.training.best if recipe.training.best in names else names[0] if names else "loss")
    if metric != "loss" and metric not in names:
        raise ConfigError(f"`sweep.metric` must be `loss` or one of `evaluation.metrics` ({', '.join(names)}), but is {metric!r}.")
    if metric != "loss" and not says_better(find_metric(metric)):
        raise ConfigError(
            f"`sweep.metric` must say which of two outputs is better, but `{metric}` only describes them. Take one such as `chrf`."
        )
    if metric == "loss" and (changed := [key for key in settings_of(recipe).space if key.split(".")[0] == "task"]):
        raise ConfigError(
            f"`sweep.metric` must not be `loss` where `sweep.space` has `{changed[0]}`: losses of different symbols cannot be compared."
            " Take a metric of outputs, such as `chrf`."
        )
    return metric


def space_of(source: Source) -> tuple[Space, tuple[str, ...]]:
    """The space of a recipe, and remarks on it. Raises ConfigError naming a setting that is unknown or does not accept a value."""
    recipe = source.with_values({})
    settings = settings_of(recipe)
    for key in settings.space:
        _refuse_what_compares(key, recipe)
    space = Space(settings.space, frozenset(key for key, found in settings.space.items() if _takes_whole_numbers(source, key, found)))
    for key, value in space.extremes():
        _check_value(source, key, value)
    return space, tuple(_impossible(source, space, settings.seed))


def _refuse_what_compares(key: str, recipe: Recipe) -> None:
    """Refuse settings that would make trials incomparable."""
    for kept, reason in _NOT_TRIED.items():
        if key == kept or key.startswith(f"{kept}."):
            raise ConfigError(f"`sweep.space` must not have `{key}`: {reason}.")
    if recipe.data.cache is not None and key.split(".")[0] in ("task", "data"):
        raise ConfigError(
            f"`data.cache` must be left out where `sweep.space` has `{key}`: trials at the same time would encode over each other's data."
        )
    if key in ("seed", "data", "data.train") and isinstance(recipe.data.validation, int):
        raise ConfigError(
            f"`sweep.space` must not have `{key}` where `data.validation` is a number of records, which it would change: trials are"
            " compared on the same records. Name a file for `data.validation`."
        )


def _takes_whole_numbers(source: Source, key: str, found: Any) -> bool:
    """Whether a range belongs to a setting that only accepts whole numbers."""
    if not isinstance(found, RangeConfig) or found.integer is not None or not all(map(float.is_integer, (found.low, found.high))):
        return False
    fraction = found.low + 0.5
    return bool(_wrong(source, key, fraction)) and not _wrong(source, key, int(found.low))


def _check_value(source: Source, key: str, value: Any) -> None:
    if wrong := _wrong(source, key, value):
        tree = parsed(source.recipe) if isinstance(source.recipe, Path) else {}
        place = f"{source.recipe}:{line_of(tree, ('sweep', 'space', key))}: " if "sweep" in tree else "--set: "
        raise ConfigError(f"{place}`sweep.space`: {wrong}")


def _wrong(source: Source, key: str, value: Any) -> str:
    """What is wrong with one value of a setting; empty if it only contradicts another setting."""
    try:
        source.with_values({key: value})
    except ConfigError as error:
        lines = list(map(_without_place, str(error).splitlines()))
        about = (f"`{key}`", f"`{key}.", "`--set ")
        return next((line for line in lines if line.startswith(about) or "` is not a setting" in line), "")
    return ""


def _without_place(line: str) -> str:
    """An error message without its place, since that is the space, and not `--set`."""
    return line.partition("--set: ")[2] or line


def _impossible(source: Source, space: Space, seed: int) -> Iterator[str]:
    """A remark if some combinations contradict themselves. Raises ConfigError if all sampled ones do."""
    failures: list[str] = []
    points = _some(space, seed)
    for point in points:
        try:
            source.with_values(space.values(point))
        except ConfigError as error:
            failures.append(_without_place(str(error).splitlines()[0]))
    if failures and len(failures) == len(points):
        raise ConfigError(f"`sweep.space`: none of {len(points)} combinations is possible; of the first one: {failures[0]}")
    if failures:
        yield f"{len(failures)} of {len(points)} combinations of `sweep.space` are impossible, and fail as trials; the first: {failures[0]}"


def _some(space: Space, seed: int) -> Sequence[Point]:
    if space.count() <= _DRAWN:
        return list(space.every())
    generator = np.random.default_rng(seed)
    return [space.draw(generator) for _ in range(_DRAWN)]
