"""The log-probability of given targets: what a model thinks of somebody else's output. One teacher-forced pass, no search."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Hypothesis, Padded, pad
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import DataError
from antiphon.search.hypotheses import hypothesis
from antiphon.search.preparation import token_target


@torch.inference_mode()
def score(model: Seq2SeqModel, source: Padded, targets: Sequence[np.ndarray]) -> list[Hypothesis]:
    """Score one target per source, (T,) symbols without start and end: a hypothesis each, whose score is its log-probability.

    The log-probability includes that of the end symbol, as in every search. To score several targets of a source, repeat its row
    (`select_rows`).

    Raises ConfigError when the model writes no symbols, DataError when a target holds a symbol outside its vocabulary, or more than it
    can say.
    """
    spec = token_target(model, "Scoring")
    assert len(targets) == len(source.lengths), f"{len(source.lengths)} sources need as many targets, not {len(targets)}"
    for row, target in enumerate(targets):
        lowest, highest = (int(target.min()), int(target.max())) if len(target) else (0, 0)
        size = spec.size + spec.open_words
        if lowest < 0 or highest >= size:
            raise DataError(f"Target {row} of the batch must hold symbols from 0 to {size - 1}, but holds {lowest} to {highest}.")
        if model.longest_target is not None and len(target) >= model.longest_target:
            raise DataError(
                f"Target {row} of the batch must have at most {model.longest_target - 1} symbols, which is all that the model can say, but"
                f" has {len(target)}."
            )
    inputs, labels = teacher_forced(targets, spec, source.lengths.device)
    logits = model.decode(inputs, model.encode(source)).values.float()
    wanted = labels.values if logits.shape[-1] > spec.size else spec.known(labels.values)
    log_probs = logits.gather(-1, wanted.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)
    table, lengths = log_probs.cpu().numpy(), labels.lengths.tolist()
    return [hypothesis(np.asarray(target, dtype=np.int64), table[row, : lengths[row]], None, "end") for row, target in enumerate(targets)]


def teacher_forced(targets: Sequence[np.ndarray], spec: TokenSpec, device: torch.device) -> tuple[Padded, Padded]:
    """What the decoder reads and what it must say: the start symbol and the elements; the elements and the end symbol."""
    inputs = pad([np.concatenate(([spec.start], target)).astype(np.int64) for target in targets], float(spec.pad))
    labels = pad([np.concatenate((target, [spec.end])).astype(np.int64) for target in targets], float(spec.pad))
    return _moved(inputs, device), _moved(labels, device)


def _moved(padded: Padded, device: torch.device) -> Padded:
    values: Tensor = padded.values.to(device)
    return Padded(values, padded.lengths.to(device))
