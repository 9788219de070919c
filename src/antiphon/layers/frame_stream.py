"""Encoders that follow a recording while it is made: frames in, states out, the same as if all frames had been there at once.

What is kept: the keys and values of all states so far and the last inputs of each convolution (Conformer), or the recurrent state (LSTM),
and of the frames the last group, which the next one's subsampling looks back at. So every frame is computed once.

An encoder must be in chunks (`chunk`), and not training. A stream is no module and belongs to one recording.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import glu, pad, scaled_dot_product_attention, silu

from antiphon.contracts.sequences import Padded
from antiphon.layers.conformer_layers import ConformerBlock, ConformerEncoder
from antiphon.layers.convolution import ConvolutionModule, MaskedBatchNorm
from antiphon.layers.positions import rotate
from antiphon.layers.recurrent import RecurrentStack, RecurrentState
from antiphon.layers.subsampling import ConvolutionalSubsampling, StackedFrames


class FrameStream(ABC):
    """Frames of one recording, (S, C) at a time, to states (S', D); they come a chunk at a time."""

    def __init__(self, subsampling: ConvolutionalSubsampling | StackedFrames, channels: int, chunk: int):
        self.subsampling, self.frames_per_chunk = subsampling, chunk * subsampling.factor
        weight = subsampling.out.weight
        self.waiting = weight.new_zeros(0, channels)
        self.context = weight.new_zeros(0, channels)
        self.nothing = weight.new_zeros(0, subsampling.dim)

    @torch.inference_mode()
    def feed(self, frames: Float[Tensor, "S C"]) -> Float[Tensor, "S2 D"]:
        """The states of the chunks that are complete with these frames; (0, D) when none is."""
        self.waiting = torch.cat([self.waiting, frames.to(self.waiting)])
        found = [self.nothing]
        while len(self.waiting) >= self.frames_per_chunk:
            found.append(self._chunk(self.waiting[: self.frames_per_chunk]))
            self.waiting = self.waiting[self.frames_per_chunk :]
        return torch.cat(found)

    @torch.inference_mode()
    def finish(self) -> Float[Tensor, "S2 D"]:
        """The states of the last chunk, which is not complete."""
        rest, self.waiting = self.waiting, self.waiting[:0]
        return self._chunk(rest) if len(rest) else self.nothing

    def _chunk(self, frames: Float[Tensor, "S C"]) -> Float[Tensor, "S2 D"]:
        window = torch.cat([self.context, frames])  # subsampling looks back, but no further than one group
        subsampled = self.subsampling(Padded(window.unsqueeze(0), torch.tensor([len(window)], device=window.device)))
        known = len(self.context) // self.subsampling.factor
        self.context = frames[-self.subsampling.factor :]
        return self._states(subsampled.values[:, known:]).squeeze(0)

    @abstractmethod
    def _states(self, frames: Float[Tensor, "1 S D"]) -> Float[Tensor, "1 S D"]:
        """The encoder's states for the next subsampled frames."""


@dataclass(frozen=True)
class _Past:
    """What a block looks back at. `inputs` are those of its convolution, behind the gate."""

    keys: Float[Tensor, "1 H S K"]
    values: Float[Tensor, "1 H S K"]
    inputs: Float[Tensor, "1 P D"] | None


@final
class ConformerStream(FrameStream):
    """A Conformer or Transformer encoder in chunks."""

    def __init__(self, encoder: ConformerEncoder, channels: int):
        assert encoder.shape.chunk is not None, "only an encoder in chunks can follow a recording"
        super().__init__(encoder.subsampling, channels, encoder.shape.chunk)
        self.encoder = encoder
        self.past: dict[int, _Past] = {}
        self.position = 0

    def _states(self, frames: Float[Tensor, "1 S D"]) -> Float[Tensor, "1 S D"]:
        x = frames
        for number, block in enumerate(self.encoder.blocks):
            assert isinstance(block, ConformerBlock), "an encoder is made of blocks"
            x, self.past[number] = self._block(block, x, self.past.get(number))
        self.position += frames.shape[1]
        return x

    def _block(self, block: ConformerBlock, x: Float[Tensor, "1 S D"], past: _Past | None) -> tuple[Float[Tensor, "1 S D"], _Past]:
        half = 1.0 if block.first is None else 0.5
        if block.first is not None:
            x = x + half * block.first(block.first_norm(x))
        attended, keys, values = self._attended(block, block.attention_norm(x), past)
        x = x + attended
        inputs = None
        if block.convolution is not None:
            convolved, inputs = _convolved(block.convolution, block.convolution_norm(x), None if past is None else past.inputs)
            x = x + convolved
        x = x + half * block.feed_forward(block.feed_forward_norm(x))
        return block.norm(x), _Past(keys, values, inputs)

    def _attended(self, block: ConformerBlock, x: Float[Tensor, "1 S D"], past: _Past | None) -> tuple[Tensor, Tensor, Tensor]:
        """Attention to all states so far and to each other."""
        attention = block.attention
        positions = self.position + torch.arange(x.shape[1], device=x.device)
        heads = attention.query_key_value(x).unflatten(-1, (3, attention.heads, attention.head_dim))
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)
        if self.encoder.rotary is not None:
            rotation = self.encoder.rotary.angles(positions)
            queries, keys = rotate(queries, *rotation), rotate(keys, *rotation)
        if past is not None:
            keys, values = torch.cat([past.keys, keys], dim=2), torch.cat([past.values, values], dim=2)
        biases = None
        if self.encoder.bias is not None:
            biases = self.encoder.bias(positions, torch.arange(keys.shape[2], device=x.device)).to(x.dtype)
        mixed = scaled_dot_product_attention(queries, keys, values, attn_mask=biases)
        return attention.out(mixed.transpose(1, 2).flatten(2)), keys, values


def _convolved(module: ConvolutionModule, x: Float[Tensor, "1 S D"], past: Tensor | None) -> tuple[Tensor, Tensor]:
    """The convolution module on states behind those whose inputs are `past`; and the inputs that the next will look back at."""
    before = module.room[0]
    gated = glu(module.expand(x), dim=-1)
    inputs = pad(gated, (0, 0, before, 0)) if past is None else torch.cat([past, gated], dim=1)
    x = module.depthwise(inputs.transpose(1, 2)).transpose(1, 2)
    real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    x = module.norm(x, real) if isinstance(module.norm, MaskedBatchNorm) else module.norm(x)
    return module.contract(silu(x)), inputs[:, inputs.shape[1] - before :]


@final
class RecurrentStream(FrameStream):
    """A recurrent encoder of one direction."""

    def __init__(self, subsampling: ConvolutionalSubsampling | StackedFrames, stack: RecurrentStack, channels: int, chunk: int):
        super().__init__(subsampling, channels, chunk)
        self.stack = stack
        self.state: RecurrentState | None = None

    def _states(self, frames: Float[Tensor, "1 S D"]) -> Float[Tensor, "1 S D"]:
        states: Tensor
        states, self.state = self.stack(frames, None, self.state)
        return states
