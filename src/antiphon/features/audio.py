"""Audio features: turns a waveform into frames, log-mel features or precomputed ones, and normalizes them.

`utterance` makes each channel of each recording mean 0 and deviation 1, which takes off what microphone and room add; `global` does so by
the mean and deviation of all training frames, fitted once and saved as JSON; `none` leaves the features as they are, as Whisper wants them.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, final

import numpy as np
from jaxtyping import Float
from pydantic import Field

from antiphon.contracts.configuration import config
from antiphon.contracts.feature import Feature
from antiphon.contracts.specs import ValueSpec
from antiphon.errors import CheckpointError, DataError
from antiphon.features.filter_banks import WHISPER_RATE, kaldi_filter_banks, kaldi_framing, rounded_framing, whisper_log_mel
from antiphon.store.json_text import json_text

Normalization = Literal["none", "utterance", "global", "cmvn"]

Sounding = Float[np.ndarray, " N"] | Float[np.ndarray, "S C"]
"""A waveform, or the matrix of precomputed features."""

_FILE = "audio.json"
_MOST_BINS = 512
_SMALLEST_DEVIATION = 1e-3  # a channel that never changes (digital silence) stays 0 instead of being blown up


@config
class AudioFeaturesConfig:
    """How a waveform is turned into frames, one every 10 ms; or that features are precomputed."""

    kind: Literal["whisper", "filter_banks", "precomputed"] = "filter_banks"
    """`filter_banks` is Kaldi's log filter banks; `whisper` is Whisper's log-mel, equal to its own feature extractor (16,000 Hz only).
    `precomputed` are matrices (frames, bins) that another program made: `feats.scp` of Kaldi, or `.npy` files that are named in `audio`."""
    bins: Annotated[int, Field(ge=1, le=8192)] = 80
    """Channels of a frame, at most 512 when computed by Antiphon; Whisper has 80, its large-v3 128."""
    padded_seconds: Annotated[float, Field(gt=0)] | None = None
    """Pad every recording with silence to this length, as published Whisper models need it (30); null keeps its own length."""
    frame_shift: Annotated[float, Field(gt=0, le=10)] | None = None
    """Seconds from one precomputed frame to the next, such as 0.01, from which all times in outputs are computed; only with `kind:
    precomputed`."""

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other or have no effect."""
        if self.kind == "precomputed":
            if self.frame_shift is None:
                raise ValueError("`frame_shift` must say how many seconds there are from one precomputed frame to the next, such as 0.01.")
            if self.padded_seconds is not None:
                raise ValueError("`padded_seconds` must be left out of `kind: precomputed`, since the features of silence are not known.")
        elif self.frame_shift is not None:
            raise ValueError(
                "`frame_shift` goes with `kind: precomputed`: leave it out, since features that Antiphon computes have a frame every 10 ms."
            )
        elif self.bins > _MOST_BINS:
            raise ValueError(f"`bins` must be at most {_MOST_BINS} for features that Antiphon computes, but is {self.bins}.")


@final
class AudioFeature(Feature):
    """Waveforms (N,) at `sample_rate`, or precomputed matrices (S, bins) -> frames (S, bins) float32."""

    def __init__(self, settings: AudioFeaturesConfig, normalization: Normalization, sample_rate: int):
        self.settings, self.normalization, self.sample_rate = settings, normalization, sample_rate
        self.framing = kaldi_framing(sample_rate)
        self.mean: Float[np.ndarray, " C"] | None = None
        self.deviation: Float[np.ndarray, " C"] | None = None

    @property
    def spec(self) -> ValueSpec:
        """The channels of a frame, the number of frames that all recordings are padded to, and what the values are."""
        settings, length = self.settings, None
        if settings.padded_seconds is not None:
            length = round(settings.padded_seconds * self.sample_rate) // self.framing.shift
        normalized = "" if self.normalization == "none" else f", normalization {self.normalization}"
        return ValueSpec(settings.bins, length=length, kind=f"{settings.kind}{normalized}")

    @property
    def shortest(self) -> int:
        """The minimum length of a waveform in samples: one frame."""
        return self.framing.frame

    @property
    def precomputed(self) -> bool:
        """Whether features are precomputed, so that no audio is read."""
        return self.settings.kind == "precomputed"

    @property
    def shift(self) -> float:
        """The frame shift in seconds: as set, or 10 ms rounded to a whole number of samples."""
        return self.settings.frame_shift or self.framing.shift / self.sample_rate

    @property
    def needs_fit(self) -> bool:
        """Whether `fit` needs the waveforms."""
        return self.normalization == "global"

    @property
    def fingerprint(self) -> str:
        """A hash that changes whenever a waveform would give other frames."""
        settings = self.settings
        facts: list[Any] = [settings.kind, settings.bins, settings.padded_seconds, self.normalization, self.sample_rate, self._fitted()]
        if self.framing != rounded_framing(self.sample_rate):  # which older runs have, and do not mention
            facts.append(self.framing)
        if self.precomputed:  # `start` and `end` in seconds are cut by it
            facts.append(settings.frame_shift)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def fit(self, values: Iterable[Sounding]) -> None:
        """Learn mean and deviation of each channel for `global` normalization; otherwise nothing is read."""
        if not self.needs_fit:
            return
        count, total, squares = 0, np.zeros(self.settings.bins), np.zeros(self.settings.bins)
        for value in values:
            frames = self.extract(value).astype(np.float64)
            count, total, squares = count + len(frames), total + frames.sum(axis=0), squares + np.square(frames).sum(axis=0)
        if count == 0:
            raise DataError("There must be at least one recording to fit the normalization `global` on, but there is none.")
        self.mean = total / count
        self.deviation = np.sqrt(np.maximum(squares / count - np.square(self.mean), 0.0))

    def extract(self, value: Sounding) -> Float[np.ndarray, "S C"]:
        """Frames before normalization. Raises DataError when a waveform is shorter than a frame, or a matrix has another number of
        channels."""
        if self.precomputed:
            return self._of_width(value)
        samples = self._padded(value)
        if len(samples) < self.shortest:
            least = f"{self.shortest} samples ({1000 * self.shortest / self.sample_rate:g} ms)"
            raise DataError(f"The audio must have at least one frame, {least}, but has {len(samples)}. Leave it out.")
        if self.settings.kind == "whisper":
            return whisper_log_mel(samples, self.settings.bins)
        return kaldi_filter_banks(samples, self.settings.bins, self.sample_rate, self.framing)

    def encode(self, value: Sounding, *, seed: int | None = None) -> Float[np.ndarray, "S C"]:
        """The model's input for a waveform or a matrix, as frames in float32. Raises DataError like `extract`."""
        frames = self.extract(value)
        if self.normalization in ("none", "cmvn"):
            return frames
        if self.normalization == "utterance":
            mean, deviation = frames.mean(axis=0, dtype=np.float64), frames.std(axis=0, dtype=np.float64)
        else:
            assert self.mean is not None, "fit or load the audio feature before using it"
            assert self.deviation is not None, "mean and deviation come together"
            mean, deviation = self.mean, self.deviation
        normalized: Float[np.ndarray, "S C"] = frames - mean.astype(np.float32)
        normalized /= np.maximum(deviation, _SMALLEST_DEVIATION).astype(np.float32)
        return normalized

    def save(self, folder: Path) -> None:
        """Write `audio.json`: the settings, and what was fitted."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {"fingerprint": self.fingerprint, "normalization": self.normalization, **self._fitted()}
        (folder / _FILE).write_text(json_text(content, indent=1) + "\n", encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote. Raises CheckpointError when it is missing, damaged, or was fitted under other settings."""
        path = folder / _FILE
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            fitted = {name: None if saved[name] is None else np.array(saved[name], dtype=np.float64) for name in ("mean", "deviation")}
            fingerprint = saved["fingerprint"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"`{path}` cannot be read, so the features of audio are not known: {error}.") from error
        self.mean, self.deviation = fitted["mean"], fitted["deviation"]
        if self.fingerprint != fingerprint:
            self.framing = rounded_framing(self.sample_rate)
        if self.fingerprint != fingerprint:
            raise CheckpointError(
                f"`{path}` was written for other settings of features, normalization or sample rate. Undo the change, or train again."
            )

    def _fitted(self) -> dict[str, Any]:
        return {
            "mean": None if self.mean is None else self.mean.tolist(),
            "deviation": None if self.deviation is None else self.deviation.tolist(),
        }

    def _of_width(self, matrix: Float[np.ndarray, "S C"]) -> Float[np.ndarray, "S C"]:
        if matrix.shape[1] != self.settings.bins:
            raise DataError(
                f"`task.features.bins` must be the number of channels of the features, which is {matrix.shape[1]} here, but is"
                f" {self.settings.bins}."
            )
        return matrix

    def _padded(self, waveform: Float[np.ndarray, " N"]) -> Float[np.ndarray, " M"]:
        seconds = self.settings.padded_seconds
        if seconds is None:
            return waveform
        wanted = round(seconds * self.sample_rate)
        return np.pad(waveform, (0, max(0, wanted - len(waveform))))  # what is longer, limits of length leave out or cut


__all__ = ["WHISPER_RATE", "AudioFeature", "AudioFeaturesConfig", "Normalization"]
