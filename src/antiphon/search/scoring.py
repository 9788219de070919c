"""Scores given targets: the log-probability of an output that is not the model's own. One teacher-forced pass, no search.

Of a model without a decoder (CTC), and of a transducer, it is that of all alignments of the target with the states, told symbol by symbol:
of each given those before it. The logits of a batch are never in memory at once.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.sequences import Frames, Hypothesis, Output, Padded, pad
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError, DataError
from antiphon.heads.steps import said_of
from antiphon.search.ctc_chain import chain
from antiphon.search.hypotheses import hypothesis
from antiphon.search.preparation import token_target
from antiphon.search.transducer_path import Chains, Transduces

_IMPOSSIBLE = -1e5  # a log-probability over alignments below this one means that there is none


@torch.inference_mode()
def score(model: Seq2SeqModel, source: Padded, targets: Sequence[np.ndarray], *, alignment: bool = False) -> list[Hypothesis]:
    """Score one target per source, (T,) symbols without start and end; returns a hypothesis for each, whose score is its log-probability.

    The log-probability includes that of the end symbol, as in every search. To score several targets of a source, repeat its row
    (`select_rows`). With `alignment` a hypothesis has the attention (T, S) of its elements.

    Raises ConfigError when the model writes no symbols, or has no attention that is asked for, DataError when a target holds a symbol
    outside its vocabulary, or more than it can say.
    """
    spec = token_target(model, "Scoring")
    if alignment and not model.gives_attention:
        raise ConfigError("Word alignments need a model with attention, but this model has none. Leave `--alignment` out.")
    assert len(targets) == len(source.lengths), f"{len(source.lengths)} sources need as many targets, not {len(targets)}"
    for row, target in enumerate(targets):
        lowest, highest = (int(target.min()), int(target.max())) if len(target) else (0, 0)
        size = spec.size + spec.open_words
        if lowest < 0 or highest >= size:
            raise DataError(f"Target {row} of the batch must hold symbols from 0 to {size - 1}, but holds {lowest} to {highest}.")
        if model.longest_target is not None and len(target) >= model.longest_target:
            raise DataError(
                f"Target {row} of the batch must have at most {model.longest_target - 1} symbols, which is all that"
                " the model can write, but"
                f" has {len(target)}."
            )
    memory, device = model.encode(source), source.lengths.device
    frames = None if isinstance(model, StepwiseModel | Transduces) else model.frames(memory)
    inputs, labels = teacher_forced(targets, spec, device)
    attention: Tensor | None = None
    if frames is not None:
        table = _over_alignments(frames, spec, targets)
    else:
        output = model.decode(inputs, memory, attention=alignment)
        attention, table = output.attention, _of_output(output, labels, spec)
    rows, lengths = table.cpu().numpy(), labels.lengths.tolist()
    scored = [hypothesis(np.asarray(target, dtype=np.int64), rows[row, : lengths[row]], None, "end") for row, target in enumerate(targets)]
    if attention is None:
        return scored
    weights, widths = attention.float().cpu().numpy(), memory.mask.sum(1).tolist()
    return [replace(one, alignment=weights[row, : len(one.elements), : widths[row]].copy()) for row, one in enumerate(scored)]


def teacher_forced(targets: Sequence[np.ndarray], spec: TokenSpec, device: torch.device) -> tuple[Padded, Padded]:
    """The decoder's inputs and its labels: start symbol and elements; elements and end symbol."""
    inputs = pad([np.concatenate(([spec.start], target)).astype(np.int64) for target in targets], float(spec.pad))
    labels = pad([np.concatenate((target, [spec.end])).astype(np.int64) for target in targets], float(spec.pad))
    return _moved(inputs, device), _moved(labels, device)


def _of_output(output: Output, labels: Padded, spec: TokenSpec) -> Float[Tensor, "B T"]:
    """The log-probability of each label, over all alignments for a transducer's output; 0 on padding."""
    head: Any = output.head
    if not isinstance(head, Chains):
        return _of_labels(output, labels, spec)
    symbols = spec.known(labels.values[:, :-1])
    return head.chain(output.features, symbols, labels.lengths - 1, spec.pad).float()


def _of_labels(output: Output, labels: Padded, spec: TokenSpec) -> Float[Tensor, "B T"]:
    """The log-probability of each label; 0 on padding."""
    mask = labels.mask
    wanted = labels.values[mask]
    found = [_log_probs(said, wanted[part], spec) for part, said in said_of(output, mask)]
    return torch.zeros(mask.shape, device=mask.device).masked_scatter(mask, torch.cat(found))


def _log_probs(logits: Float[Tensor, "N V"], labels: Int[Tensor, " N"], spec: TokenSpec) -> Float[Tensor, " N"]:
    """Log-probabilities of labels; an open word counts as unknown for a model that cannot copy it."""
    logits = logits.float()
    wanted = labels if logits.shape[-1] > spec.size else spec.known(labels)
    return logits.gather(-1, wanted.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)


def _over_alignments(frames: Frames, spec: TokenSpec, targets: Sequence[np.ndarray]) -> Float[Tensor, "B T"]:
    """The log-probability of each symbol and of the end, over all alignments; minus infinity from the point where there is none."""
    symbols = _moved(pad([np.asarray(target, dtype=np.int64) for target in targets], float(spec.pad)), frames.mask.device)
    found = chain(frames, spec.pad, spec.known(symbols.values), symbols.lengths)
    return found.masked_fill(found.cumsum(1) < _IMPOSSIBLE, -float("inf")).float()


def _moved(padded: Padded, device: torch.device) -> Padded:
    values: Tensor = padded.values.to(device)
    return Padded(values, padded.lengths.to(device))
