"""From examples to predictions: batches of similar length through model and search, results in the order given."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.search import Search
from antiphon.contracts.sequences import Example, Hypothesis, Padded, Prediction, Request, to_device
from antiphon.contracts.task import Task
from antiphon.data.collate import collate


def decode_examples(
    model: Seq2SeqModel,
    search: Search,
    task: Task,
    examples: Sequence[Example],
    requests: Sequence[Request] | None = None,
    *,
    batch_size: int,
    device: torch.device,
) -> list[Prediction]:
    """Decode examples, `batch_size` at a time, the longest first (so that a lack of memory shows at once)."""
    order = sorted(range(len(examples)), key=lambda index: -len(examples[index].source))
    results: dict[int, Prediction] = {}
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        source: Padded = collate([_without_target(examples[index]) for index in chosen], task.source_spec, task.target_spec).source
        wishes = [requests[index] for index in chosen] if requests is not None else None
        with torch.inference_mode():
            found = search(model, to_device(source, device), wishes)
        for index, hypotheses in zip(chosen, found, strict=True):
            results[index] = task.decode([_on_source(item, model.stride) for item in hypotheses], examples[index])
    return [results[index] for index in range(len(examples))]


def _on_source(hypothesis: Hypothesis, stride: int) -> Hypothesis:
    """The hypothesis with spans of elements of the source, rather than of states of the memory."""
    return hypothesis if hypothesis.spans is None else replace(hypothesis, spans=hypothesis.spans * stride)


def _without_target(example: Example) -> Example:
    return Example(example.source, None, example.record, example.context)
