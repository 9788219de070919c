"""Subtitles in WebVTT (W3C, 2019): cues with voices, classes and timestamps; notes, styles and regions stay unchanged."""

import re
from collections.abc import Iterator
from functools import partial
from html import unescape

from antiphon.contracts.reader import ReaderPlugin
from antiphon.errors import DataError
from antiphon.readers.marked_text import Atom
from antiphon.readers.subtitle_cues import DASH, NOTES, Cue, SubtitleFormat, SubtitleRewriter, located

_CLOCK = r"(?:(\d{2,}):)?(\d\d):(\d\d)\.(\d{3})"
_TIMES = re.compile(rf"^[ \t]*{_CLOCK}[ \t]+-->[ \t]+{_CLOCK}(?=[ \t]|$)[^\r\n]*$")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|\Z)")
_MARK = re.compile(
    rf"<rt>.*?(?:</rt>|\Z)|<(?P<end>/)?(?P<name>[A-Za-z]+)?[^<>]*>|{DASH}|{NOTES}"
    r"|(?P<entity>&(?:amp|lt|gt|nbsp|lrm|rlm|#\d+|#x[0-9A-Fa-f]+);)",
    re.DOTALL,
)
_OPENS = re.compile(rf"<v[. \t][^<>]*>|(?:<[A-Za-z][^<>\n]*>)*[ \t]*(?:{DASH}|[♪♫])")


def cues_of(text: str, name: str) -> list[Cue]:
    """The cues of a file. Raises DataError, with the line, for a file in another format, or with unreadable times."""
    if not re.match(r"WEBVTT(?=[ \t\r\n]|\Z)", text):
        raise DataError(f"{name}:1 must begin with WEBVTT, as such files do, but begins with {text[:20]!r}.")
    found = []
    for number, block in _blocks(text):
        lines = [line[0].strip("\r\n") for line in block]
        place = next((place for place, line in enumerate(lines[:2]) if "-->" in line), None)
        if place is None:
            if number > 1 and (wrong := next((at for at, line in enumerate(lines) if "-->" in line), None)) is not None:
                raise _wrong(name, number + wrong, lines[wrong])
            continue
        times = _TIMES.match(lines[place])
        if times is None:
            raise _wrong(name, number + place, lines[place])
        if (wrong := next((at for at, line in enumerate(lines) if "-->" in line and at > place), None)) is not None:
            raise _wrong(name, number + wrong, lines[wrong])
        first = block[place].end()
        last = max(first, block[-1].start() + len(lines[-1])) if len(block) > place + 1 else first
        clock = [float(part or 0) for part in times.groups()]
        found.append(Cue(_seconds(clock[:4]), _seconds(clock[4:]), first, last))
    if not found:
        raise DataError(f"`{name}` must have times such as `00:01.000 --> 00:02.500`, as subtitles have, but has none.")
    return found


def _wrong(name: str, line: int, found: str) -> DataError:
    return DataError(f"{name}:{line} must be times such as `00:01.000 --> 00:02.500`, but is {found.strip()!r}. Mend the line.")


def _blocks(text: str) -> Iterator[tuple[int, list[re.Match[str]]]]:
    """Consecutive lines, and the number of the first, from 1; blank lines separate them."""
    block: list[re.Match[str]] = []
    number = 0
    for number, line in enumerate(_LINE.finditer(text), 1):
        if line[0].strip("\r\n"):
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []
    if block:
        yield number - len(block) + 1, block


def _seconds(clock: list[float]) -> float:
    hours, minutes, seconds, milliseconds = clock
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def atoms(text: str, first: int, last: int) -> Iterator[Atom]:
    """Text and marks in a stretch of a cue; entities are text."""
    at = first
    for mark in _MARK.finditer(text, first, last):
        if at < mark.start():
            yield Atom(at, mark.start(), "text", text[at : mark.start()])
        if mark["entity"]:
            yield Atom(mark.start(), mark.end(), "text", unescape(mark[0]))
        else:
            is_pair = mark["name"] is not None and not mark[0].startswith("<rt>")
            yield Atom(mark.start(), mark.end(), "alone" if not is_pair else "close" if mark["end"] else "open")
        at = mark.end()
    if at < last:
        yield Atom(at, last, "text", text[at:last])


def escaped(text: str) -> str:
    """Text escaped for use in a cue."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


FORMAT = SubtitleFormat(cues_of, atoms, _OPENS, escaped)

plugin = ReaderPlugin(
    name="vtt",
    summary="subtitles of WebVTT, for prediction; one record per sentence, which is divided over its cues again",
    suffixes=(".vtt",),
    read=partial(located, format=FORMAT),
    back=partial(SubtitleRewriter, format=FORMAT),
    recognizes=lambda opening: re.match(rb"WEBVTT[ \t\r\n]", opening) is not None,
    settings=frozenset({"encoding", "languages", "line_length"}),
    unit="sentence",
)
