"""Subtitles in SRT and WebVTT: cues of at most two lines, from words with times, or else from segments, whose time is then shared out by
the number of characters.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

_LINE = 42  # characters that fit on a line, as broadcasters have it
_LINES = 2
_LONGEST = 7.0  # seconds that a cue stays
_PAUSE = 1.0  # seconds of silence that end a cue


@dataclass(frozen=True)
class Cue:
    """What is shown from `start` to `end`, in seconds."""

    start: float
    end: float
    text: str


def cues(segments: Sequence[Mapping[str, Any]], words: Sequence[Mapping[str, Any]] = ()) -> list[Cue]:
    """Cues from words (`word`, `start`, `end`), or where they have no times from segments (`text`, `start`, `end`)."""
    if words and all("start" in word for word in words):
        return list(_of_words(words))
    return [cue for segment in segments for cue in _of_segment(segment)]


def written(found: Sequence[Cue], kind: Literal["srt", "vtt"]) -> str:
    """Cues as the content of a file; ends with a line end."""
    if kind == "vtt":
        blocks = [f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_escaped(_lines(cue.text))}" for cue in found]
        return "\n\n".join(["WEBVTT", *blocks]) + "\n"
    blocks = [f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_lines(cue.text)}" for number, cue in enumerate(found, 1)]
    return "\n\n".join(blocks) + "\n"


def _of_words(words: Sequence[Mapping[str, Any]]) -> Iterator[Cue]:
    group: list[Mapping[str, Any]] = []
    for word in words:
        if group and _is_full(group, word):
            yield _cue(group)
            group = []
        group.append(word)
    if group:
        yield _cue(group)


def _is_full(group: Sequence[Mapping[str, Any]], word: Mapping[str, Any]) -> bool:
    """Whether the next word begins another cue."""
    text = " ".join(str(item["word"]) for item in (*group, word))
    too_late = word["end"] - group[0]["start"] > _LONGEST or word["start"] - group[-1]["end"] > _PAUSE
    return too_late or not _fits(text)


def _cue(group: Sequence[Mapping[str, Any]]) -> Cue:
    return Cue(
        float(group[0]["start"]), max(float(group[-1]["end"]), float(group[0]["start"])), " ".join(str(item["word"]) for item in group)
    )


def _of_segment(segment: Mapping[str, Any]) -> Iterator[Cue]:
    text = " ".join(str(segment["text"]).split())
    parts = list(_divided(text))
    characters, start = sum(map(len, parts)), float(segment["start"])
    for part in parts:
        end = start + (float(segment["end"]) - float(segment["start"])) * len(part) / characters
        yield Cue(start, end, part)
        start = end


def _divided(text: str) -> Iterator[str]:
    """The text in parts that fit a cue; a word that alone does not is cut."""
    part = ""
    for word in text.split():
        while not _fits(word):
            if part:
                yield part
                part = ""
            yield word[: _LINE * _LINES]
            word = word[_LINE * _LINES :]
        longer = f"{part} {word}".strip()
        if not _fits(longer):
            yield part
            longer = word
        part = longer
    if part:
        yield part


def _fits(text: str) -> bool:
    return len(textwrap.wrap(text, _LINE)) <= _LINES


def _lines(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _LINE)) or " "


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    """Hours, minutes, seconds and milliseconds."""
    total = round(max(0.0, seconds) * 1000)
    hours, rest = divmod(total, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{point}{rest % 1000:03}"
