"""Log-mel features of audio: Whisper's, and Kaldi's filter banks. From a waveform (N,) to frames (S, bins), one every 10 ms.

whisper        Hann windows of 25 ms, centred; Slaney's mel scale; log10, at most 8 below the loudest, brought to about -1 to 1
               (Radford et al. 2023). Equal to transformers' `WhisperFeatureExtractor`, without its padding to 30 seconds.
filter_banks   frames of 25 ms that lie within the sound, without offset, pre-emphasized, Povey's window; triangles on Kaldi's mel scale;
               natural log of the power at the scale of 16-bit samples (Povey et al. 2011). No dither, so equal sounds give equal features.

Unusual here: what only depends on settings (windows, triangles) is made once and kept.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

FRAME_MILLISECONDS = 25.0
SHIFT_MILLISECONDS = 10.0
WHISPER_RATE = 16000

_WHISPER_WINDOW = 400
_WHISPER_SHIFT = 160
_INT16 = 32768.0
_PREEMPHASIS = 0.97
_LOWEST_HERTZ = 20.0
_FLOOR = 1.1920928955078125e-07  # the spacing of float32 at 1, as in Kaldi


def whisper_log_mel(waveform: Float[np.ndarray, " N"], bins: int) -> Float[np.ndarray, "S C"]:
    """Whisper's log-mel features for audio at 16,000 Hz with at least 400 samples; S = N // 160."""
    power = (
        torch.stft(
            torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32)),
            _WHISPER_WINDOW,
            _WHISPER_SHIFT,
            window=_hann(),
            return_complex=True,
        )[:, :-1]
        .abs()
        .square()
    )
    log_mel = (_slaney_triangles(bins) @ power).clamp(min=1e-10).log10()
    log_mel = torch.maximum(log_mel, log_mel.max() - 8.0)
    return np.asarray(((log_mel + 4.0) / 4.0).T.contiguous().numpy())


class Framing(NamedTuple):
    """The length of a frame, and the shift from one to the next, in samples."""

    frame: int
    shift: int


def kaldi_framing(sample_rate: int) -> Framing:
    """The framing of Kaldi for 25 and 10 ms: it truncates, in double precision, so that frames at 11,025 Hz have 275 samples, not 276."""
    return Framing(*(int(sample_rate * 0.001 * milliseconds) for milliseconds in (FRAME_MILLISECONDS, SHIFT_MILLISECONDS)))


def rounded_framing(sample_rate: int) -> Framing:
    """The framing by rounding, used in earlier versions instead of Kaldi's; the same at all usual rates except 11,025 Hz."""
    return Framing(*(round(sample_rate * 0.001 * milliseconds) for milliseconds in (FRAME_MILLISECONDS, SHIFT_MILLISECONDS)))


def kaldi_filter_banks(
    waveform: Float[np.ndarray, " N"], bins: int, sample_rate: int, framing: Framing | None = None
) -> Float[np.ndarray, "S C"]:
    """Kaldi's log filter banks for audio with at least one frame of samples; S = 1 + (N - frame) // shift."""
    frame, shift = kaldi_framing(sample_rate) if framing is None else framing
    samples = torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32)) * _INT16
    frames = samples.unfold(0, frame, shift)
    frames = frames - frames.mean(dim=1, keepdim=True)
    first = frames[:, :1] * (1 - _PREEMPHASIS)
    emphasized = torch.cat([first, frames[:, 1:] - _PREEMPHASIS * frames[:, :-1]], dim=1)
    size = 1 << (frame - 1).bit_length()
    power = torch.fft.rfft(emphasized * _povey(frame), n=size).abs().square()
    return np.asarray((power @ _kaldi_triangles(bins, size, sample_rate)).clamp(min=_FLOOR).log().numpy())


@lru_cache(maxsize=1)
def _hann() -> Tensor:
    return torch.hann_window(_WHISPER_WINDOW)


@lru_cache(maxsize=8)
def _povey(frame: int) -> Tensor:
    """Kaldi's default window: a Hann window to the power of 0.85."""
    return torch.hann_window(frame, periodic=False, dtype=torch.float64).pow(0.85).float()


@lru_cache(maxsize=8)
def _slaney_triangles(bins: int) -> Tensor:
    """(bins, 201): triangles of equal area between points equally far apart on Slaney's mel scale, from 0 to 8,000 Hz."""
    frequencies = np.linspace(0, WHISPER_RATE / 2, _WHISPER_WINDOW // 2 + 1)
    highest = _slaney_mel(np.array(WHISPER_RATE / 2))
    corners = _slaney_hertz(np.linspace(0.0, float(highest), bins + 2))
    triangles = _triangles(frequencies, corners)
    return torch.from_numpy(triangles * (2.0 / (corners[2:] - corners[:-2]))).float().T.contiguous()


@lru_cache(maxsize=8)
def _kaldi_triangles(bins: int, size: int, sample_rate: int) -> Tensor:
    """(size / 2 + 1, bins): triangles with straight sides on Kaldi's mel scale, from 20 Hz to half the sample rate."""
    frequencies = np.linspace(0, sample_rate / 2, size // 2 + 1)
    lowest, highest = _kaldi_mel(np.array([_LOWEST_HERTZ, sample_rate / 2]))
    return torch.from_numpy(_triangles(_kaldi_mel(frequencies), np.linspace(lowest, highest, bins + 2))).float().contiguous()


def _triangles(points: Float[np.ndarray, " F"], corners: Float[np.ndarray, " C2"]) -> Float[np.ndarray, "F C"]:
    """The height of each triangle (a corner, its two neighbours) at each point."""
    widths = np.diff(corners)
    distances = corners[None, :] - points[:, None]
    return np.asarray(np.maximum(0.0, np.minimum(-distances[:, :-2] / widths[:-1], distances[:, 2:] / widths[1:])))


def _slaney_mel(hertz: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Linear below 1,000 Hz (15 mels there), logarithmic above."""
    return np.where(hertz < 1000.0, 3.0 * hertz / 200.0, 15.0 + np.log(np.maximum(hertz, 1.0) / 1000.0) * (27.0 / np.log(6.4)))


def _slaney_hertz(mel: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.where(mel < 15.0, 200.0 * mel / 3.0, 1000.0 * np.exp(np.log(6.4) / 27.0 * (mel - 15.0)))


def _kaldi_mel(hertz: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.asarray(1127.0 * np.log(1.0 + hertz / 700.0))
