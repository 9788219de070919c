"""Collates examples into batches, padded to the longest of each side."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from antiphon.contracts.sequences import Batch, Example, Padded, pad
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.errors import DataError


def collate(examples: Sequence[Example], source: Spec, target: Spec, *, pack: bool = False) -> Batch:
    """Make a batch: source values (B, S) or (B, S, C), target values (B, T) or (B, T, C), or no target if the examples have none.

    Symbols are padded with the spec's padding symbol, values with 0. With `pack`, a model will read several examples in one row.

    Raises DataError when some examples have a target and some have none.
    """
    assert examples, "a batch needs at least one example"
    targets = [example.target for example in examples if example.target is not None]
    if targets and len(targets) < len(examples):
        without = next(example.record for example in examples if example.target is None)
        raise DataError(f"The records of a batch must all have a target, or none, but record {without} has none.")
    weights = [example.weight for example in examples]
    links = [np.zeros((0, 2), dtype=np.int64) if example.links is None else example.links for example in examples]
    batch = Batch(
        source=_sources(examples, source),
        target=pad(targets, _padding(target)) if targets else None,
        records=tuple(example.record for example in examples),
        weights=None if all(weight == 1 for weight in weights) else torch.tensor(weights, dtype=torch.float32),
        links=None if all(example.links is None for example in examples) else pad(links),
    )
    return batch.packed() if pack else batch


def _sources(examples: Sequence[Example], spec: Spec) -> Padded:
    """The batch's sources, with their factors if the model reads any."""
    padded = pad([example.source for example in examples], _padding(spec))
    if not isinstance(spec, TokenSpec) or not spec.factors:
        return padded
    factors = [example.factors for example in examples if example.factors is not None]
    assert len(factors) == len(examples), "every source has factors where the model reads them"
    return replace(padded, factors=pad(factors).values)


def _padding(spec: Spec) -> float:
    return float(spec.pad) if isinstance(spec, TokenSpec) else 0.0
