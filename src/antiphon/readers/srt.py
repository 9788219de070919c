"""Subtitles in SubRip's format (.srt), which has no standard: read as players read it.

A cue is a line of times and what follows it, up to the next number and times. So a blank line within a cue stays in it, and numbers may be
missing, doubled or out of order. Marks are `<i>`, `<b>`, `<u>`, `<font ...>` and those of SSA that players know, such as `{\\an8}`.
"""

import re
from collections.abc import Iterator
from functools import partial

from antiphon.contracts.reader import ReaderPlugin
from antiphon.errors import DataError
from antiphon.readers.marked_text import Atom
from antiphon.readers.subtitle_cues import DASH, NOTES, Cue, SubtitleFormat, SubtitleRewriter, located

_CLOCK = r"(\d+):(\d{1,2}):(\d{1,2})(?:[,.](\d{1,3}))?"
_TIMES = re.compile(rf"^[ \t]*{_CLOCK}[ \t]*-->[ \t]*{_CLOCK}(?=[ \t\r]|$)[^\n]*$", re.MULTILINE)
_NUMBER = re.compile(r"(?:\A|(?<=\n))[ \t]*\d+[ \t]*\r?\n\Z")
_ALMOST = re.compile(rf"^[^\n]*-->[^\n]*$|^[ \t]*{_CLOCK}[ \t]*[-–—>]+[ \t]*{_CLOCK}[^\n]*$", re.MULTILINE)
_FIRST = re.compile(rb"\s*\d+[ \t]*\r?\n\d+:\d\d:\d\d[,.]\d{1,3}[ \t]*-->")
_TAG = r"<[A-Za-z][^<>\n]*>|\{\\[^{}\n]*\}"
_MARK = re.compile(rf"(?P<end></[A-Za-z][^<>\n]*>)|{_TAG}|{DASH}|{NOTES}|(?<![^\n>}}])#+(?=\s)|(?<=\s)#+(?=\s*\Z)")
_OPENS = re.compile(rf"(?:{_TAG})*[ \t]*(?:{DASH}|[♪♫]|#[ \t])")


def cues_of(text: str, name: str) -> list[Cue]:
    """The cues of a file. Raises DataError, with the line, for times that cannot be read, and for a file without any."""
    times = list(_TIMES.finditer(text))
    if not times:
        raise DataError(f"`{name}` must have times such as `00:00:01,000 --> 00:00:02,500`, as subtitles have, but has none.")
    found = []
    ends = [*(_before_number(text, one.start()) for one in times[1:]), len(text)]
    for one, end in zip(times, ends, strict=True):
        start = min(one.end() + 1, len(text))
        inner = text[start:end]
        first = start + len(inner) - len(inner.lstrip("\r\n"))
        if (wrong := _ALMOST.search(text, start, end)) is not None:
            line = text.count("\n", 0, wrong.start()) + 1
            raise DataError(
                f"{name}:{line} must be times such as `00:00:01,000 --> 00:00:02,500`, or text, but is {wrong[0].strip()!r}. Mend the line."
            )
        last = start + len(inner.rstrip())
        numbers = [int(part or 0) for part in one.groups()]
        found.append(Cue(_seconds(numbers[:4], one[4]), _seconds(numbers[4:], one[8]), min(first, max(last, start)), max(last, start)))
    return found


def _before_number(text: str, place: int) -> int:
    """The start of the line with a cue's number, before its times."""
    number = _NUMBER.search(text[max(0, place - 40) : place])
    return place if number is None else place - len(number[0])


def _seconds(clock: list[int], fraction: str | None) -> float:
    hours, minutes, seconds, _ = clock
    return hours * 3600 + minutes * 60 + seconds + float(f"0.{fraction or 0}")


def atoms(text: str, first: int, last: int) -> Iterator[Atom]:
    """Text and marks in a stretch of a cue."""
    at = first
    for mark in _MARK.finditer(text, first, last):
        if at < mark.start():
            yield Atom(at, mark.start(), "text", text[at : mark.start()])
        is_tag = mark[0].startswith("<")
        yield Atom(mark.start(), mark.end(), "alone" if not is_tag else "close" if mark["end"] else "open")
        at = mark.end()
    if at < last:
        yield Atom(at, last, "text", text[at:last])


FORMAT = SubtitleFormat(cues_of, atoms, _OPENS, str)

plugin = ReaderPlugin(
    name="srt",
    summary="subtitles of SubRip, for prediction; one record per sentence, which is divided over its cues again",
    suffixes=(".srt",),
    read=partial(located, format=FORMAT),
    back=partial(SubtitleRewriter, format=FORMAT),
    recognizes=lambda opening: _FIRST.match(opening) is not None,
    settings=frozenset({"encoding", "languages", "line_length"}),
    unit="sentence",
)
