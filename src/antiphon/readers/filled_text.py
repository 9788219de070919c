"""Marked text with new parts: as segments, and wrapped into lines."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from antiphon.data.line_breaks import columns
from antiphon.readers.marked_text import MarkedText, Part, Segment
from antiphon.readers.sentences import spans


def allowed(marked: MarkedText, places: Sequence[int]) -> list[int]:
    """The places at which sentences may begin without splitting a pair of marks."""
    found = list(places)
    while True:
        stretches = spans(marked.text, found)
        starts, ends = {start for start, _ in stretches}, {end for _, end in stretches}
        kept = [place for place in found if marked.allows(place, starts, ends)]
        if kept == found:
            return found
        found = kept


def segments_of(marked: MarkedText, first: int, last: int, parts: Sequence[Part], said: Mapping[int, Sequence[Segment]]) -> list[Segment]:
    """All between two letters of a file: translations for the parts, by number, and the file's own letters and marks elsewhere."""
    found, at = list[Segment](), first
    for number, part in enumerate(parts):
        found.extend(_own(marked, at, part.first))
        found.extend(said[number] if number in said else _own(marked, part.first, part.last))
        at = part.last
    return [*found, *_own(marked, at, last)]


def filled(segments: Sequence[Segment], width: int, used: int, stays: Callable[[str], bool]) -> list[str]:
    """Text in lines of at most `width` columns, broken at visible spaces.

    used    columns of the first line that are taken
    stays   whether a word may not begin a line
    """
    words: list[list[Segment]] = [[]]
    for segment in segments:
        for number, raw in enumerate(segment.raw.split(" ") if segment.raw == segment.shown else [segment.raw]):
            if number:
                words.append([])
            if raw:
                words[-1].append(Segment(raw, segment.shown and raw))
    lines, size = [""], used
    for word in filter(None, words):
        raw = "".join(segment.raw for segment in word)
        length = columns(raw)
        if lines[-1] and size + 1 + length > width and not stays(raw):
            lines.append(raw)
            size = length
        else:
            size += length + bool(lines[-1])
            lines[-1] += f" {raw}" if lines[-1] else raw
    return lines


def _own(marked: MarkedText, first: int, last: int) -> Iterator[Segment]:
    """The file's own letters and marks between two of its letters, with white space as spaces, at which lines can be broken."""
    at = first
    for (start, end), letter in zip(marked.places, marked.text, strict=True):
        if max(first, at) <= start < last:  # several letters may be written as one
            yield from _aside(marked.raw[at:start])
            raw = marked.raw[start:end]
            yield Segment(letter if letter == " " else raw, letter)
            at = max(at, end)
    yield from _aside(marked.raw[at:last])


def _aside(raw: str) -> Iterator[Segment]:
    """What lies between letters that are read: marks, and spaces around them."""
    if raw[:1].isspace():
        yield Segment(" ", " ")
    if mark := re.sub(r"\s*\n\s*", " ", raw.strip()):
        yield Segment(mark, "")
        if raw[-1:].isspace():
            yield Segment(" ", " ")
