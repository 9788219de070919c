"""The probability of a target over all its alignments with the states of an encoder, as in a transducer (Graves 2012).

    node (s, u)   u symbols were said when state s is looked at
    blank         from (s, u) to (s + 1, u); the last of them, at the last state behind all symbols, ends the alignment
    label         from (s, u) to (s, u + 1): symbol u + 1 is said

The joiner's logits of all nodes (B, S, U, V) are never in memory at once, nor is what autograd would keep of them. They are made in
chunks, once for the log-probabilities of the two arcs that leave a node, and once more for the gradients, which are those of the forward-
backward algorithm. Unusual here: the second time only nodes are looked at that alignments go through with more than the rounding error of
the precision. Early in training these are most of them, later few, so that learning gets faster as alignments get sharper; the gradient
is the same up to rounding.

Unusual, too: no loop over frames. Along the states the recursion is a cumulative sum in logarithms (as in `search/ctc_prefix.py`), so the
loop is over symbols, of which there are fewer, and both directions take it together. It is in double precision.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from antiphon.layers.linear import product

CHUNK = 1 << 20  # logits made at once: large enough for full matrix speed, small enough to stay near the cache


@dataclass(frozen=True)
class Arcs:
    """Log-probabilities of the arcs that leave each node, and the normalizer of its logits; 0 beyond the lattice."""

    blank: Float[Tensor, "B S U1"]
    label: Float[Tensor, "B S U1"]
    normalizer: Float[Tensor, "B S U1"]


@dataclass(frozen=True)
class Sizes:
    """The number of states and symbols of each row, on the device and on the host."""

    frames: Int[Tensor, " B"]
    lengths: Int[Tensor, " B"]
    rows: tuple[tuple[int, int], ...]

    @staticmethod
    def of(frames: Int[Tensor, " B"], lengths: Int[Tensor, " B"]) -> "Sizes":
        """Sizes with their copy on the host."""
        return Sizes(frames, lengths, tuple(zip(frames.tolist(), lengths.tolist(), strict=True)))


@dataclass(frozen=True)
class Joined:
    """Computes logits for pairs: from sums (..., J) of both sides to (..., V), a logit for each symbol of `size`, in `dtype`."""

    logits_of: Callable[[Float[Tensor, "... J"]], Float[Tensor, "... V"]]
    size: int
    dtype: torch.dtype

    @staticmethod
    def of(weight: Float[Tensor, "V J"], bias: Float[Tensor, " V"]) -> "Joined":
        """The logits tanh(sum) @ weight.T + bias; reuses the memory of the sum."""
        precise = torch.promote_types(bias.dtype, torch.float32)
        return Joined(lambda sides: product(sides.tanh_(), weight).to(precise) + bias, len(bias), precise)


@torch.no_grad()
def arcs_of(
    encoded: Float[Tensor, "B S J"],
    predicted: Float[Tensor, "B U1 J"],
    joined: Joined,
    symbols: Int[Tensor, "B U"],
    sizes: Sizes,
    blank: int,
) -> Arcs:
    """The arcs of every node, computed in chunks; padding of either side costs nothing."""
    B, S, U1 = encoded.shape[0], encoded.shape[1], predicted.shape[1]
    found = torch.zeros(3, B, S, U1, dtype=joined.dtype, device=encoded.device)
    for row, (frames, length) in enumerate(sizes.rows):
        said = symbols[row, :length]
        for first in range(0, frames, step := max(1, CHUNK // (joined.size * (length + 1)))):
            part = slice(first, min(first + step, frames))
            logits = joined.logits_of(encoded[row, part].unsqueeze(1) + predicted[row, : length + 1])
            normalizer = logits.logsumexp(-1)
            found[2, row, part, : length + 1] = normalizer
            found[0, row, part, : length + 1] = logits[..., blank] - normalizer
            label = logits[:, :length].gather(2, said.expand(len(logits), -1).unsqueeze(2)).squeeze(2)
            found[1, row, part, :length] = label - normalizer[:, :length]
    return Arcs(found[0], found[1], found[2])


def forward_scores(arcs: Arcs) -> Float[Tensor, "B S U1"]:
    """The log-probability of all paths from the beginning to each node, in double precision."""
    blank = torch.nn.functional.pad(arcs.blank[:, :-1], (0, 0, 1, 0))
    label = torch.nn.functional.pad(arcs.label[:, :, :-1], (1, 0))
    return _accumulated(_columns(blank), _columns(label)).permute(1, 2, 0)


def both_scores(arcs: Arcs, sizes: Sizes) -> tuple[Float[Tensor, "B S U1"], Float[Tensor, "B S U1"]]:
    """The log-probabilities of all paths from the beginning to each node, and from each node to the end."""
    blank = torch.nn.functional.pad(arcs.blank[:, :-1], (0, 0, 1, 0))
    label = torch.nn.functional.pad(arcs.label[:, :, :-1], (1, 0))
    backwards = _Turned.of(sizes, *arcs.blank.shape[1:])
    entering = torch.cat([_columns(blank), _columns(backwards(arcs.blank))], dim=1)
    rising = torch.cat([_columns(label), _columns(backwards(arcs.label))], dim=1)
    # Backwards the first arc is the one that ends the alignment.
    scores = _accumulated(entering, rising).permute(1, 2, 0)
    before, after = scores.chunk(2)
    return before, backwards(after)


def _columns(table: Float[Tensor, "B S U1"]) -> Float[Tensor, "U1 B S"]:
    """The table with a row of states for each number of symbols, in double precision where the device supports it."""
    precise = torch.float32 if table.device.type == "mps" else torch.float64
    return table.permute(2, 0, 1).to(precise).contiguous()


def _accumulated(entering: Float[Tensor, "U1 N S"], rising: Float[Tensor, "U1 N S"]) -> Float[Tensor, "U1 N S"]:
    """The recursion scores(u, s) = logaddexp(scores(u, s - 1) + entering(u, s), scores(u - 1, s) + rising(u, s)), starting from entering(0,
    0)."""
    so_far = entering.cumsum(2)
    so_far[1:] -= entering[1:, :, :1]  # only the first node begins
    scores = torch.empty_like(so_far)
    scores[0] = so_far[0]
    for symbol in range(1, len(scores)):
        arriving = scores[symbol - 1] + rising[symbol]
        torch.add(torch.logcumsumexp(arriving - so_far[symbol], dim=1), so_far[symbol], out=scores[symbol])
    return scores


@dataclass(frozen=True)
class _Turned:
    """Tables reversed, from each row's last node to its first; reversing twice changes nothing."""

    index: Int[Tensor, "B N"]

    @staticmethod
    def of(sizes: Sizes, states: int, columns: int) -> "_Turned":
        """The source index of each entry; entries beyond a row's end stay in place."""
        device = sizes.frames.device
        state, column = torch.arange(states, device=device), torch.arange(columns, device=device)
        turned_state = torch.where(state < sizes.frames[:, None], sizes.frames[:, None] - 1 - state, state)
        turned_column = torch.where(column <= sizes.lengths[:, None], sizes.lengths[:, None] - column, column)
        return _Turned((turned_state.unsqueeze(2) * columns + turned_column.unsqueeze(1)).flatten(1))

    def __call__(self, table: Float[Tensor, "B S U1"]) -> Float[Tensor, "B S U1"]:
        return table.flatten(1).gather(1, self.index).view_as(table)


def total_scores(arcs: Arcs, scores: Float[Tensor, "B S U1"], sizes: Sizes) -> Float[Tensor, " B"]:
    """The log-probability of each target over all its alignments."""
    rows = torch.arange(len(scores), device=scores.device)
    last = (rows, sizes.frames - 1, sizes.lengths)
    return scores[last] + arcs.blank[last].to(scores.dtype)


class _TransducerLoss(torch.autograd.Function):
    """From the joiner's two sides and its weights to losses (B,)."""

    @staticmethod
    def forward(
        ctx: Any,
        encoded: Tensor,
        predicted: Tensor,
        weight: Tensor,
        bias: Tensor,
        symbols: Tensor,
        sizes: Sizes,
        blank: int,
        fast_emit: float,
    ) -> Tensor:
        device = encoded.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else encoded.dtype
        rows = (encoded.to(dtype), predicted.to(dtype), weight.to(dtype), bias)
        with torch.autocast(device, enabled=False):
            arcs = arcs_of(*rows[:2], Joined.of(*rows[2:]), symbols, sizes, blank)
            if not any(ctx.needs_input_grad[:4]):
                return -total_scores(arcs, forward_scores(arcs), sizes).to(arcs.blank.dtype)
            before, after = both_scores(arcs, sizes)
            total = total_scores(arcs, before, sizes)
        ctx.save_for_backward(*rows, symbols)
        ctx.arcs, ctx.sizes, ctx.blank, ctx.fast_emit, ctx.dtypes = arcs, sizes, blank, fast_emit, (encoded.dtype, weight.dtype)
        ctx.occupied = _occupied(arcs, before, after, total, sizes)
        return -total.to(arcs.blank.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        encoded, predicted, weight, bias, symbols = ctx.saved_tensors
        wanted = _Gradients.of(ctx.needs_input_grad, encoded, predicted, weight, bias)
        blank, label = ctx.occupied
        with torch.autocast(encoded.device.type, enabled=False):
            taken = (blank, label * (1 + ctx.fast_emit))
            _backward(wanted, (encoded, predicted, weight, bias), symbols, ctx.arcs, taken, ctx.blank, upstream)
        return (*wanted.all(ctx.dtypes), None, None, None, None)


def _occupied(
    arcs: Arcs, before: Float[Tensor, "B S U1"], after: Float[Tensor, "B S U1"], total: Float[Tensor, " B"], sizes: Sizes
) -> tuple[Float[Tensor, "B S U1"], Float[Tensor, "B S U1"]]:
    """The probability, given the target, that an alignment takes each arc: the blank's, and the next symbol's."""
    states, columns = before.shape[1:]
    device = before.device
    state, column = torch.arange(states, device=device)[:, None], torch.arange(columns, device=device)
    frames, lengths, never = sizes.frames[:, None, None], sizes.lengths[:, None, None], -torch.inf
    reached = before - total[:, None, None]
    real = (state < frames) & (column <= lengths)
    ending = (state == frames - 1) & (column == lengths)
    next_state = torch.nn.functional.pad(after[:, 1:], (0, 0, 0, 1)).masked_fill(state >= frames - 1, never).masked_fill(ending, 0.0)
    next_column = torch.nn.functional.pad(after[:, :, 1:], (0, 1)).masked_fill(column >= lengths, never)
    blank = (reached + arcs.blank + next_state).masked_fill(~real, never).exp()
    label = (reached + arcs.label + next_column).masked_fill(~real, never).exp()
    return blank.to(arcs.blank.dtype), label.to(arcs.label.dtype)


@dataclass
class _Gradients:
    """Accumulated gradients, for those tensors that need them."""

    encoded: Tensor | None
    predicted: Tensor | None
    weight: Tensor | None
    bias: Tensor | None

    @staticmethod
    def of(wanted: tuple[bool, ...], *tensors: Tensor) -> "_Gradients":
        def zeros(place: int) -> Tensor | None:
            precise = torch.promote_types(tensors[place].dtype, torch.float32)
            return torch.zeros(tensors[place].shape, dtype=precise, device=tensors[place].device) if wanted[place] else None

        return _Gradients(*map(zeros, range(4)))

    def all(self, dtypes: tuple[torch.dtype, torch.dtype]) -> list[Tensor | None]:
        """The gradients in the precisions of their tensors."""
        kinds = (dtypes[0], dtypes[0], dtypes[1], dtypes[1])
        sums = (self.encoded, self.predicted, self.weight, self.bias)
        return [None if found is None else found.to(kind) for found, kind in zip(sums, kinds, strict=True)]


def _backward(
    sums: _Gradients,
    sides: tuple[Tensor, Tensor, Tensor, Tensor],
    symbols: Int[Tensor, "B U"],
    arcs: Arcs,
    taken: tuple[Float[Tensor, "B S U1"], Float[Tensor, "B S U1"]],
    blank: int,
    upstream: Float[Tensor, " B"],
) -> None:
    """Accumulate the gradients: those of a node's logits are (softmax) * (expected visits of the node), minus the expected use of each
    arc."""
    encoded, predicted, weight, bias = sides
    left = taken[0] + taken[1]
    row, state, column = (left > torch.finfo(left.dtype).eps).nonzero(as_tuple=True)
    states, columns = row * encoded.shape[1] + state, row * predicted.shape[1] + column
    said = torch.nn.functional.pad(symbols, (0, 1))[row, column]
    shift = (left[row, state, column].log() - arcs.normalizer[row, state, column]).unsqueeze(1)
    minus = [arc[row, state, column].neg() for arc in taken]
    scale = upstream[row].unsqueeze(1).to(encoded.dtype)
    flat_encoded, flat_predicted = encoded.flatten(0, 1), predicted.flatten(0, 1)
    for first in range(0, len(row), step := max(1, CHUNK // len(bias))):
        part = slice(first, first + step)
        joined = flat_encoded[states[part]].add_(flat_predicted[columns[part]]).tanh_()
        gradient = product(joined, weight).to(shift.dtype).add_(bias).add_(shift[part]).exp_()
        gradient[:, blank] += minus[0][part]
        gradient.scatter_add_(1, said[part].unsqueeze(1), minus[1][part].unsqueeze(1))
        if sums.bias is not None:
            sums.bias += upstream[row[part]].to(shift.dtype) @ gradient
        gradient = gradient.to(joined.dtype)
        if sums.weight is not None:
            sums.weight += product(gradient.T, (joined * scale[part]).T)
        if sums.encoded is None and sums.predicted is None:
            continue
        inner = product(gradient, weight.T).mul_(scale[part]).mul_(1 - joined.square_())
        if sums.encoded is not None:
            sums.encoded.view(-1, encoded.shape[-1]).index_add_(0, states[part], inner.to(sums.encoded.dtype))
        if sums.predicted is not None:
            sums.predicted.view(-1, predicted.shape[-1]).index_add_(0, columns[part], inner.to(sums.predicted.dtype))


def transducer_losses(
    encoded: Float[Tensor, "B S J"],
    predicted: Float[Tensor, "B U1 J"],
    weight: Float[Tensor, "V J"],
    bias: Float[Tensor, " V"],
    symbols: Int[Tensor, "B U"],
    frames: Int[Tensor, " B"],
    lengths: Int[Tensor, " B"],
    blank: int,
    *,
    fast_emit: float = 0.0,
) -> Float[Tensor, " B"]:
    """Negative log-likelihoods of targets in nats, each over all of its alignments, for logits tanh(encoded + predicted) @ weight.T + bias.

    encoded, frames     the encoder's side, and how many states are real; at least one
    predicted           the predictor's side: behind the start, and behind each symbol
    symbols, lengths    what is to be said, and how many symbols that are
    fast_emit           how much more symbols pull than blanks, so that they are said earlier (FastEmit, Yu et al. 2021); in gradients only
    """
    sizes = Sizes.of(frames, lengths)
    result: Tensor = _TransducerLoss.apply(encoded, predicted, weight, bias, symbols, sizes, blank, fast_emit)  # type: ignore[no-untyped-call]
    return result


@torch.no_grad()
def chain_scores(
    encoded: Float[Tensor, "B S J"],
    predicted: Float[Tensor, "B U1 J"],
    joined: Joined,
    symbols: Int[Tensor, "B U"],
    frames: Int[Tensor, " B"],
    lengths: Int[Tensor, " B"],
    blank: int,
) -> Float[Tensor, "B U1"]:
    """The log-probability of each symbol given those before it, over all alignments, and of the end after the last; 0 beyond.

    Arguments as those of `transducer_losses`, of which this is the other side: the sum of a row is the log-probability of its target.
    """
    sizes = Sizes.of(frames, lengths)
    arcs = arcs_of(encoded, predicted, joined, symbols, sizes, blank)
    scores = forward_scores(arcs)
    real = torch.arange(scores.shape[1], device=scores.device) < frames.unsqueeze(1)
    said = (scores + arcs.label).masked_fill(~real.unsqueeze(2), -torch.inf).logsumexp(1)  # (B, U1): each symbol at whichever state
    place = torch.arange(scores.shape[2], device=scores.device)
    begins = torch.where(place == lengths.unsqueeze(1), total_scores(arcs, scores, sizes).unsqueeze(1), said)
    steps = begins - torch.nn.functional.pad(begins[:, :-1], (1, 0))
    return steps.masked_fill(place > lengths.unsqueeze(1), 0.0).to(arcs.blank.dtype)
