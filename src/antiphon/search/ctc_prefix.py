"""The CTC probability that the output begins with a prefix (Graves 2008; Watanabe et al. 2017), for all next symbols.

For each prefix two rows of numbers are kept: the log-probability that the frames so far say exactly the prefix and the last of them said
its last symbol, or blank. From these follows, for any next symbol, the probability of all sequences that begin so.

Unusual here: no loop over frames. The recursion r(t) = (r(t - 1) + in(t)) * p(t) is a cumulative sum once divided by the product of all p
so far, so a step is a few operations on whole rows, and the sum over frames for all symbols is one matrix product. That divides by numbers
as small as exp(-10000), so all of it is in double precision and in logarithms. What lies behind a source's end is a certain blank, which
changes no probability: no lengths are needed.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.contracts.sequences import Frames

_LEAST = -1e4  # the least log-probability of a symbol at a frame
_NEVER = -1e30  # the log-probability of what cannot be; finite, so that differences are numbers
_FLOOR = -1e6  # the least log-probability of a prefix, so that totals remain comparable where CTC rules all of them out

_EMPTY = -1  # the last symbol of the empty prefix


@dataclass(frozen=True)
class FrameScores:
    """Log-probabilities of each symbol at each frame, in double precision, and the probabilities; padding is a certain blank."""

    log_probs: Float[Tensor, "B S V"]
    probs: Float[Tensor, "B S V"]
    blank: int

    def of(self, symbols: Int[Tensor, " R"]) -> Float[Tensor, "R S"]:
        """The log-probabilities of one symbol for each of R = B * W rows."""
        B, S, _ = self.log_probs.shape
        index = symbols.view(B, -1, 1).clamp(min=0).expand(-1, -1, S)
        return self.log_probs.transpose(1, 2).gather(1, index).flatten(0, 1)


@dataclass(frozen=True)
class Prefixes:
    """R = B * W prefixes. `score` is the log-probability of all sequences with this prefix; the other tensors have a value after each
    frame."""

    symbol_ending: Float[Tensor, "R S"]
    blank_ending: Float[Tensor, "R S"]
    last: Int[Tensor, " R"]
    score: Float[Tensor, " R"]

    @property
    def whole(self) -> Float[Tensor, " R"]:
        """The log-probability of the prefix as the complete output."""
        return torch.logaddexp(self.symbol_ending[:, -1], self.blank_ending[:, -1]).clamp(min=_FLOOR)


def frame_scores(frames: Frames, blank: int) -> FrameScores:
    """The model's outputs for frames, prepared for scoring prefixes."""
    log_probs = frames.logits.double().log_softmax(-1).clamp(min=_LEAST)
    behind = torch.full_like(log_probs[:1, :1], _LEAST)
    behind[..., blank] = 0.0
    log_probs = torch.where(frames.mask.unsqueeze(-1), log_probs, behind)
    return FrameScores(log_probs, log_probs.exp(), blank)


def empty_prefixes(frames: FrameScores, width: int) -> Prefixes:
    """Empty prefixes, `width` for each source."""
    blanks = frames.log_probs[..., frames.blank].cumsum(1).repeat_interleave(width, dim=0)
    rows = len(blanks)
    nothing = torch.full((rows,), _EMPTY, dtype=torch.int64, device=blanks.device)
    return Prefixes(torch.full_like(blanks, _NEVER), blanks, nothing, blanks.new_zeros(rows))


def continuations(frames: FrameScores, prefixes: Prefixes, end: int) -> Float[Tensor, "R V"]:
    """For each symbol, the log-probability of all sequences that begin with the prefix and that symbol; at `end`, of the prefix as a
    whole."""
    B, S, V = frames.probs.shape
    after_any, after_blank = _arrivals(prefixes)
    peak = after_any.amax(1, keepdim=True)
    weights = (after_any - peak).exp().view(B, -1, S)
    scores = (weights @ frames.probs).view(-1, V).log() + peak
    repeated = (after_blank + frames.of(prefixes.last)).logsumexp(1, keepdim=True)
    scores.scatter_(1, prefixes.last.clamp(min=0).unsqueeze(1), torch.where((prefixes.last >= 0).unsqueeze(1), repeated, scores[:, :1]))
    scores[:, frames.blank] = _NEVER
    scores[:, end] = prefixes.whole
    return scores.clamp(min=_FLOOR)


def advance(frames: FrameScores, prefixes: Prefixes, symbols: Int[Tensor, " R"]) -> Prefixes:
    """Each prefix extended by one more symbol."""
    after_any, after_blank = _arrivals(prefixes)
    arriving = torch.where((symbols == prefixes.last).unsqueeze(1), after_blank, after_any)
    emitted = frames.of(symbols)
    symbol_ending = _accumulated(arriving, emitted)
    blank_ending = _accumulated(_shifted(symbol_ending), frames.of(torch.full_like(symbols, frames.blank)))
    return Prefixes(symbol_ending, blank_ending, symbols, (arriving + emitted).logsumexp(1).clamp(min=_FLOOR))


def _arrivals(prefixes: Prefixes) -> tuple[Float[Tensor, "R S"], Float[Tensor, "R S"]]:
    """Before each frame, the log-probability that the prefix is complete, with any last frame, and with a blank as the last one.

    Before the first frame the empty prefix has been said, and nothing stands between it and any symbol.
    """
    first = torch.where(prefixes.last == _EMPTY, 0.0, _NEVER).to(prefixes.score.dtype)
    after_blank = torch.cat([first.unsqueeze(1), prefixes.blank_ending[:, :-1]], dim=1)
    return torch.logaddexp(after_blank, _shifted(prefixes.symbol_ending)), after_blank


def _shifted(scores: Float[Tensor, "R S"]) -> Float[Tensor, "R S"]:
    return torch.nn.functional.pad(scores[:, :-1], (1, 0), value=_NEVER)


def _accumulated(arriving: Float[Tensor, "R S"], emitted: Float[Tensor, "R S"]) -> Float[Tensor, "R S"]:
    """The recursion r(t) = log(exp(r(t - 1)) + exp(arriving(t))) + emitted(t)."""
    so_far = emitted.cumsum(1)
    return so_far + torch.logcumsumexp(arriving - (so_far - emitted), dim=1)
