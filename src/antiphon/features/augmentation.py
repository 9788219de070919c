"""Augments audio and its features randomly, so that a model sees each utterance differently every time; only in training.

SpecAugment (Park et al. 2019) hides bands of channels and spans of frames; its time warping is left out, as its authors found that it adds
least. Speed perturbation (Ko et al. 2015) resamples, which changes tempo and pitch together; gain and noise change the waveform.

Everything is a function of the generator given, so that a resumed run draws what it would have drawn.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from antiphon.contracts.configuration import config
from antiphon.errors import MissingPackageError

Noise = Callable[[int, np.random.Generator], Float[np.ndarray, " N"]]
"""Makes noise of so many samples."""


@config
class NoiseConfig:
    """Noise added to the waveform."""

    kind: Literal["white", "folder"] = "white"
    """White noise, or cuts of the audio files in a folder."""
    folder: Path | None = None
    """The folder of noise, for `kind: folder`; a relative path starts from the folder in which training is started."""
    signal_to_noise: tuple[float, float] = (5.0, 20.0)
    """The range in decibels from which the signal-to-noise ratio is drawn; lower is noisier."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The share of utterances that get noise."""

    def __post_init__(self) -> None:
        if (self.kind == "folder") != (self.folder is not None):
            raise ValueError("`folder` goes with `kind: folder`: give both, or neither.")
        if self.signal_to_noise[0] > self.signal_to_noise[1]:
            raise ValueError(f"`signal_to_noise` must be [lowest, highest], but is {list(self.signal_to_noise)}.")


@config
class AugmentationConfig:
    """How utterances are augmented in training. Only the masks work on cached features; for everything else, features are computed again
    each time."""

    frequency_masks: Annotated[int, Field(ge=0)] = 2
    """The number of frequency bands that are masked."""
    frequency_width: Annotated[int, Field(ge=1)] = 27
    """The widest band, in channels; widths are drawn from 0 on."""
    time_masks: Annotated[int, Field(ge=0)] = 2
    """The number of time spans that are masked."""
    time_width: Annotated[int, Field(ge=1)] = 100
    """The longest span, in frames of 10 ms; lengths are drawn from 0 on."""
    time_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """No span is longer than this share of the utterance, so that not too much of a short one is masked."""
    speeds: tuple[Annotated[float, Field(ge=0.5, le=2)], ...] = ()
    """Speed factors to draw from, such as [0.9, 1.0, 1.1]; none keeps the speed."""
    volume: tuple[float, float] | None = None
    """The range in decibels from which a gain is drawn, such as [-6, 6]."""
    noise: NoiseConfig | None = None
    """Noise to add."""

    def __post_init__(self) -> None:
        if self.volume is not None and self.volume[0] > self.volume[1]:
            raise ValueError(f"`volume` must be [lowest, highest] in decibels, but is {list(self.volume)}.")

    @property
    def masks(self) -> bool:
        """Whether features are masked (SpecAugment)."""
        return self.frequency_masks + self.time_masks > 0

    @property
    def changes_waveforms(self) -> bool:
        """Whether features must be computed anew each time."""
        return bool(self.speeds) or self.volume is not None or self.noise is not None


def spec_augment(
    frames: Float[np.ndarray, "S C"], settings: AugmentationConfig, generator: np.random.Generator
) -> Float[np.ndarray, "S C"]:
    """A copy in which some channels and some frames are replaced by the mean of all values."""
    masked = frames.astype(np.float32)  # a copy, also of float16 and of a view of a file
    steps, channels = masked.shape
    mean = masked.mean()
    for _ in range(settings.frequency_masks):
        start, end = _span(channels, min(settings.frequency_width, channels), generator)
        masked[:, start:end] = mean
    longest = min(settings.time_width, int(settings.time_share * steps))
    for _ in range(settings.time_masks):
        start, end = _span(steps, longest, generator)
        masked[start:end] = mean
    return masked


def _span(size: int, widest: int, generator: np.random.Generator) -> tuple[int, int]:
    """A random width from 0 to `widest`, then a random place where it fits."""
    width = int(generator.integers(0, widest + 1))
    start = int(generator.integers(0, size - width + 1))
    return start, start + width


def vary_waveform(
    waveform: Float[np.ndarray, " N"],
    sample_rate: int,
    settings: AugmentationConfig,
    generator: np.random.Generator,
    noise: Noise | None = None,
) -> Float[np.ndarray, " M"]:
    """Change speed, noise and volume, as the settings say; `noise` generates the noise, white if it is None."""
    if settings.speeds:
        waveform = change_speed(waveform, sample_rate, float(generator.choice(settings.speeds)))
    if settings.noise is not None and generator.random() < settings.noise.share:
        ratio = float(generator.uniform(*settings.noise.signal_to_noise))
        waveform = add_noise(waveform, (noise or white_noise)(len(waveform), generator), ratio)
    if settings.volume is not None:
        waveform = waveform * np.float32(10 ** (generator.uniform(*settings.volume) / 20))
    return waveform


def change_speed(waveform: Float[np.ndarray, " N"], sample_rate: int, speed: float) -> Float[np.ndarray, " M"]:
    """The sound played `speed` times as fast, by resampling: M is about N / speed."""
    if speed == 1.0:
        return waveform
    try:
        import soxr
    except ImportError as error:
        raise MissingPackageError("Changing the speed of audio", "soxr", "audio") from error
    return np.asarray(soxr.resample(waveform, sample_rate * speed, sample_rate), dtype=np.float32)


def add_noise(waveform: Float[np.ndarray, " N"], noise: Float[np.ndarray, " N"], signal_to_noise: float) -> Float[np.ndarray, " N"]:
    """Add noise at a signal-to-noise ratio in decibels. Silence stays silence, and silent noise adds nothing."""
    signal_power, noise_power = (float(np.mean(np.square(part, dtype=np.float64))) for part in (waveform, noise))
    if signal_power == 0.0 or noise_power == 0.0:
        return waveform
    gain = np.sqrt(signal_power / noise_power / 10 ** (signal_to_noise / 10))
    return waveform + np.float32(gain) * noise


def white_noise(samples: int, generator: np.random.Generator) -> Float[np.ndarray, " N"]:
    """Independent normal samples."""
    return generator.standard_normal(samples, dtype=np.float32)
