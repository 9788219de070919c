"""The Conformer encoder (Gulati et al. 2020): attention for what is far, convolution for what is near, between two half feed-forwards.

    frames -> subsampling -> blocks: x + FFN/2, + self-attention, + convolution, + FFN/2, norm -> states

Unusual here: positions enter by rotation or as attention biases (as in the Transformer of this package), not by the relative encodings of
Transformer-XL. With `chunk`, attention sees the own chunk and all before it, and convolutions look back only, so that a state depends on
no frame behind its chunk: such an encoder can follow a recording while it is made.
"""

from dataclasses import dataclass
from typing import Literal, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from antiphon.contracts.sequences import Padded
from antiphon.errors import ConfigError
from antiphon.layers.attention import Rotation, SelfAttention
from antiphon.layers.convolution import ConvolutionModule, ConvolutionNorm
from antiphon.layers.dropout import Dropout
from antiphon.layers.feed_forward import FeedForward
from antiphon.layers.positions import RelativeBias, Rotary
from antiphon.layers.subsampling import Subsampling, build_subsampling

FramePositions = Literal["rotary", "relative"]


@dataclass(frozen=True)
class ConformerShape:
    """Sizes and variations of the encoder. `kernel_size` None leaves the convolution and one feed-forward out: a plain Transformer encoder.

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
    inner: tuple[int, ...] = ()
    checkpoint_activations: bool = False

    def check(self) -> None:
        """Raise ConfigError for sizes that do not fit each other."""
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
        if list(self.inner) != sorted(set(self.inner)) or any(not 1 <= number < self.layers for number in self.inner):
            allowed = f"rising numbers of blocks from 1 to {self.layers - 1}, before the last"
            raise ConfigError(f"`model.intermediate_ctc` must be {allowed}, but is {list(self.inner)}.")


@final
class ConformerBlock(nn.Module):
    """Half a feed-forward, self-attention, convolution, half a feed-forward, each with a norm before it and a residual around it."""

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
        self, x: Float[Tensor, "B S D"], mask: Bool[Tensor, "B S"], visible: Tensor, rotation: Rotation | None
    ) -> Float[Tensor, "B S D"]:
        """One block over all frames; `visible` says what attention may see, as `SelfAttention` takes it."""
        half = 1.0 if self.first is None else 0.5
        if self.first is not None:
            x = x + half * self.dropout(self.first(self.first_norm(x)))
        x = x + self.dropout(self.attention(self.attention_norm(x), visible, rotation=rotation))
        if self.convolution is not None:
            x = x + self.dropout(self.convolution(self.convolution_norm(x), mask))
        x = x + half * self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return self.norm(x)  # type: ignore[no-any-return]


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
        """The states with their lengths, and those of the inner blocks that were asked for."""
        frames = self.subsampling(source)
        positions = torch.arange(frames.values.shape[1], device=frames.values.device)
        visible = self._visible(frames.mask, positions, frames.values.dtype)
        rotation = None if self.rotary is None else self.rotary.angles(positions)
        x, inner = self.dropout(frames.values), []
        for number, block in enumerate(self.blocks, start=1):
            if self.shape.checkpoint_activations and self.training and torch.is_grad_enabled():
                x = checkpoint(block, x, frames.mask, visible, rotation, use_reentrant=False)
            else:
                x = block(x, frames.mask, visible, rotation)
            if number in self.shape.inner:
                inner.append(x)
        return Padded(x, frames.lengths), tuple(inner)

    def _visible(self, mask: Bool[Tensor, "B S"], positions: Tensor, dtype: torch.dtype) -> Tensor:
        """What each frame may attend to, broadcast against (B, H, S, S)."""
        visible = mask[:, None, None, :]
        if self.shape.chunk is not None:
            chunks = positions // self.shape.chunk
            visible = visible & (chunks.unsqueeze(0) <= chunks.unsqueeze(1))
        if self.bias is None:
            return visible
        biases: Tensor = self.bias(positions, positions).to(dtype)
        return biases.masked_fill(~visible, float("-inf"))
