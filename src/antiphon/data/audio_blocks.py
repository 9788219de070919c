"""Sound that arrives block by block, from a microphone or a socket: one channel at the sample rate that is asked for.

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


@final
class StreamResampler:
    """Blocks of samples at one rate -> blocks (N,) float32 at another. Whole numbers are taken at their scale."""

    def __init__(self, have: int, wanted: int, channel: Channel = "mix"):
        if isinstance(have, bool) or not isinstance(have, int | np.integer) or have < 1:
            raise DataError(f"`sample_rate` must be a whole number above 0, but is {have!r}.")
        self.have, self.channel = int(have), channel
        self._resampler = None if self.have == wanted else resampler_between(self.have, wanted)

    def of(self, blocks: Iterable[np.ndarray]) -> Iterator[Float[np.ndarray, " N"]]:
        """The samples of each block, and at the end what the resampler still holds. Raises DataError naming a block that is no sound."""
        heard, received = OneChannel(self.channel), 0
        for number, block in enumerate(blocks, 1):
            if len(block) == 0:
                continue
            try:
                recording = open_audio(block, self.have)
                recording.hear(self.channel)
                mono = recording.read(self.have, heard=heard)
            except DataError as error:
                raise DataError(f"Block {number} of the stream: {error}") from error
            received += len(mono)
            if received >= _LONG_ENOUGH * self.have > received - len(mono):
                heard.check("The stream", self.have)
            yield mono if self._resampler is None else np.asarray(self._resampler.resample_chunk(mono))
        heard.check("The stream", self.have)
        if self._resampler is not None:
            yield np.asarray(self._resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
