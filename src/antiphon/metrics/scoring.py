"""Finds metrics by name and computes scores, for evaluation and the command line."""

from collections.abc import Iterable, Sequence
from typing import Any

from antiphon.contracts import registry
from antiphon.errors import ConfigError
from antiphon.metrics.interface import Metric, Score
from antiphon.metrics.items import check_items
from antiphon.metrics.significance import SEED, score


def find_metrics(names: Sequence[str]) -> list[Metric]:
    """The metrics with these names. Raises ConfigError for an unknown name, with the nearest known one, and for a repeated name."""
    if len(set(names)) < len(names):
        raise ConfigError(f"Each metric must be named once, but they are {', '.join(names)}.")
    return [find_metric(name) for name in names]


def find_metric(name: str) -> Metric:
    """The metric with this name. Raises ConfigError for an unknown name, with the nearest known one."""
    found: Metric = registry.find("metrics", name)
    return found


def named(scores: Iterable[Score], name: str) -> Score | None:
    """The score with this name; None when it is not among them."""
    return next((score for score in scores if score.name == name), None)


def evaluate(
    names: Sequence[str],
    predictions: Sequence[Any],
    references: Sequence[Sequence[Any]],
    *,
    resamples: int = 1000,
    seed: int = SEED,
) -> list[Score]:
    """The named metrics over a set, in the order of the names; `references[i]` holds the alternatives for item i.

    Each score has a 95% bootstrap interval from `resamples`, or none when that is 0 (faster; for scores during training).

    Raises DataError when there is no item, or one without prediction or reference, and ConfigError for an unknown metric.
    """
    metrics = find_metrics(names)
    check_items(predictions, references)
    return [score(metric, predictions, references, resamples=resamples, seed=seed) for metric in metrics]
