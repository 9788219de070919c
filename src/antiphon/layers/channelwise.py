"""Every channel of a target by itself, through one model of a single channel: channel independence (Nie et al. 2023, PatchTST).

The channels of a source become sources of their own, each with its own past and all that stands beside the targets; what the model says
for them is put together again. So weights are shared, channels cannot be confused, and there are C times as many examples to learn from.

Unusual here: a row of the wrapped model is (row, channel), the channels of a row side by side. For the steps of several hypotheses the
memory is repeated, so that the state keeps this order, and `select_rows` of the wrapped state still applies.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Memory, Output, Padded, select_rows
from antiphon.contracts.specs import Spec, ValueSpec
from antiphon.errors import ConfigError


@dataclass(frozen=True)
class ChannelRows:
    """A tree of the wrapped model, whose rows are R * C."""

    inner: Any
    channels: int

    def select_rows(self, index: Int[Tensor, " N"]) -> "ChannelRows":
        """As `sequences.select_rows`, all channels of a row together."""
        rows = (index[:, None] * self.channels + torch.arange(self.channels, device=index.device)).flatten()
        return replace(self, inner=select_rows(self.inner, rows))


@final
class ChannelIndependent(StepwiseModel):
    """`make(source, target)` builds the StepwiseModel of one channel, whose output layer is its `head`; `say` makes of it a function that
    says channels with a vector each, (..., C, D). The target channels must be the first of the source.
    """

    def __init__(
        self,
        make: Callable[[ValueSpec, ValueSpec], Any],
        say: Callable[[nn.Module], Callable[[Tensor], Any]],
        source: ValueSpec,
        target: ValueSpec,
    ):
        super().__init__()
        self.source, self.target, self.channels = source, target, target.channels
        beside = source.channels - target.channels
        self.inner = make(ValueSpec(1 + beside, length=source.length), ValueSpec(1, target.known, target.length))
        self.settings = self.inner.settings
        self._head = say(self.inner.head)

    @property
    def longest_source(self) -> int | None:
        """As the wrapped model."""
        return self.inner.longest_source  # type: ignore[no-any-return]

    @property
    def longest_target(self) -> int | None:
        """As the wrapped model."""
        return self.inner.longest_target  # type: ignore[no-any-return]

    @property
    def gives_attention(self) -> bool:
        """As the wrapped model."""
        return self.inner.gives_attention  # type: ignore[no-any-return]

    def encode(self, source: Padded) -> Memory:
        """Each channel read by itself; states are (B, S, C * D)."""
        return self._joined(self.inner.encode(self._apart(source)))

    def project(self, memory: Memory) -> Memory:
        """What the wrapped model projects, for each channel."""
        return self._joined(self.inner.project(self._divided(memory)))

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All steps of all channels; weights over the source are the mean of theirs."""
        return self._together(self.inner.decode(self._apart(inputs), self._divided(memory), attention=attention))

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> ChannelRows:
        """The wrapped model's first state for every row and channel."""
        return ChannelRows(self.inner.init_state(self._divided(memory, beam_size), 1, max_length), self.channels)

    def step(self, last: Tensor, memory: Memory, state: ChannelRows, *, attention: bool = False) -> tuple[Output, ChannelRows]:
        """One step of every channel."""
        divided = self._divided(memory, len(last) // len(memory.mask))
        output, inner = self.inner.step(self._values_apart(last).flatten(0, 1), divided, state.inner, attention=attention)
        return self._together(output), replace(state, inner=inner)

    def _values_apart(self, values: Tensor) -> Tensor:
        """(B, ..., C + beside) -> (B, C, ..., 1 + beside)."""
        own, beside = values[..., : self.channels], values[..., self.channels :]
        each = own.movedim(-1, 1).unsqueeze(-1)
        return torch.cat([each, beside.unsqueeze(1).expand(-1, self.channels, *beside.shape[1:])], dim=-1)

    def _apart(self, padded: Padded) -> Padded:
        return Padded(self._values_apart(padded.values).flatten(0, 1), padded.lengths.repeat_interleave(self.channels))

    def _joined(self, memory: Memory) -> Memory:
        """A memory of B * C rows as one of B rows."""
        states = memory.states.unflatten(0, (-1, self.channels)).movedim(1, 2).flatten(2)
        return Memory(states, memory.mask[:: self.channels], ChannelRows((memory.final, memory.projections), self.channels))

    def _divided(self, memory: Memory, width: int = 1) -> Memory:
        """A memory of B rows as one of B * width * C rows."""
        if width > 1:
            memory = select_rows(memory, torch.arange(len(memory.mask), device=memory.mask.device).repeat_interleave(width))
        states = memory.states.unflatten(2, (self.channels, -1)).movedim(2, 1).flatten(0, 1)
        return Memory(states, memory.mask.repeat_interleave(self.channels, 0), *memory.final.inner)

    def _together(self, output: Output) -> Output:
        """What was said for R * C rows as what is said for R rows: features (R, ..., C * D)."""
        features = output.features.unflatten(0, (-1, self.channels)).movedim(1, -2).flatten(-2)
        weights = None if output.attention is None else output.attention.unflatten(0, (-1, self.channels)).mean(dim=1)
        return Output(features, self._say, weights)

    def _say(self, features: Float[Tensor, "... N"]) -> Any:
        return self._head(features.unflatten(-1, (self.channels, -1)))


def check_channels(source: Spec, target: Spec) -> None:
    """Raise ConfigError unless channels can be taken apart."""
    if not isinstance(source, ValueSpec) or not isinstance(target, ValueSpec):
        raise ConfigError("`model.channels` must be `mixing` when source or target is made of symbols, but is `independent`.")
    if source.channels < target.channels:
        raise ConfigError(
            f"`model.channels` must be `mixing` when the source ({source.channels} channels) does not hold the target's"
            f" ({target.channels}), but is `independent`."
        )
