"""The Conformer encoder (Gulati et al. 2020): attention for global context, convolution for local context, between two half feed-forwards.

    frames -> subsampling -> blocks: x + FFN/2, + self-attention, + convolution, + FFN/2, norm -> states

Unusual here: positions enter by rotation or as attention biases (as in the Transformer of this package), not by the relative encodings of
Transformer-XL. With `chunk`, attention sees the own chunk and those before it, all or `left_chunks`, and convolutions look back only, so
that a state depends on no frame behind its chunk: such an encoder can follow a recording while it is made (Zhang et al. 2020, "Unified
Streaming and Non-streaming Two-pass End-to-end Model", and WeNet, Yao et al. 2021, have these masks and caches). Every layer takes what it
looks back at, and gives what the next frames will: a whole recording is one that has no past.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from antiphon.contracts.sequences import Padded
from antiphon.errors import ConfigError
from antiphon.layers.attention import KeysValues, Rotation, SelfAttention
from antiphon.layers.convolution import ConvolutionModule, ConvolutionNorm
from antiphon.layers.dropout import Dropout
from antiphon.layers.feed_forward import FeedForward
from antiphon.layers.positions import RelativeBias, Rotary
from antiphon.layers.subsampling import Subsampling, build_subsampling, subsampled_behind

FramePositions = Literal["rotary", "relative"]


@dataclass(frozen=True)
class ConformerShape:
    """Sizes and variants of the encoder. `kernel_size` None removes the convolution and one feed-forward: a plain Transformer encoder.

    `inner` are the numbers of blocks, from 1, whose states are given beside the last one's.
    """

    dim: int
    layers: int
    heads: int
    feed_forward_dim: int
    kernel_size: int | None
    norm: ConvolutionNorm = "layer"
    positions: FramePositions = "rotary"
    dropout: float = 0.1
    attention_dropout: float = 0.0
    subsampling: int = 4
    subsampling_kind: Subsampling = "convolution"
    subsampling_width: int = 64
    chunk: int | None = None
    left_chunks: int | None = None
    inner: tuple[int, ...] = ()
    checkpoint_activations: bool = False

    def check(self) -> None:
        """Raise ConfigError for sizes that do not go together."""
        for field in ("dim", "layers", "heads", "feed_forward_dim", "subsampling_width"):
            if getattr(self, field) < 1:
                raise ConfigError(f"`model.{field}` must be at least 1, but is {getattr(self, field)}.")
        if self.dim % self.heads:
            raise ConfigError(f"`model.heads` must divide `model.dim` ({self.dim}), but is {self.heads}.")
        if self.positions == "rotary" and self.dim // self.heads % 2:
            raise ConfigError(f"`model.dim` / `model.heads` must be even for rotary positions, but is {self.dim // self.heads}.")
        if self.kernel_size is not None and (self.kernel_size < 1 or self.kernel_size % 2 == 0):
            raise ConfigError(f"`model.convolution_kernel` must be odd and at least 1, but is {self.kernel_size}.")
        if self.chunk is not None and self.chunk < 1:
            raise ConfigError(f"`model.chunk` must be at least 1, but is {self.chunk}.")
        if self.left_chunks is not None and self.chunk is None:
            raise ConfigError(f"`model.left_chunks` must be left out without a `model.chunk`, but is {self.left_chunks}.")
        if self.left_chunks is not None and self.left_chunks < 0:
            raise ConfigError(f"`model.left_chunks` must be at least 0, but is {self.left_chunks}.")
        if list(self.inner) != sorted(set(self.inner)) or any(not 1 <= number < self.layers for number in self.inner):
            allowed = f"rising numbers of blocks from 1 to {self.layers - 1}, before the last"
            raise ConfigError(f"`model.intermediate_ctc` must be {allowed}, but is {list(self.inner)}.")


class BlockPast(NamedTuple):
    """The past that a block uses: keys and values of P states, and the last inputs of its convolution, if it has one."""

    attended: KeysValues
    convolved: Float[Tensor, "B C D"] | None


@dataclass(frozen=True)
class ConformerPast:
    """The past that an encoder uses: the last group of frames, and the pasts of its blocks."""

    frames: Float[Tensor, "B F C"]
    blocks: tuple[BlockPast, ...]


@final
class ConformerBlock(nn.Module):
    """Half a feed-forward, self-attention, convolution, half a feed-forward, each with a norm before it and a residual around it."""

    stands_alone = True

    def __init__(self, shape: ConformerShape):
        super().__init__()
        dim = shape.dim
        self.feed_forward, self.feed_forward_norm = self._feed_forward(shape), nn.LayerNorm(dim)
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, shape.heads, shape.heads, head_dim=dim // shape.heads, dropout=shape.attention_dropout)
        self.convolution: ConvolutionModule | None = None
        self.first: FeedForward | None = None
        if shape.kernel_size is not None:
            self.convolution = ConvolutionModule(dim, shape.kernel_size, shape.norm, causal=shape.chunk is not None)
            self.convolution_norm = nn.LayerNorm(dim)
            self.first, self.first_norm = self._feed_forward(shape), nn.LayerNorm(dim)
        self.norm = nn.LayerNorm(dim)
        self.dropout = Dropout(shape.dropout)

    @staticmethod
    def _feed_forward(shape: ConformerShape) -> FeedForward:
        return FeedForward(shape.dim, shape.feed_forward_dim, "silu", gated=False, dropout=shape.dropout)

    def forward(
        self,
        x: Float[Tensor, "B S D"],
        mask: Bool[Tensor, "B S"],
        visible: Tensor,
        rotation: Rotation | None,
        past: BlockPast | None = None,
    ) -> tuple[Float[Tensor, "B S D"], BlockPast]:
        """One block over frames that follow a past of P; `visible` and `rotation` are as `SelfAttention.behind` takes them."""
        half = 1.0 if self.first is None else 0.5
        if self.first is not None:
            x = torch.add(x, self.dropout(self.first(self.first_norm(x))), alpha=half)
        found, attended = self.attention.behind(self.attention_norm(x), None if past is None else past.attended, visible, rotation=rotation)
        x, convolved = x + self.dropout(found), None
        if self.convolution is not None:
            found, convolved = self.convolution(self.convolution_norm(x), mask, None if past is None else past.convolved)
            x = x + self.dropout(found)
        x = torch.add(x, self.dropout(self.feed_forward(self.feed_forward_norm(x))), alpha=half)
        return self.norm(x), BlockPast(attended, convolved)


@final
class ConformerEncoder(nn.Module):
    """Frames (B, S, C) -> states (B, S', D), with S' = ceil(S / subsampling)."""

    def __init__(self, shape: ConformerShape, channels: int):
        super().__init__()
        shape.check()
        self.shape = shape
        self.subsampling = build_subsampling(shape.subsampling_kind, channels, shape.dim, shape.subsampling, width=shape.subsampling_width)
        self.dropout = Dropout(shape.dropout)
        self.rotary = Rotary(shape.dim // shape.heads) if shape.positions == "rotary" else None
        self.bias = RelativeBias(shape.heads, bidirectional=True) if shape.positions == "relative" else None
        self.blocks = nn.ModuleList(ConformerBlock(shape) for _ in range(shape.layers))

    def forward(self, source: Padded) -> tuple[Padded, tuple[Float[Tensor, "B S D"], ...]]:
        """The states with their lengths, and the states of the inner blocks in `inner`."""
        frames = self.subsampling(source)
        visible, rotation = self._seen(frames, 0)
        x, inner = self.dropout(frames.values), []
        for number, block in enumerate(self.blocks, start=1):
            if self.shape.checkpoint_activations and self.training and torch.is_grad_enabled():
                x, _ = checkpoint(block, x, frames.mask, visible, rotation, use_reentrant=False)
            else:
                x, _ = block(x, frames.mask, visible, rotation)
            if number in self.shape.inner:
                inner.append(x)
        return Padded(x, frames.lengths), tuple(inner)

    def follow(self, source: Padded, past: ConformerPast | None = None) -> tuple[Padded, ConformerPast]:
        """The states of chunks that continue the given past, equal to those that `forward` computes for the whole; and the past for the
        next chunks.

        Frames (B, S, C) are whole chunks, `chunk * subsampling` frames each, but for the last of a recording: rows may end anywhere, and
        what a row says behind its end has no meaning. The past is as large after an hour as after `left_chunks` chunks.
        """
        assert self.shape.chunk is not None, "only an encoder in chunks can follow a recording"
        frames, kept = subsampled_behind(self.subsampling, source, None if past is None else past.frames)
        visible, rotation = self._seen(frames, 0 if past is None else past.blocks[0].attended.keys.shape[2])
        x, pasts = self.dropout(frames.values), []
        for number, block in enumerate(self.blocks):
            x, found = block(x, frames.mask, visible, rotation, None if past is None else past.blocks[number])
            pasts.append(self._shortened(found))
        return Padded(x, frames.lengths), ConformerPast(kept, tuple(pasts))

    def _shortened(self, past: BlockPast) -> BlockPast:
        """The part of the past that the next chunk may attend to."""
        if self.shape.chunk is None or self.shape.left_chunks is None:
            return past
        first = max(past.attended.keys.shape[2] - self.shape.left_chunks * self.shape.chunk, 0)
        keys, values = past.attended
        return BlockPast(KeysValues(keys[:, :, first:], values[:, :, first:]), past.convolved)

    def _seen(self, frames: Padded, before: int) -> tuple[Tensor, Rotation | None]:
        """The mask of what each frame may attend to, broadcast against (B, H, S, P + S), and rotations (P + S, K); P is `before`.

        A past begins with a chunk, so chunks and positions may be counted from its first frame.
        """
        positions = torch.arange(before + frames.values.shape[1], device=frames.values.device)
        real = frames.mask if before == 0 else torch.nn.functional.pad(frames.mask, (before, 0), value=True)
        visible = real[:, None, None, :]
        if self.shape.chunk is not None:
            chunks = positions // self.shape.chunk
            back = chunks[before:].unsqueeze(1) - chunks
            visible = visible & (back >= 0 if self.shape.left_chunks is None else (back >= 0) & (back <= self.shape.left_chunks))
        rotation = None if self.rotary is None else self.rotary.angles(positions)
        if self.bias is None:
            return visible, rotation
        biases: Tensor = self.bias(positions[before:], positions).to(frames.values.dtype)
        # Not minus infinity: with `left_chunks`, padding far behind a row's end sees nothing at all, and must stay a number.
        return biases.masked_fill(~visible, torch.finfo(biases.dtype).min), rotation
