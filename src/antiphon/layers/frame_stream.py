"""Encodes a recording while it is still arriving: the states are the same as if all frames had been there at once.

Here frames wait until their chunk is complete; what the encoder looks back at is its own affair (`follow`). So every frame is computed
once, by the layers that also read whole recordings.

An encoder must be in chunks (`chunk`), and not training. A stream is no module and belongs to one recording.
"""

from typing import Any, Protocol, final, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.sequences import Padded
from antiphon.layers.subsampling import ConvolutionalSubsampling, StackedFrames


@runtime_checkable
class StreamingEncoder(Protocol):
    """An encoder that can continue: frames (B, S, C) with a past, to states (B, S', D) and the past for the next frames."""

    @property
    def subsampling(self) -> ConvolutionalSubsampling | StackedFrames: ...

    def follow(self, source: Padded, past: Any = None) -> tuple[Padded, Any]: ...


@final
class FrameStream:
    """Turns the frames of one recording, passed as (S, C) at a time, into states (S', D), one chunk at a time."""

    def __init__(self, encoder: StreamingEncoder, channels: int, chunk: int):
        subsampling = encoder.subsampling
        self.encoder, self.frames_per_chunk = encoder, chunk * subsampling.factor
        weight = subsampling.out.weight
        self.waiting = weight.new_zeros(0, channels)
        self.nothing = weight.new_zeros(0, subsampling.dim)
        self.past: Any = None

    @torch.inference_mode()
    def feed(self, frames: Float[Tensor, "S C"]) -> Float[Tensor, "S2 D"]:
        """The states of the chunks that these frames complete; (0, D) when none is complete."""
        self.waiting = torch.cat([self.waiting, frames.to(self.waiting)])
        found = [self.nothing]
        while len(self.waiting) >= self.frames_per_chunk:
            found.append(self._chunk(self.waiting[: self.frames_per_chunk]))
            self.waiting = self.waiting[self.frames_per_chunk :]
        return torch.cat(found)

    @torch.inference_mode()
    def finish(self) -> Float[Tensor, "S2 D"]:
        """The states of the last chunk, which is incomplete."""
        rest, self.waiting = self.waiting, self.waiting[:0]
        return self._chunk(rest) if len(rest) else self.nothing

    def _chunk(self, frames: Float[Tensor, "S C"]) -> Float[Tensor, "S2 D"]:
        source = Padded(frames.unsqueeze(0), torch.tensor([len(frames)], device=frames.device))
        states, self.past = self.encoder.follow(source, self.past)
        return states.values.squeeze(0)
