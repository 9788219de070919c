"""Selects a channel of a recording, or mixes all to their mean, and detects channels that cancel each other in the mix.

Two channels in opposite phase (a microphone wired the wrong way round) have a mix that is silent although both are loud.
"""

from typing import Any, Literal, TypeAlias, final

import numpy as np
from jaxtyping import Float

from antiphon.errors import DataError

Channel: TypeAlias = int | Literal["mix"]
"""A channel, counted from 1, or the mean of all."""

_CANCELLED = 1e-2  # of the channels' power: what is left where they differ by little more than their sign
_QUIET = 10 ** (-65 / 10)  # power below which channels hold nothing that could be lost
_SHORTEST = 0.1  # seconds, below which samples may cancel by chance


def channel_of(value: Any, name: str) -> Channel:
    """A channel as written in the column `name`: a number from 1, or `mix`, which an empty cell means, too. Raises DataError otherwise."""
    whole = isinstance(value, float) and value.is_integer()  # as a table has numbers of which some are missing
    text = "" if value is None else str(int(value) if whole else value).strip()
    if text in ("", "mix"):
        return "mix"
    if not text.isdecimal() or int(text) < 1:
        raise DataError(f"`{name}` must be a channel, counted from 1, or `mix`, but is {value!r}.")
    return int(text)


@final
class OneChannel:
    """Reduces blocks of samples of all channels to one; what the mix has lost is known at the end."""

    def __init__(self, channel: Channel):
        self.channel = channel
        self._samples, self._mixed, self._power = 0, 0.0, 0.0

    def of(self, samples: Float[np.ndarray, "N C"]) -> Float[np.ndarray, " N"]:
        """The selected channel."""
        if self.channel != "mix":
            return samples[:, self.channel - 1]
        if samples.shape[1] == 1:
            return samples[:, 0]
        mixed = samples.mean(axis=1)
        self._samples += len(samples)
        self._mixed += float(np.square(mixed).sum(dtype=np.float64))
        self._power += float(np.square(samples).sum(dtype=np.float64)) / samples.shape[1]
        return np.asarray(mixed)

    def check(self, name: str, sample_rate: int) -> None:
        """Raise DataError if the mix so far is silent, but its channels are not."""
        heard = self._samples >= _SHORTEST * sample_rate and self._power > _QUIET * self._samples
        if heard and self._mixed < _CANCELLED * self._power:
            raise DataError(
                f"{name} must have channels that can be mixed, but theirs are in opposite phase, and cancel each other. Hear one of them:"
                " `task.channel: 1`, or 1 in the column that it names."
            )
