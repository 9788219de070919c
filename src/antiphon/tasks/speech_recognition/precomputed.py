"""Records with features that another program computed: the matrix of a record, its relevant part, and further data about it.

Unusual here: `start` and `end` cut the matrix, but an `offset` beside its path does not. It says where the matrix, as Kaldi's `segments`
have it, lies in a recording, so that the times of what is said are those of the recording.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from antiphon.contracts.records import Record
from antiphon.data.precomputed_frames import kaldi_normalized, read_frames
from antiphon.errors import DataError
from antiphon.tasks.speech_recognition.config import SpeechRecognitionConfig
from antiphon.tasks.speech_recognition.places import span

_NEAR = 1e-6  # seconds


class Given(NamedTuple):
    """The frames of a record, the second of its recording at which they begin, and the name of their matrix."""

    frames: Float[np.ndarray, "S C"]
    start: float
    name: str


def given_frames(record: Record, settings: SpeechRecognitionConfig) -> Given:
    """The features of a record. Raises DataError when there are none, or when they contradict their metadata or the settings."""
    value, shift = record.get(settings.audio), settings.features.frame_shift
    assert shift is not None, "precomputed features have one"
    if value is None or (isinstance(value, str) and not value):
        raise DataError(f"`{settings.audio}` must name a matrix of features, but is {'missing' if value is None else 'empty'}.")
    frames, name = read_frames(value)
    known: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    if known.get("num_frames") not in (None, len(frames)):
        raise DataError(
            f"{name} must have as many frames as `utt2num_frames` says ({known['num_frames']:,}), but has {len(frames):,}. Run Kaldi's"
            " utils/fix_data_dir.sh, or remove that file."
        )
    if known.get("frame_shift") is not None and abs(known["frame_shift"] - shift) > _NEAR:
        raise DataError(
            f"`task.features.frame_shift` must be {known['frame_shift']:g}, as the file `frame_shift` of the data says of {name}, but is"
            f" {shift:g}."
        )
    if settings.normalization == "cmvn":
        if known.get("statistics") is None:
            raise DataError(
                f"{name} has no statistics for `normalization: cmvn`. Run Kaldi's steps/compute_cmvn_stats.sh, which writes cmvn.scp, or"
                " normalize by `utterance`."
            )
        frames = kaldi_normalized(frames, Path(known["statistics"]), name)
    start, end = span(record, settings)
    if start is not None or end is not None:
        frames = _cut(frames, start or 0.0, end, shift, name)
    return Given(frames, float(known.get("offset") or 0.0) + (start or 0.0), name)


def _cut(frames: Float[np.ndarray, "S C"], start: float, end: float | None, shift: float, name: str) -> Float[np.ndarray, "P C"]:
    """The frames between two times in seconds."""
    first, last = round(start / shift), len(frames) if end is None else round(end / shift)
    if not 0 <= first < last or last > len(frames) + 1:
        raise DataError(
            f"`start` and `end` must lie within {name}, from 0 to {len(frames) * shift:.2f} seconds, one before the other, but are"
            f" {start:g} and {'its end' if end is None else format(end, 'g')}."
        )
    return frames[first:last]
