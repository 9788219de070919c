"""Determines which part of which recording a record is about, by columns of the record or data beside the recording's path, and names
it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from antiphon.contracts.records import Record
from antiphon.data.audio import Recording, open_audio
from antiphon.data.audio_channels import channel_of
from antiphon.errors import DataError
from antiphon.tasks.speech_recognition.config import SpeechRecognitionConfig


class Heard(NamedTuple):
    """A recording in the terms of transcript formats: its name, the channel, counted from 1, and the speaker, if known."""

    name: str
    channel: int
    speaker: str | None


@dataclass(frozen=True)
class Part:
    """A part of an open recording, in seconds."""

    recording: Recording
    start: float
    end: float


def channel_column(settings: SpeechRecognitionConfig) -> str | None:
    """The column with the channel; None where it is the same for all recordings, or given beside their paths."""
    channel = settings.channel
    return channel if isinstance(channel, str) and channel != "mix" else None


def opened(record: Record, settings: SpeechRecognitionConfig) -> tuple[Recording, float, float | None]:
    """The recording of a record, with start and end; None means up to its end. Raises DataError when it cannot be opened."""
    value = record.get(settings.audio)
    if isinstance(value, Part):
        return value.recording, value.start, value.end
    if value is None or (isinstance(value, str) and not value):
        raise DataError(f"`{settings.audio}` must name a recording, but is {'missing' if value is None else 'empty'}.")
    recording = open_audio(value, record.get("sample_rate"))
    column, (start, end) = channel_column(settings), span(record, settings)
    recording.hear(channel_of(_channel(record, settings), column or "task.channel"))
    return recording, start or 0.0, end


def span(record: Record, settings: SpeechRecognitionConfig) -> tuple[float | None, float | None]:
    """Start and end, in seconds, of a record in its source; None where they are not given."""
    return _second(record, settings, "start"), _second(record, settings, "end")


def called(record: Record, settings: SpeechRecognitionConfig) -> str:
    """The name of a part: the recording's path, with channel and times: `call.wav channel 2 0.5-2.5 s`."""
    value = record.get(settings.audio)
    if isinstance(value, Part):
        return f"{value.recording.name} {value.start:.2f}-{value.end:.2f} s"
    path = value.get("path") if isinstance(value, Mapping) else value
    name = path if isinstance(path, str) and path else getattr(value, "name", "") or "(audio)"
    channel = _channel(record, settings)
    if channel not in (None, "") and (channel_column(settings) or _beside(record, settings, "channel")):
        name = f"{name} channel {channel}"
    start, end = (_value(record, settings, which) for which in ("start", "end"))
    return name if start in (None, "") else f"{name} {start}-{'end' if end in (None, '') else end} s"


def without_part(name: str) -> str:
    """The recording's path in a name made by `called`."""
    return re.sub(r"( channel \S+)?( [\d.]+-(?:[\d.]+|end) s)?$", "", name)


def heard_in(record: Record, settings: SpeechRecognitionConfig, speaker: Any = None) -> Heard:
    """The recording's name in transcripts: its id in the column `recording`, if there is one, or else its file name without suffix."""
    known = record.get("recording") if settings.audio != "recording" else None
    name = str(known) if known is not None else Path(without_part(called(record, settings))).stem
    channel = _channel(record, settings)
    return Heard(name, 1 if channel in (None, "", "mix") else int(channel), None if speaker in (None, "") else str(speaker))


def _channel(record: Record, settings: SpeechRecognitionConfig) -> Any:
    """The channel as given: by the column, for all recordings, or beside the path."""
    column = channel_column(settings)
    if column is not None:
        return record.get(column)
    return (_beside(record, settings, "channel") or "mix") if settings.channel == "mix" else settings.channel


def _second(record: Record, settings: SpeechRecognitionConfig, which: str) -> float | None:
    value = _value(record, settings, which)
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"`{getattr(settings, which) or which}` must be a time in seconds, but is {value!r}.") from error


def _value(record: Record, settings: SpeechRecognitionConfig, which: str) -> Any:
    """The value of the column in the settings, or else the one beside the path."""
    column = getattr(settings, which)
    return _beside(record, settings, which) if column is None else record.get(column)


def _beside(record: Record, settings: SpeechRecognitionConfig, which: str) -> Any:
    """The values beside the path of a recording: {path: call.wav, start: 1.5, end: 3, channel: 2}."""
    value = record.get(settings.audio)
    return value.get(which) if isinstance(value, Mapping) else None
