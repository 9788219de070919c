"""Audio that arrives block by block, from a microphone or a socket: one channel at the wanted sample rate.

Whether the mix cancels the channels is asked after the first ten seconds and at the end: a pause may cancel by itself.
"""

from collections.abc import Iterable, Iterator
from typing import final

import numpy as np
from jaxtyping import Float

from antiphon.data.audio import open_audio, resampler_between
from antiphon.data.audio_channels import Channel, OneChannel
from antiphon.errors import DataError

_LONG_ENOUGH = 10  # seconds of a stream that hardly are a pause
_NOTHING = np.zeros(0, dtype=np.float32)


@final
class StreamResampler:
    """Blocks of samples at one rate -> blocks (N,) float32 at another. Integers are scaled by the range of their type."""

    def __init__(self, have: int, wanted: int, channel: Channel = "mix"):
        if isinstance(have, bool) or not isinstance(have, int | np.integer) or have < 1:
            raise DataError(f"`sample_rate` must be a whole number above 0, but is {have!r}.")
        self.have, self.channel = int(have), channel
        self._resampler = None if self.have == wanted else resampler_between(self.have, wanted)
        self._heard, self._received, self._count = OneChannel(channel), 0, 0

    def of(self, blocks: Iterable[np.ndarray]) -> Iterator[Float[np.ndarray, " N"]]:
        """The resampled blocks, and at the end what the resampler still holds. Raises DataError naming a block that is not audio."""
        for block in blocks:
            yield self.add(block)
        yield self.end()

    def add(self, block: np.ndarray) -> Float[np.ndarray, " N"]:
        """The samples from one more block (N,) or (N, channels). Raises DataError naming the block when it is not audio."""
        self._count += 1
        if len(block) == 0:
            return _NOTHING
        try:
            recording = open_audio(block, self.have)
            recording.hear(self.channel)
            mono = recording.read(self.have, heard=self._heard)
        except DataError as error:
            raise DataError(f"Block {self._count} of the stream: {error}") from error
        self._received += len(mono)
        if self._received >= _LONG_ENOUGH * self.have > self._received - len(mono):
            self._heard.check("The stream", self.have)
        return mono if self._resampler is None else np.asarray(self._resampler.resample_chunk(mono))

    def end(self) -> Float[np.ndarray, " N"]:
        """The samples that the resampler still holds. Raises DataError when the channels cancel each other in the mix."""
        self._heard.check("The stream", self.have)
        return _NOTHING if self._resampler is None else np.asarray(self._resampler.resample_chunk(_NOTHING, last=True))
