"""Evaluates a model on records with references: its loss, and metrics of its outputs. Validation, evaluation and tuning use this.

Several processes share the work. Each has every `world`-th item and its rows of each batch; what comes back is the same on all of them, and
the same as from one process.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from antiphon.contracts.asking import shown
from antiphon.contracts.corpus import Corpus
from antiphon.contracts.loss import Loss
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch, Prediction, to_device
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.findings import content_hash
from antiphon.data.loader import Loader
from antiphon.data.mapped import MemoryCorpus
from antiphon.data.mixing import MixedCorpus
from antiphon.errors import AntiphonError, TrainingError
from antiphon.losses.observed import counted
from antiphon.metrics.interface import DECIDING, Metric, Score
from antiphon.metrics.scoring import find_metrics
from antiphon.metrics.significance import score_statistics
from antiphon.prediction.memory import Say, silent, unless_out_of_memory
from antiphon.training.decoder_inputs import DecoderInputs, inputs_to_measure
from antiphon.training.distributed import Ranks
from antiphon.training.gradients import split
from antiphon.training.precision import Precision, autocast

Item = tuple[Any, Sequence[Any]]
"""A record, and its references."""

# ---------------------------------------------------------------------------------------------------------------------- loss


@torch.inference_mode()
def mean_loss(
    model: Seq2SeqModel,
    measure: Loss,
    batches: Iterable[Batch | None],
    ranks: Ranks,
    *,
    inputs: DecoderInputs,
    precision: Precision = "fp32",
    say: Say = silent,
) -> float:
    """The mean loss per target element over the batches of all ranks; NaN if there are no elements.

    A batch that does not fit in memory is measured in halves. Raises TrainingError when a single record does not fit.
    """
    total, count, halved = 0.0, 0, False
    for batch in batches:
        pieces = [] if batch is None else [batch]
        while pieces:
            piece = pieces.pop()
            found = unless_out_of_memory(partial(_sums, model, measure, piece, ranks.device, inputs, precision), ranks.device)
            if found is not None:
                total, count = total + found[0], count + found[1]
                continue
            pieces += reversed(_halves(piece))
            if not halved:
                say(f"Out of memory: a batch of {len(piece.records)} records is measured in halves (`training.batching` limits batches).")
            halved = True
    sums = ranks.gather_plain([total, count])
    elements = sum(some for _, some in sums)
    return math.fsum(some for some, _ in sums) / elements if elements else math.nan


def _sums(
    model: Seq2SeqModel, measure: Loss, batch: Batch, device: torch.device, inputs: DecoderInputs, precision: Precision
) -> tuple[float, int]:
    """The sum of the losses of a batch, and the number of elements with a loss."""
    here = to_device(batch, device)
    with autocast(precision, device):
        losses = measure(model(here.source, inputs_to_measure(inputs, model, here.inputs)), here.labels)
    return float(losses.rows.cpu().double().sum()), int(counted(here.labels, model.target).sum())


def _halves(batch: Batch) -> list[Batch]:
    if len(batch.records) == 1:
        raise TrainingError(
            f"Not even one record at a time fits in memory; the longest is record {batch.records[0]}, with {int(batch.source.lengths[0])}"
            f" source and {int(batch.labels.lengths[0])} target steps. Limit lengths with `data.limits`."
        )
    return split(batch, 2)


def loss_scores(loss: float, task: Task) -> list[Score]:
    """The loss as a score; for symbols also the perplexity."""
    scores = [Score("loss", loss, "mean per target element", higher_is_better=False)]
    if isinstance(task.target_spec, TokenSpec):
        scores.append(Score("perplexity", math.exp(min(loss, 700)), "exp(loss)", higher_is_better=False))
    return scores


def batches_of(corpus: Corpus | MixedCorpus | MemoryCorpus, task: Task, batching: BatchingConfig, ranks: Ranks) -> Iterator[Batch | None]:
    """This rank's part of each batch of a corpus, in which every row occurs once, longest first. Nothing is packed."""
    together = partial(collate, source=task.source_spec, target=task.target_spec)
    sampler = Sampler(corpus, replace(batching, pack=False), 0)
    return Loader(corpus, sampler, together, seed=0, rank=ranks.rank, world=ranks.world).in_order()


# ------------------------------------------------------------------------------------------------------------------- metrics


@dataclass(frozen=True)
class Decoded:
    """A model's predictions for items, and their scores.

    scores           of all items, in the order of the metrics
    shown            (source, first reference, prediction) of each item, as people read them
    finish_reasons   how outputs ended
    collapsed        a sentence when most outputs are one and the same
    predictions      those of this rank's items, in their order: of one process, all
    seconds          how long decoding took here
    """

    scores: list[Score]
    shown: list[tuple[str, str, str]]
    finish_reasons: Mapping[str, int]
    collapsed: str | None
    predictions: list[Prediction]
    seconds: float


def decode_and_score(
    predict: Callable[[list[Any]], list[Prediction]],
    task: Task,
    items: Sequence[Item],
    metrics: Sequence[str],
    ranks: Ranks,
    *,
    resamples: int = 0,
) -> Decoded:
    """Decode this rank's items, and score those of all ranks.

    predict     makes the predictions for records
    items       number `rank`, `rank + world` and so on of all items
    resamples   bootstrap resamples for intervals

    Raises what `predict` and the metrics raise, and AntiphonError where another rank could not decode its items.
    """
    found, failure, chosen = None, None, _suited(metrics, items, ranks)
    try:
        found = _decoded(predict, task, items, chosen)
    except AntiphonError as error:
        failure = error
    parts = ranks.gather_plain(found[0] if found else None)
    if failure is not None:
        raise failure
    if found is None or None in parts:
        raise AntiphonError("Another process could not decode its share; its own message says why.")
    rows = _interleaved([part["items"] for part in parts])
    counts = [row["references"] for row in rows]
    scores = [
        score_statistics(metric, np.array(_interleaved([part["statistics"][place] for part in parts])), counts, resamples=resamples)
        for place, metric in enumerate(chosen)
    ]
    texts = all(row["text"] for row in rows)
    return Decoded(
        scores,
        [(row["source"], row["reference"], row["prediction"]) for row in rows],
        dict(sorted(Counter(row["finish_reason"] for row in rows).items())),
        collapsed([row["prediction"] for row in rows], [row["reference"] for row in rows]) if texts else None,
        found[1],
        found[2],
    )


def _suited(names: Sequence[str], items: Sequence[Item], ranks: Ranks) -> list[Metric]:
    """The metrics, adapted to the references of all ranks."""
    first = [[str(one) for one in found if isinstance(one, str)] for _, found in items[: -(-DECIDING // ranks.world)]]
    references = _interleaved(ranks.gather_plain(first))
    return [metric.suited(references) for metric in find_metrics(names)]


def _decoded(
    predict: Callable[[list[Any]], list[Prediction]], task: Task, items: Sequence[Item], metrics: Sequence[Metric]
) -> tuple[dict[str, Any], list[Prediction], float]:
    """The values that other ranks need of these items, as plain values; the predictions; and the seconds that they took."""
    began = time.monotonic()
    predictions = predict([record for record, _ in items]) if items else []
    seconds = time.monotonic() - began
    values, references = [prediction.value for prediction in predictions], [found for _, found in items]
    statistics = [metric.statistics(values, references).tolist() if items else [] for metric in metrics]
    rows = [
        {
            "source": str(task.source_of(record)),
            "reference": shown(task, found[0]),
            "prediction": shown(task, prediction.value),
            "text": isinstance(prediction.value, str),
            "references": len(found),
            "finish_reason": prediction.hypothesis.finish_reason,
        }
        for (record, found), prediction in zip(items, predictions, strict=True)
    ]
    return {"items": rows, "statistics": statistics}, predictions, seconds


def _interleaved(parts: Sequence[Sequence[Any]]) -> list[Any]:
    """The ranks' values in the order of all items: item number i is on rank i modulo the number of ranks."""
    return [part[row] for row in range(max(map(len, parts))) for part in parts if row < len(part)]


def group_references(task: Task, records: Sequence[Any], *, alternatives: bool) -> list[tuple[Any, list[Any]]]:
    """(record, references) per item; with `alternatives`, records with equal model input become one item."""
    if not alternatives:
        return [(record, [task.reference(record)]) for record in records]
    items: dict[Any, tuple[Any, list[Any]]] = {}
    for record in records:
        key = (task.source_of(record), *(_comparable(record.get(column)) for column in task.source_columns))
        items.setdefault(key, (record, []))[1].append(task.reference(record))
    return list(items.values())


def _comparable(value: Any) -> Any:
    """A value that is equal for equal contents."""
    return value.tobytes() if isinstance(value, np.ndarray) else value if isinstance(value, Hashable) else content_hash(value)


def collapsed(values: Sequence[Any], references: Sequence[Any], share: float = 0.5) -> str | None:
    """A sentence for the case that most outputs are the same text though their references differ: the sign of a collapsed model."""
    if len(values) < 10 or not all(isinstance(value, str) for value in values):
        return None
    said, count = Counter(values).most_common(1)[0]
    alike = Counter(references).most_common(1)[0][1]
    if count < share * len(values) or count < 2 * alike:
        return None
    return f"{count:,} of {len(values):,} outputs are the same text, {said!r:.60}: the model has collapsed, or not learned yet."
