"""Joint decoding: every continuation is also ranked by its CTC probability on the encoder's frames (Watanabe et al. 2017).

Unusual here: all symbols are scored, not only the decoder's best few (`ctc_prefix.py`).
"""

from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor

from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.sequences import Frames, Memory, select_rows
from antiphon.errors import ConfigError
from antiphon.search.ctc_prefix import FrameScores, Prefixes, advance, continuations, empty_prefixes, frame_scores
from antiphon.search.preparation import Prepared
from antiphon.search.processors import StepScores
from antiphon.search.scorer import Scorer


@dataclass(frozen=True)
class _Heard:
    """The state of the scorer: frames have a row per source, prefixes one per hypothesis."""

    frames: FrameScores
    prefixes: Prefixes
    width: int
    end: int

    def select_rows(self, index: Int[Tensor, " N"]) -> "_Heard":
        """The selected rows of the prefixes, and the frames of the sources that remain, which never change their order."""
        frames = self.frames
        if len(index) < len(self.prefixes.last):
            frames = select_rows(frames, index[:: self.width] // self.width)
        return replace(self, frames=frames, prefixes=select_rows(self.prefixes, index))


@final
class CTCPrefixScorer(Scorer):
    """Ranks by (1 - weight) times the ranking so far, plus `weight` times the CTC log-probability.

    Summed up over the steps, the frames' part is the log-probability of the prefix, and with the end symbol that of the whole.
    """

    def __init__(self, weight: float):
        self.weight = weight

    def begin(self, model: StepwiseModel, prepared: Prepared, width: int) -> _Heard:
        """The state before the first symbol. Raises ConfigError when the model has no output for frames."""
        frames = frame_scores(frames_of(model, prepared.encoded, "`search.ctc_weight`"), prepared.spec.pad)
        return _Heard(frames, empty_prefixes(frames, width), width, prepared.spec.end)

    def score(self, scores: StepScores, last: Int[Tensor, " R"], state: _Heard) -> tuple[StepScores, _Heard]:
        """The change of the prefix's log-probability for each symbol."""
        gained = continuations(state.frames, state.prefixes, state.end) - state.prefixes.score.unsqueeze(1)
        ranking = (1 - self.weight) * (scores.ranking - scores.ranking_norm) + self.weight * gained.to(scores.ranking.dtype)
        return replace(scores, ranking=ranking, ranking_norm=torch.zeros_like(scores.ranking_norm)), state

    def advance(self, state: _Heard, symbols: Int[Tensor, " R"]) -> _Heard:
        """Each prefix extended by one more symbol."""
        return replace(state, prefixes=advance(state.frames, state.prefixes, symbols))


def frames_of(model: Seq2SeqModel, memory: Memory, reader: str) -> Frames:
    """The model's output for each state of the memory. Raises ConfigError when it has none; `reader` is named in the error."""
    frames = model.frames(memory)
    if frames is None:
        raise ConfigError(f"{reader} needs a model with an output for each frame. Train one with `model.ctc: true`, or `encoder_only`.")
    return frames
