"""Scores of groups of items: the sentences of each document, the units of each file, or those in one state.

Each is the metric of its part alone, from the statistics of its items, which are counted once for all.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from antiphon.metrics.interface import Metric


def scores_by(
    names: Sequence[str], predictions: Sequence[Any], references: Sequence[Sequence[Any]], metrics: Sequence[Metric]
) -> list[tuple[str, int, dict[str, float]]]:
    """(name, items, scores by metric) of each group, in order of first occurrence; `names` has the group of each item."""
    chosen = [metric.suited(references) for metric in metrics]
    numbers = {metric.name: metric.statistics(predictions, references) for metric in chosen}
    rows, owners = [], np.array(names)
    for name in dict.fromkeys(names):
        own = owners == name
        scores = {metric.name: float(metric.aggregate(numbers[metric.name][own].sum(axis=0))) for metric in chosen}
        rows.append((name, int(own.sum()), scores))
    return rows
