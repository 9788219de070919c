"""The log-probability that CTC frames give to sequences, over all alignments: of each symbol given those before it, and of the end.

Unusual here: one loop over the frames (Graves et al. 2006) serves all symbols of all sequences. The probability of whatever begins with the
first t symbols is the sum over frames of what arrives at the t-th symbol there for the first time, so it is summed up on the way. Only
the columns of symbols that are asked for are read, in single precision; sums over alignments are in double precision where the device
has it.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.contracts.sequences import Frames

IMPOSSIBLE = -1e6  # stands for the log-probability of what cannot be said, so that differences remain numbers
_NEVER = -float("inf")


def precise(device: torch.device) -> torch.dtype:
    """The widest floating type of a device."""
    return torch.float32 if device.type == "mps" else torch.float64


def chain(frames: Frames, blank: int, symbols: Int[Tensor, "R T"], lengths: Int[Tensor, " R"]) -> Float[Tensor, "R T1"]:
    """The log-probability of each symbol given those before it, and of the end after the last; 0 beyond. R = B * W.

    Their sum is the log-probability of the whole sequence.
    """
    (R, T), dtype = symbols.shape, precise(symbols.device)
    repeats = torch.nn.functional.pad(symbols[:, 1:] == symbols[:, :-1], (1, 0)) if T else symbols.bool()
    by_blank = torch.full((R, T + 1), _NEVER, dtype=dtype, device=symbols.device)  # after t symbols, ending in a blank
    by_symbol, begun = by_blank.clone(), by_blank.clone()  # ending in the t-th symbol; all that begins with t symbols
    by_blank[:, 0] = begun[:, 0] = 0.0
    some = max(1, _AT_ONCE // max(R * T, 1))
    for first in range(0, frames.mask.shape[1], some):
        emitted, blanks = _emissions(frames, slice(first, first + some), blank, symbols, dtype)
        for frame in range(len(emitted)):
            either = torch.logaddexp(by_blank, by_symbol)
            arriving = torch.where(repeats, by_blank[:, :-1], either[:, :-1])
            by_symbol[:, 1:] = torch.logaddexp(arriving, by_symbol[:, 1:]).add_(emitted[frame])
            emitted[frame].add_(arriving)
            by_blank = either.add_(blanks[frame].unsqueeze(1))
        begun[:, 1:] = torch.logaddexp(begun[:, 1:], emitted.logsumexp(0))
    whole = torch.logaddexp(by_blank, by_symbol).clamp(min=IMPOSSIBLE)
    begun = begun.clamp(min=IMPOSSIBLE)
    after = torch.cat([begun[:, 1:], whole[:, -1:]], dim=1)  # what comes last is replaced, where it is the end
    place = torch.arange(T + 1, device=symbols.device)
    steps = torch.where(place == lengths.unsqueeze(1), whole, after) - begun
    return steps.masked_fill(place > lengths.unsqueeze(1), 0.0)


_AT_ONCE = 2**21  # numbers that are read of the frames at once


def _emissions(
    frames: Frames, where: slice, blank: int, symbols: Int[Tensor, "R T"], dtype: torch.dtype
) -> tuple[Float[Tensor, "S R T"], Float[Tensor, "S R"]]:
    """The log-probabilities of the symbols, and of a blank, at some frames. After a source's end a blank is certain, which changes
    nothing."""
    logits, mask = frames.logits[:, where].float(), frames.mask[:, where]
    (B, S, _), (R, T) = logits.shape, symbols.shape
    norm = logits.logsumexp(-1, keepdim=True)
    said = logits.gather(2, symbols.reshape(B, 1, -1).expand(-1, S, -1)) - norm
    said = said.masked_fill_(~mask.unsqueeze(2), _NEVER).to(dtype)  # (B, S, W * T)
    blanks = (logits[..., blank : blank + 1] - norm).masked_fill_(~mask.unsqueeze(2), 0.0).to(dtype).expand(-1, -1, R // B)
    return said.transpose(0, 1).reshape(S, R, T), blanks.transpose(0, 1).reshape(S, R)
