"""From examples to predictions: decodes batches of similar length, and returns the results in the given order.

A batch that does not fit in memory is decoded in halves, and so are those behind it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.search import RequestError, Search
from antiphon.contracts.sequences import Example, Hypothesis, Padded, Prediction, Request, to_device
from antiphon.contracts.task import Task
from antiphon.data.collate import collate
from antiphon.errors import TrainingError
from antiphon.prediction.memory import Say, silent, unless_out_of_memory


def decode_examples(
    model: Seq2SeqModel,
    search: Search,
    task: Task,
    examples: Sequence[Example],
    requests: Sequence[Request] | None = None,
    *,
    batch_size: int,
    device: torch.device,
    refused: Callable[[str], Prediction] | None = None,
    say: Say = silent,
) -> list[Prediction]:
    """Decode examples, `batch_size` at a time, longest first (so that a lack of memory shows at once).

    refused   makes of a reason the prediction for an example whose request cannot be; the others are decoded

    Raises TrainingError when a single example does not fit in memory, and without `refused` RequestError.
    """
    order = by_length(examples)
    results: dict[int, Prediction] = {}
    start = 0
    while start < len(order):
        chosen = order[start : start + batch_size]
        source: Padded = collate([_without_target(examples[index]) for index in chosen], task.source_spec, task.target_spec).source
        wishes = [requests[index] for index in chosen] if requests is not None else None
        try:
            found = unless_out_of_memory(partial(_searched, model, search, source, wishes, device), device)
        except RequestError as error:
            if refused is None:
                raise
            results.update({chosen[row]: refused(reason) for row, reason in error.reasons.items()})
            order[start : start + batch_size] = [index for index in chosen if index not in results]
            continue
        if found is None:
            batch_size = _half(len(chosen), examples[chosen[0]], say)
            continue
        for index, hypotheses in zip(chosen, found, strict=True):
            results[index] = task.decode([_as_read(item, model, examples[index]) for item in hypotheses], examples[index])
        start += len(chosen)
    return [results[index] for index in range(len(examples))]


def by_length(examples: Sequence[Example]) -> list[int]:
    """The indices of examples, longest first."""
    return sorted(range(len(examples)), key=lambda index: -len(examples[index].source))


def batches_of_like_length(examples: Sequence[Example], size: int) -> list[list[int]]:
    """The indices of examples in batches of similar length."""
    order = by_length(examples)
    return [order[start : start + size] for start in range(0, len(order), size)]


@torch.inference_mode()
def _searched(
    model: Seq2SeqModel, search: Search, source: Padded, wishes: Sequence[Request] | None, device: torch.device
) -> list[list[Hypothesis]]:
    return search(model, to_device(source, device), wishes)


def _half(rows: int, longest: Example, say: Say) -> int:
    """Half the batch size; raises TrainingError if it is one already."""
    if rows == 1:
        raise TrainingError(
            f"Not even one record at a time can be decoded in memory; the longest is record {longest.record}, with {len(longest.source)}"
            " source steps. Limit lengths with `data.limits` and `search.limits`, or use a smaller search."
        )
    say(f"Out of memory: {rows} records do not fit when they are decoded together, so now {rows // 2} are (`evaluation.batch_size`).")
    return rows // 2


def _as_read(hypothesis: Hypothesis, model: Seq2SeqModel, example: Example) -> Hypothesis:
    """The hypothesis with spans in elements of the source, rather than states of the memory, and with the number of elements read so
    far."""
    if hypothesis.spans is not None:
        hypothesis = replace(hypothesis, spans=hypothesis.spans * model.stride)
    return hypothesis if model.wait_k is None else replace(hypothesis, read=read_at(len(hypothesis.elements), model.wait_k, example.source))


def read_at(steps: int, k: int, source: np.ndarray) -> np.ndarray:
    """The number of symbols of a source that had been read at each step of wait-k (T,)."""
    return np.minimum(np.arange(steps) + k, len(source))


def _without_target(example: Example) -> Example:
    return replace(example, target=None, links=None)
