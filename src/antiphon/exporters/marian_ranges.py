"""Measures the range of the inputs of matrix products, and the loss when they are rounded to 8 bits.

Marian's static 8 bits multiply an input by one number for each matrix (alpha), round it, and cut it at 127. What is here runs our model
over examples, and sees the same inputs: a sentence at a time in the encoder, a step at a time in the decoder.

Marian's own programs measure so, too: alpha is 127 / (mean + 1.1 standard deviations of the largest input). A smaller alpha costs little,
a larger one much, since it cuts.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch
from antiphon.contracts.specs import TokenSpec

_DEVIATIONS = 1.1


def alphas(model: Seq2SeqModel, names: Iterable[str], batches: Sequence[Batch]) -> dict[str, float]:
    """The factor of the input of each named module. Batches have one example, with its target."""
    seen: dict[str, list[Tensor]] = {name: [] for name in names}

    def looking(name: str) -> Any:
        whole = name.startswith("encoder.") or name.endswith(".key_value")  # of all states at once there

        def look(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            largest = inputs[0].detach().abs().amax(-1).flatten()
            seen[name].append(largest.amax()[None] if whole else largest)

        return look

    said(model, batches, {name: looking(name) for name in seen})
    found = {}
    for name, parts in seen.items():
        largest = torch.cat(parts).double()
        limit = float(largest.mean() + _DEVIATIONS * largest.std(correction=0))
        found[name] = 127 / limit if limit > 0 else 1.0
    return found


def rounding(factors: Mapping[str, float]) -> dict[str, Any]:
    """Hooks that round inputs in the way that 8 bits with these factors do."""

    def by(alpha: float) -> Any:
        return lambda _, inputs: (torch.clamp(torch.round(inputs[0] * alpha), -127, 127) / alpha, *inputs[1:])

    return {name: by(alpha) for name, alpha in factors.items()}


def said(model: Seq2SeqModel, batches: Sequence[Batch], hooks: Mapping[str, Any]) -> list[Tensor]:
    """The most probable allowed symbol at each step of each target, with hooks before modules."""
    found, target = [], model.target
    assert isinstance(target, TokenSpec), "Marian says symbols"
    with ExitStack() as stack, torch.inference_mode():
        for name, hook in hooks.items():
            stack.callback(model.get_submodule(name).register_forward_pre_hook(hook).remove)
        for batch in batches:
            logits = model.decode(batch.inputs, model.encode(batch.source)).values.clone()
            logits[..., [target.pad, target.start]] = -torch.inf
            found.append(logits.argmax(-1))
    return found
