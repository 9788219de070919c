"""When each symbol is spoken: the best alignment of hypotheses with the frames (Viterbi decoding over the states of CTC).

It serves every hypothesis of a model that says something of frames, also those that attention found. The loop is over frames, and all
hypotheses of a batch take it together.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.contracts.sequences import Frames, Hypothesis, pad


@torch.inference_mode()
def with_spans(frames: Frames, blank: int, hypotheses: Sequence[Sequence[Hypothesis]]) -> list[list[Hypothesis]]:
    """The same hypotheses with their `spans`, (T, 2) states of the memory: the first that outputs a symbol, and the one after the last.

    They stay None where no alignment exists: more symbols than states.
    """
    pairs = [(row, item) for row, own in enumerate(hypotheses) for item in own]
    if not pairs:
        return [list(own) for own in hypotheses]
    device = frames.mask.device
    labels = pad([np.asarray(item.elements, dtype=np.int64) for _, item in pairs])
    rows = torch.tensor([row for row, _ in pairs], device=device)
    log_probs = frames.logits.float().log_softmax(-1)
    found = best_alignment(log_probs, frames.mask.sum(1), rows, labels.values.to(device), labels.lengths.to(device), blank)
    spanned = iter([replace(item, spans=spans) for (_, item), spans in zip(pairs, found, strict=True)])
    return [[next(spanned) for _ in own] for own in hypotheses]


def best_alignment(
    log_probs: Float[Tensor, "B S V"],
    frames: Int[Tensor, " B"],
    rows: Int[Tensor, " N"],
    labels: Int[Tensor, "N T"],
    lengths: Int[Tensor, " N"],
    blank: int,
) -> list[np.ndarray | None]:
    """Spans (T, 2) of N label sequences; sequence n is aligned with row `rows[n]`. None where there are too few frames."""
    N, T = labels.shape
    S = log_probs.shape[1]
    states = torch.full((N, 2 * T + 1), blank, dtype=torch.int64, device=labels.device)
    states[:, 1::2] = labels
    skips = torch.zeros_like(states, dtype=torch.bool)  # a blank may be left out between symbols that differ
    skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    never = -float("inf")
    scores = log_probs.new_full((N, 2 * T + 1), never)
    came_from = torch.zeros(S, N, 2 * T + 1, dtype=torch.int8)
    for frame in range(S):
        emitted = log_probs[:, frame][rows].gather(1, states)
        if frame == 0:
            scores[:, :2] = emitted[:, :2]
            continue
        one = torch.nn.functional.pad(scores[:, :-1], (1, 0), value=never)
        two = torch.nn.functional.pad(scores[:, :-2], (2, 0), value=never)[:, : 2 * T + 1].masked_fill(~skips, never)
        best, step = torch.stack([scores, one, two]).max(0)
        inside = (frame < frames[rows]).unsqueeze(1)
        scores = torch.where(inside, best + emitted, scores)
        came_from[frame] = step.to(torch.int8).cpu()
    ends = torch.stack([scores.gather(1, 2 * lengths[:, None]), scores.gather(1, (2 * lengths[:, None] - 1).clamp(min=0))]).squeeze(2)
    return _traced(came_from.numpy(), ends.float().cpu().numpy(), frames[rows].tolist(), lengths.tolist())


def _traced(came_from: np.ndarray, ends: np.ndarray, frames: list[int], lengths: list[int]) -> list[np.ndarray | None]:
    """Trace back from the better of the two ends: a blank after the last symbol, or that symbol."""
    found: list[np.ndarray | None] = []
    for number, (last, length) in enumerate(zip(frames, lengths, strict=True)):
        if not np.isfinite(ends[:, number]).any():
            found.append(None)
            continue
        state = 2 * length if ends[0, number] >= ends[1, number] or length == 0 else 2 * length - 1
        spans = np.zeros((length, 2), dtype=np.int64)
        for frame in range(last - 1, -1, -1):
            if state % 2:
                symbol = state // 2
                spans[symbol, 0] = frame
                spans[symbol, 1] = spans[symbol, 1] or frame + 1
            state -= int(came_from[frame, number, state])
        found.append(spans)
    return found
