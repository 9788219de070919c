"""Channel independence (Nie et al. 2023, PatchTST): each channel of a target goes separately through one model for a single channel.

The channels of a source become sources of their own, each with its own past, its own mark of what was observed, its own size, and all that
stands beside the targets; what the model says for them is put together again. So weights are shared, channels cannot be confused, and
there are C times as many examples to learn from.

Unusual here: a source of the wrapped model is (source, channel), and its hypotheses are rows side by side, as the contract wants them. So
its memory is never copied for them; what is re-ordered is the state, whose rows are (source, channel, hypothesis).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Memory, Output, Padded, select_rows
from antiphon.contracts.specs import Spec, ValueSpec
from antiphon.errors import ConfigError

ChannelInputs = Literal["own", "all"]


@dataclass(frozen=True)
class ChannelRows:
    """A state of the wrapped model, whose rows are (source, channel, hypothesis): `width` hypotheses of each source, C channels."""

    inner: Any
    channels: int
    width: int = 1

    def select_rows(self, index: Int[Tensor, " N"]) -> "ChannelRows":
        """Like `sequences.select_rows`, with all channels of a row together. A source keeps its number of hypotheses if possible."""
        return self.grouped(index, self.width if index.shape[0] % self.width == 0 else 1)

    def grouped(self, index: Int[Tensor, " N"], width: int) -> "ChannelRows":
        """A selection of rows, `width` of them for each source."""
        first = index // self.width * (self.channels * self.width) + index % self.width  # where each row's first channel is
        each = first[:, None] + torch.arange(self.channels, device=index.device) * self.width
        places = each.view(index.shape[0] // width, width, self.channels).transpose(1, 2).flatten()
        return replace(self, inner=select_rows(self.inner, places), width=width)


@final
class ChannelIndependent(StepwiseModel):
    """`make(source, target)` builds the StepwiseModel for one channel, whose output layer is its `head`; `say` turns that into a function
    from channels with a vector each, (..., C, D), to the output. The target channels must be the first ones of the source.

    `inputs` says whether a channel reads its own mark and size, or those of all.
    """

    def __init__(
        self,
        make: Callable[[ValueSpec, ValueSpec], Any],
        say: Callable[[nn.Module], Callable[[Tensor], Any]],
        source: ValueSpec,
        target: ValueSpec,
        *,
        inputs: ChannelInputs = "own",
    ):
        super().__init__()
        self.source, self.target, self.channels = source, target, target.channels
        marks, sizes = (source.marks, target.sizes) if inputs == "own" else (0, 0)
        read = _places(self.channels, source.width, own=(source.marks, marks))
        heard = _places(self.channels, target.width, own=(target.width - target.sizes, sizes))
        self._read: Tensor
        self._heard: Tensor
        self.register_buffer("_read", read, persistent=False)
        self.register_buffer("_heard", heard, persistent=False)
        one = ValueSpec(read.shape[1], length=source.length, marks=min(marks, 1))
        self.inner = make(one, ValueSpec(1, heard.shape[1] - 1, target.length, sizes=min(sizes, 1)))
        self.settings = self.inner.settings
        self._head = say(self.inner.head)

    @property
    def longest_source(self) -> int | None:
        """That of the wrapped model."""
        return self.inner.longest_source  # type: ignore[no-any-return]

    @property
    def longest_target(self) -> int | None:
        """That of the wrapped model."""
        return self.inner.longest_target  # type: ignore[no-any-return]

    @property
    def gives_attention(self) -> bool:
        """Whether the wrapped model gives its attention weights."""
        return self.inner.gives_attention  # type: ignore[no-any-return]

    def encode(self, source: Padded) -> Memory:
        """Encode each channel separately. The wrapped model's memory is stored among the projections; states are empty, (B, S, 0)."""
        values = _apart(source.values, self._read).flatten(0, 1)
        return self._joined(self.inner.encode(Padded(values, source.lengths.repeat_interleave(self.channels))))

    def project(self, memory: Memory) -> Memory:
        """The wrapped model's projections for each channel."""
        return self._joined(self.inner.project(memory.projections.inner))

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All steps of all channels; attention weights over the source are averaged over the channels."""
        values = _apart(inputs.values, self._heard).flatten(0, 1)
        apart = Padded(values, inputs.lengths.repeat_interleave(self.channels))
        return self._together(self.inner.decode(apart, memory.projections.inner, attention=attention), 1)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> ChannelRows:
        """The wrapped model's first state for every row and channel."""
        return ChannelRows(self.inner.init_state(memory.projections.inner, beam_size, max_length), self.channels, beam_size)

    def step(self, last: Tensor, memory: Memory, state: ChannelRows, *, attention: bool = False) -> tuple[Output, ChannelRows]:
        """One step of every channel."""
        width = last.shape[0] // memory.mask.shape[0]
        if width != state.width:  # hypotheses begin alike: the first step may have been taken once for all of a source
            state = state.grouped(torch.arange(last.shape[0], device=last.device), width)
        values = _apart(last.unflatten(0, (memory.mask.shape[0], width)), self._heard).flatten(0, 2)  # (B, C, W) rows
        output, inner = self.inner.step(values, memory.projections.inner, state.inner, attention=attention)
        return self._together(output, width), replace(state, inner=inner)

    def _joined(self, memory: Memory) -> Memory:
        """The memory for B * C sources, arranged as a memory for B."""
        own = slice(None, None, self.channels)
        return Memory(memory.states[own, :, :0], memory.mask[own], projections=ChannelRows(memory, self.channels))

    def _together(self, output: Output, width: int) -> Output:
        """Outputs for (B, C, W) rows, arranged as outputs for R rows: features (R, ..., C * D)."""
        rows = (-1, self.channels, width)
        features = output.features.unflatten(0, rows).transpose(1, 2).flatten(0, 1).movedim(1, -2).flatten(-2)
        weights = None if output.attention is None else output.attention.unflatten(0, rows).mean(dim=1).flatten(0, 1)
        return Output(features, self._say, weights)

    def _say(self, features: Float[Tensor, "... N"]) -> Any:
        return self._head(features.unflatten(-1, (self.channels, -1)))


def _places(channels: int, width: int, own: tuple[int, int]) -> Int[Tensor, "C K"]:
    """The indices, among `width` numbers, of each channel's inputs: its value, its own among the numbers (first, count) of which there is
    one per channel, and all other numbers after the values."""
    first, count = own
    each, others = torch.arange(channels)[:, None], torch.arange(channels, width)
    beside = others[(others < first) | (others >= first + count)].expand(channels, -1)
    return torch.cat([each, first + each, beside] if count else [each, beside], dim=1)


def _apart(values: Float[Tensor, "B *rest N"], places: Int[Tensor, "C K"]) -> Float[Tensor, "B C *rest K"]:
    """The inputs of each channel, taken from values."""
    given: Tensor = values.index_select(-1, places.flatten()).unflatten(-1, places.shape)
    return given.movedim(-2, 1)


def check_channels(source: Spec, target: Spec) -> None:
    """Raise ConfigError unless the channels can be treated separately."""
    if not isinstance(source, ValueSpec) or not isinstance(target, ValueSpec):
        raise ConfigError("`model.channels` must be `mixing` when source or target is made of symbols, but is `independent`.")
    if source.channels < target.channels:
        raise ConfigError(
            f"`model.channels` must be `mixing` when the source ({source.channels} channels) does not hold the target's"
            f" ({target.channels}), but is `independent`."
        )
