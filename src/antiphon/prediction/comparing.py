"""Compares two ways to run a model: the differences of their outputs at every step of known targets.

Of symbols these are log-probabilities of the whole vocabulary, of a distribution log-densities of what came, of points and quantiles the
values themselves, in the units that the model computes in. Of a transducer these are log-probabilities of what was said, over all ways to
say it: each sums up the logits of all states.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.distributions import Distribution

from antiphon.contracts.limits import Limits
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch, Example, Output, Padded, Quantiles, to_device
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.data.collate import collate
from antiphon.data.limits import Tally, fitting, shortened
from antiphon.heads.draws import sized
from antiphon.losses.observed import observed
from antiphon.prediction.predictor import Predictor
from antiphon.search.transducer_path import Chains

_EXACT = 5
"""Numbers up to which differences are counted as they are."""


@dataclass(frozen=True)
class Said:
    """A model's output: `values` (B, T, ...), which are valid where `mask` is True."""

    values: Tensor
    mask: Bool[Tensor, "B T"]


def examples_of(task: Task, items: Sequence[Any], limits: Limits, models: Sequence[Seq2SeqModel]) -> list[Example]:
    """The items as arrays, as far as they have a target and fit into the models. Raises DataError if the settings in `limits` demand it."""
    found, tally = list[Example](), Tally()
    for index, item in enumerate(items):
        example: Example | None = task.encode(item, index)
        for model in models:
            if example is not None:
                within = fitting(limits.of_sources(), model)
                example = shortened(example, within, task.source_spec, task.target_spec, tally, f"Record {index}")
        if example is not None and example.target is not None and len(example.target) > 1:
            found.append(example)
    return found


def batches(task: Task, examples: Sequence[Example], size: int, device: torch.device) -> list[Batch]:
    """The examples in batches, in their order."""
    starts = range(0, len(examples), size)
    return [to_device(collate(examples[start : start + size], task.source_spec, task.target_spec), device) for start in starts]


@torch.inference_mode()
def said(model: Seq2SeqModel, batch: Batch) -> list[Said]:
    """The model's output for the targets of a batch, and for each state of its memory, where it has one."""
    memory = model.encode(batch.source)
    frames = model.frames(memory)
    found = [] if frames is None else [Said(frames.logits.float().log_softmax(-1), frames.mask)]
    output = model.decode(batch.inputs, memory)
    head: Any = output.head
    if isinstance(head, Chains):
        assert isinstance(model.target, TokenSpec), "a transducer writes symbols"
        symbols, labels = model.target.known(batch.labels.values[:, :-1]), batch.labels
        found.append(Said(head.chain(output.features, symbols, labels.lengths - 1, model.target.pad).unsqueeze(2), labels.mask))
    elif output.features.shape[1] == batch.inputs.values.shape[1]:  # what says something of frames alone has no steps
        found.append(Said(comparable(model, output, batch.labels), batch.labels.mask))
    return found


def comparable(model: Seq2SeqModel, output: Output, labels: Padded) -> Float[Tensor, "B T X"]:
    """The values of an output as numbers that can be compared."""
    values: Any = output.values
    if isinstance(model.target, TokenSpec):
        logits: Tensor = values.float().log_softmax(-1)
        return logits
    values = sized(values, labels.values, model.target)
    if isinstance(values, Distribution):
        known = observed(labels, model.target.channels)
        return torch.where(known.present, values.log_prob(known.values), 0.0).flatten(2)
    plain: Tensor = values.values if isinstance(values, Quantiles) else values
    return plain.flatten(2)


def difference(one: Said, other: Said) -> float:
    """The largest difference; infinite where only one is a number. The two may be padded differently.

    Of numbers beyond 5 it is a share of a fifth of them: single precision rounds them by more (a translator of 6 layers is 1.4e-4 from
    itself in double precision where it says -18, and 4e-5 where it says more than -5).
    """
    steps = int(min(one.values.shape[1], other.values.shape[1]))
    mask = one.mask[:, :steps]
    first, second = one.values[:, :steps][mask].double(), other.values[:, :steps][mask].double()
    apart = (first - second).abs() / (torch.minimum(first.abs(), second.abs()) / _EXACT).clamp(min=1)
    apart = torch.where((first == second) | (first.isnan() & second.isnan()), 0.0, apart)
    return float(apart.nan_to_num(nan=torch.inf, posinf=torch.inf).max()) if apart.numel() else 0.0


def moved_probability(one: Said, other: Said) -> float:
    """The largest total variation distance between two distributions, given log-probabilities: half of the sum of absolute differences.

    A lower precision may say -18 or -21 of a symbol that nobody will ever say, which `difference` counts as much as 0.6 of a likely one.
    """
    steps = int(min(one.values.shape[1], other.values.shape[1]))
    mask = one.mask[:, :steps]
    first, second = one.values[:, :steps][mask].double().exp(), other.values[:, :steps][mask].double().exp()
    moved = (first - second).abs().sum(-1) / 2
    return float(moved.nan_to_num(nan=torch.inf).max()) if moved.numel() else 0.0


def largest_difference(one: Predictor, other: Predictor, given: Sequence[Batch]) -> float:
    """The largest difference between the outputs of two predictors for the same batches."""
    pairs = (zip(said(one.model, batch), said(other.model, batch), strict=True) for batch in given)
    return max((difference(first, second) for pair in pairs for first, second in pair), default=0.0)


def comparable_step(model: Seq2SeqModel, output: Output, label: Tensor) -> Float[Tensor, "R X"]:
    """Like `comparable`, for a single step: `label` (R,) or (R, C) is the actual next element."""
    if isinstance(model.target, TokenSpec):
        logits: Tensor = output.values.float().log_softmax(-1)
        return logits
    values: Any = sized(output.values, label, model.target)
    if isinstance(values, Distribution):
        known = observed(Padded(label.unsqueeze(1), torch.ones(len(label), dtype=torch.int64)), model.target.channels)
        return torch.where(known.present[:, 0], values.log_prob(known.values[:, 0]), 0.0).flatten(1)
    plain: Tensor = values.values if isinstance(values, Quantiles) else values
    return plain.flatten(1)
