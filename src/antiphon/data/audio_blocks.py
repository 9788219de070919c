"""Sound that arrives block by block, from a microphone or a socket: one channel at the sample rate that is asked for."""

from collections.abc import Iterable, Iterator
from typing import final

import numpy as np
from jaxtyping import Float

from antiphon.data.audio import open_audio, resampler_between
from antiphon.errors import DataError


@final
class StreamResampler:
    """Blocks of samples at one rate -> blocks (N,) float32 at another. Channels are averaged; whole numbers are taken at their scale."""

    def __init__(self, have: int, wanted: int):
        if isinstance(have, bool) or not isinstance(have, int | np.integer) or have < 1:
            raise DataError(f"`sample_rate` must be a whole number above 0, but is {have!r}.")
        self.have = int(have)
        self._resampler = None if self.have == wanted else resampler_between(self.have, wanted)

    def of(self, blocks: Iterable[np.ndarray]) -> Iterator[Float[np.ndarray, " N"]]:
        """The samples of each block, and at the end what the resampler still holds. Raises DataError naming a block that is no sound."""
        for number, block in enumerate(blocks, 1):
            if len(block) == 0:
                continue
            try:
                mono = open_audio(block, self.have).read(self.have)
            except DataError as error:
                raise DataError(f"Block {number} of the stream: {error}") from error
            yield mono if self._resampler is None else np.asarray(self._resampler.resample_chunk(mono))
        if self._resampler is not None:
            yield np.asarray(self._resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
