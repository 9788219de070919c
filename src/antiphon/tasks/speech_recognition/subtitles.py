"""Subtitles in SRT and WebVTT: cues of at most two lines, from words with times, or else from segments, whose time is divided in proportion
to the number of characters. So is the time of a word as long as a sentence, in scripts without spaces."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from antiphon.data.line_breaks import pieces_of, wrapped

_LINE = 42  # characters that fit on a line, as broadcasters have it, or half as many wide ones
_LINES = 2
_LONGEST = 7.0  # seconds that a cue stays
_PAUSE = 1.0  # seconds of silence that end a cue


@dataclass(frozen=True)
class Cue:
    """A subtitle, shown from `start` to `end`, in seconds."""

    start: float
    end: float
    text: str


class Piece(NamedTuple):
    """Text that is not split, with the space before it, and its time."""

    start: float
    end: float
    text: str


def cues(segments: Sequence[Mapping[str, Any]], words: Sequence[Mapping[str, Any]] = ()) -> list[Cue]:
    """Cues from words (`word`, `start`, `end`), or if they have no times from segments (`text`, `start`, `end`)."""
    if words and all("start" in word for word in words):
        return list(_grouped(piece for word in words for piece in _of_word(word)))
    return [cue for segment in segments for cue in _grouped(_of_segment(segment))]


def written(found: Sequence[Cue], kind: Literal["srt", "vtt"]) -> str:
    """Cues as the content of a file; ends with a line end."""
    if kind == "vtt":
        blocks = [f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_escaped(_shown(cue))}" for cue in found]
        return "\n\n".join(["WEBVTT", *blocks]) + "\n"
    blocks = [f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_shown(cue)}" for number, cue in enumerate(found, 1)]
    return "\n\n".join(blocks) + "\n"


def _of_word(word: Mapping[str, Any]) -> Iterator[Piece]:
    return shared(str(word["word"]), float(word["start"]), float(word["end"]))


def _of_segment(segment: Mapping[str, Any]) -> Iterator[Piece]:
    return shared(str(segment["text"]), float(segment["start"]), float(segment["end"]))


def shared(text: str, start: float, end: float) -> Iterator[Piece]:
    """The pieces of a text, with its time divided in proportion to their characters."""
    pieces = list(pieces_of(text))
    characters, said = sum(map(len, pieces)), 0
    for piece in pieces:
        yield Piece(start + (end - start) * said / characters, start + (end - start) * (said + len(piece)) / characters, piece)
        said += len(piece)


def _grouped(pieces: Iterable[Piece]) -> Iterator[Cue]:
    group: list[Piece] = []
    for piece in pieces:
        if group and _is_full(group, piece):
            yield _cue(group)
            group = []
        group.append(piece)
    if group:
        yield _cue(group)


def _is_full(group: Sequence[Piece], piece: Piece) -> bool:
    """Whether the next piece must begin another cue."""
    too_late = piece.end - group[0].start > _LONGEST or piece.start - group[-1].end > _PAUSE
    return too_late or len(_lines(_text([*group, piece]))) > _LINES


def _cue(group: Sequence[Piece]) -> Cue:
    start = group[0].start
    return Cue(start, min(max(group[-1].end, start), start + _LONGEST), _text(group))


def _text(group: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in group).strip()


def _lines(text: str) -> list[str]:
    return wrapped(text, _LINE) or [" "]


def _shown(cue: Cue) -> str:
    return "\n".join(_lines(cue.text))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    """A time as hours, minutes, seconds and milliseconds."""
    total = round(max(0.0, seconds) * 1000)
    hours, rest = divmod(total, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{point}{rest % 1000:03}"
