"""A client that streams live speech, by any protocol: blocks of sound come in, the transcript so far goes out, within the operator's
limits.

A model that can follow speech is told of each block at once. To another one the whole is given when it has ended, as a recording.
"""

import asyncio
import io
import wave
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Literal, TypeVar, final

import numpy as np
from jaxtyping import Shaped

from antiphon.serving.pool import Pool
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service
from antiphon.serving.sessions import Session

MOST_BYTES = 2**20
"""The most bytes of a block: half a minute at 16,000 samples a second."""

ENCODINGS: Mapping[str, str] = {"pcm_s16le": "<i2", "pcm_s32le": "<i4", "pcm_u8": "u1", "pcm_f32le": "<f4"}
"""The encodings of samples, and their NumPy types."""

_RATES = (1000, 384_000)
_MOST_CHANNELS = 32

T = TypeVar("T")


@final
class Speaker:
    """The sound of one live speech client, in one encoding. Raises RefusedError for an encoding that is not supported."""

    def __init__(self, service: Service, pool: Pool, rate: Any, encoding: str = "pcm_s16le", channels: Any = 1):
        if not isinstance(rate, int) or isinstance(rate, bool) or not _RATES[0] <= rate <= _RATES[1]:
            raise RefusedError(422, f"`sample_rate` must be a whole number from {_RATES[0]:,} to {_RATES[1]:,}, but is {rate!r:.40}.")
        if encoding not in ENCODINGS:
            raise RefusedError(422, f"`encoding` must be one of {', '.join(ENCODINGS)}, but is {encoding!r:.40}.")
        if not isinstance(channels, int) or isinstance(channels, bool) or not 1 <= channels <= _MOST_CHANNELS:
            raise RefusedError(422, f"`channels` must be a whole number from 1 to {_MOST_CHANNELS}, but is {channels!r:.40}.")
        self.pool, self._service, self._rate, self._channels = pool, service, rate, channels
        self._type, self._count = np.dtype(ENCODINGS[encoding]), 0
        self._session: Session | None = None
        self._kept: list[np.ndarray] = []

    async def open(self, *, must_stream: bool = True) -> None:
        """Open the session. `must_stream` refuses a model that cannot stream. Raises RefusedError."""
        assert self.pool.card is not None, "started before"
        if must_stream or self.pool.card.streams:
            self._session = await self.pool.converse(self._rate)

    @property
    def seconds(self) -> float:
        """The duration of the speech so far."""
        return self._count / self._rate

    @property
    def is_full(self) -> bool:
        """Whether the longest duration is reached, so that nothing more is accepted."""
        return self.seconds >= self._service.settings.max_seconds

    async def hear(self, block: bytes) -> dict[str, Any] | None:
        """The transcript so far, after one more block; None where it has not changed. Raises RefusedError."""
        if len(block) > MOST_BYTES:
            raise RefusedError(413, f"A block may have {MOST_BYTES:,} bytes, but this one has {len(block):,}.")
        samples = self._samples(block)
        self._count += len(samples)
        if self._session is not None:
            return await self._session.hear(samples)
        if samples.itemsize * self._channels * self._count > self._service.settings.max_body:
            raise RefusedError(
                413, f"The speech that is kept of a client may have {self._service.settings.max_body:,} bytes, but this has more."
            )
        self._kept.append(samples)
        return None

    async def end(self, hot_words: Sequence[str] = ()) -> dict[str, Any]:
        """The final transcript: `text`, and `words`. Raises RefusedError.

        hot_words   phrases to prefer, for a model that hears the whole at once; as many as it can write
        """
        if self._session is not None:
            found = await self._session.end()
            return {"text": found["text"], "words": found["words"]}
        if not self._count:
            return {"text": "", "words": []}
        found = await self._predicted(hot_words)
        return {"text": str(found["prediction"]), "words": found.get("words", [])}

    def close(self) -> None:
        """Discard the session; may be called at any time."""
        self._kept.clear()
        if self._session is not None:
            self._session.close()

    def _samples(self, block: bytes) -> Shaped[np.ndarray, "N C"]:
        size = self._type.itemsize * self._channels
        if len(block) % size:
            raise RefusedError(422, f"A block must have whole samples, of {size} bytes, but has {len(block):,} bytes.")
        return np.frombuffer(block, self._type).reshape(-1, self._channels)

    async def _predicted(self, hot_words: Sequence[str]) -> dict[str, Any]:
        assert self.pool.card is not None, "started before"
        record = {self.pool.card.columns[0]: self._recording()}
        if hot_words:
            (found,) = await self._service.predict(self.pool.served.name, [{**record, "hot_words": list(hot_words)}])
            if "error" not in found:  # as of a name that the vocabulary cannot write
                return found
        (found,) = await self._service.predict(self.pool.served.name, [record])
        if "error" in found:
            raise RefusedError(422, str(found["error"]))
        return found

    def _recording(self) -> bytes:
        """The whole speech as an audio file."""
        samples, file = np.concatenate(self._kept), io.BytesIO()
        if samples.dtype.kind == "f":
            samples = np.round(np.clip(samples.astype(np.float64), -1.0, 1.0) * (2**31 - 1)).astype("<i4")
        with wave.open(file, "wb") as written:
            written.setnchannels(self._channels)
            written.setsampwidth(samples.dtype.itemsize)
            written.setframerate(self._rate)
            written.writeframes(samples.tobytes())
        return file.getvalue()


async def next_word(service: Service, reading: Awaitable[T]) -> tuple[T | None, Literal["", "idle", "shutdown"]]:
    """The client's next message, or the reason why the server no longer waits for it."""
    word, closing = asyncio.ensure_future(reading), asyncio.ensure_future(service.closing.wait())
    try:
        await asyncio.wait({word, closing}, timeout=service.settings.idle, return_when=asyncio.FIRST_COMPLETED)
        if word.done():
            return word.result(), ""
        return None, "shutdown" if closing.done() else "idle"
    finally:
        word.cancel()
        closing.cancel()
