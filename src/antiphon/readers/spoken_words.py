"""Joins words with times into utterances: until a pause, or until they are as long as models prefer."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from antiphon.contracts.reader import Reading
from antiphon.contracts.records import Record
from antiphon.errors import DataError

_PAUSE = 0.5  # seconds of silence that end an utterance
_LONGEST = 20.0  # seconds behind which the next word begins another one


class Spoken(NamedTuple):
    """Words spoken from `start` to `end`, in seconds, and their line in the file."""

    line: int
    start: float
    end: float
    text: str


def utterances(words: Iterable[Spoken]) -> Iterator[Spoken]:
    """Words joined into utterances, each with the line of its first word."""
    whole: Spoken | None = None
    for word in words:
        if whole is not None and word.start - whole.end < _PAUSE and word.end - whole.start <= _LONGEST:
            whole = Spoken(whole.line, whole.start, max(whole.end, word.end), f"{whole.text} {word.text}")
            continue
        if whole is not None:
            yield whole
        whole = word
    if whole is not None:
        yield whole


def record_of(reading: Reading, recording: str, said: Spoken, channel: int | None, speaker: str | None) -> Record:
    """A record for a part of a recording, which is named without its suffix."""
    return {
        reading.source: recording,
        reading.target: said.text,
        "recording": recording,
        "start": said.start,
        "end": said.end,
        "channel": channel,
        **({} if speaker is None else {"speaker": speaker}),
    }


def channel_of_transcript(place: str, named: str) -> int:
    """A channel in CTM and STM: a number from 1, or a letter from A. Raises DataError for another name."""
    if named.isascii() and named.isdecimal() and int(named) > 0:
        return int(named)
    if len(named) == 1 and "A" <= named.upper() <= "Z":
        return ord(named.upper()) - ord("A") + 1
    raise DataError(f"{place} must have a channel that is a number from 1, or a letter from A, but has {named!r}.")


def seconds(place: str, cells: Iterable[Any]) -> list[float]:
    """Times from 0 up. Raises DataError for an invalid time."""
    found = []
    for cell in cells:
        try:
            value = float(cell)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise DataError(f"{place} must have a time in seconds from 0 up, but has {cell!r}.")
        found.append(value)
    return found
