"""The counts of sacrebleu's metrics per item, and its signatures.

sacrebleu sums these counts itself, one Python call per resample. We take the counts from it, so that tokenization and matching are its
own, and do the arithmetic on the sums for all resamples at once. Unusual: the counts come from a method that it keeps to itself
(`_extract_corpus_statistics`); tests compare every metric with its public functions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from sacrebleu.metrics.base import Metric

from antiphon.metrics.items import check_texts


def segment_statistics(metric: Metric, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Float[np.ndarray, "N K"]:
    """The metric's counts, a row per item. Items may have different numbers of references."""
    check_texts(predictions, references)
    most = max(len(alternatives) for alternatives in references)
    # sacrebleu wants the first references of all items, then the second ones ...; None stands where an item has no more.
    streams = [[alternatives[place] if place < len(alternatives) else None for alternatives in references] for place in range(most)]
    counts = metric._extract_corpus_statistics(predictions, streams)  # type: ignore[arg-type]  # its types forget the None
    return np.array(counts, dtype=np.float64)


def settings_signature(metric: Metric) -> str:
    """sacrebleu's signature without the number of references, which belongs to the data: "case:mixed|...|version:2.6.0"."""
    metric.num_refs = 1
    return str(metric.get_signature()).removeprefix("nrefs:1|")
