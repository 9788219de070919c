"""Joins subtitle cues into sentences, and back: a sentence that runs over several cues is one unit, and is divided over them again.

Cues are read in the order of the file. One goes on in the next where it does not end a sentence, unless a speaker changes (a dash, a voice,
a note of music), the next one begins before it, or after a pause, or either is a description in brackets. Marks within cues (`<i>`,
`{\\an8}`, `<c.yellow>`) stand in their places again.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import final

from antiphon.contracts.reader import Located, Reading, Rewriter, Said, Skip
from antiphon.errors import DataError
from antiphon.readers.file_text import FileText, file_text
from antiphon.readers.filled_text import allowed, segments_of
from antiphon.readers.marked_text import Atom, MarkedText, Part, Segment, plain_spaces
from antiphon.readers.sentences import boundaries, spans
from antiphon.readers.subtitle_lines import LINE, broken, divided

_PAUSE = 3.0  # seconds behind which no sentence goes on
_MOST_CUES = 5  # that a sentence runs over; texts without full stops are read cue by cue
_BRACKETED = re.compile(r"[\[(（【].*[\])）】]$", re.DOTALL)

DASH = r"(?<![^\n>}])[-–—](?=[ \t]+\S|[^\W\d]|[<{¿¡\"“„«'(\[.…])"
"""The dash before what somebody says, at the beginning of a line."""
NOTES = r"(?<![^\n>}])[♪♫]+|[♪♫]+(?=\s*(?:</[^<>]*>\s*)*\Z)"
"""Notes around what is sung, at the beginning of a line and at the end."""


@dataclass(frozen=True)
class Cue:
    """A cue of a file: shown from `start` to `end` seconds, with its text from one letter of the file to before another."""

    start: float
    end: float
    first: int
    last: int


@dataclass(frozen=True)
class SubtitleFormat:
    """The differences between subtitle formats."""

    cues: Callable[[str, str], list[Cue]]
    """Those of a text, whose file's name is given for errors."""
    atoms: Callable[[str, int, int], Iterator[Atom]]
    """Text and marks of a stretch of it."""
    new_line: re.Pattern[str]
    """What begins a line that is somebody else's."""
    escaped: Callable[[str], str]
    """Text as it is written in a cue."""


@final
@dataclass
class Paragraph:
    """Lines of a cue that belong together, with the sentences, or parts of sentences, in them, and their translations."""

    cue: int
    marked: MarkedText
    first: int
    last: int
    parts: list[Part] = field(default_factory=list)
    said: dict[int, list[Segment]] = field(default_factory=dict)
    begins: bool = False
    """Whether somebody else speaks here."""


@dataclass(frozen=True)
class Unit:
    """A sentence: the paragraphs and the parts in them that make it."""

    places: tuple[tuple[Paragraph, int], ...]

    @property
    def parts(self) -> list[Part]:
        """Its parts, one for each cue."""
        return [paragraph.parts[number] for paragraph, number in self.places]

    @property
    def text(self) -> str:
        """The text that is read."""
        return " ".join(part.text for part in self.parts)


@final
class SubtitleFile:
    """A parsed file of cues."""

    def __init__(self, reading: Reading, format: SubtitleFormat):  # noqa: A002
        if reading.with_targets and reading.source != reading.target:
            raise DataError(
                f"Training and evaluation need a translation for each text, but `{reading.path}` is a file of subtitles, and subtitles"
                " hold one language. Write pairs into a table, or name the file as `--input` of `antiphon predict`."
            )
        self.file: FileText = file_text(reading.path, reading.file.encoding)
        self.format = format
        self.cues = format.cues(self.file.text, str(reading.path))
        self._language = reading.file.languages[0] if reading.file.languages else ""
        self.paragraphs = [one for number, cue in enumerate(self.cues) for one in self._paragraphs(number, cue)]
        self.units = [unit for run in self._runs() for unit in self._units(run)]

    def line(self, place: int) -> int:
        """The line number of a letter, from 1."""
        return self.file.text.count("\n", 0, place) + 1

    def _paragraphs(self, number: int, cue: Cue) -> Iterator[Paragraph]:
        """The lines of a cue; those of another speaker are separate."""
        text, starts, begins = self.file.text, [cue.first], set[int]()
        for line in re.finditer(r"^", text[cue.first : cue.last], re.MULTILINE):
            if self.format.new_line.match(text, cue.first + line.start(), cue.last):
                starts.append(cue.first + line.start())
                begins.add(cue.first + line.start())
        for first, last in pairwise([*dict.fromkeys(starts), cue.last]):
            raw = text[first:last]
            last = first + len(raw.rstrip())
            if first < last:
                yield Paragraph(number, MarkedText(text, self.format.atoms(text, first, last)), first, last, begins=first in begins)

    def _runs(self) -> Iterator[list[Paragraph]]:
        """Paragraphs across which sentences may run."""
        run: list[Paragraph] = []
        for paragraph in self.paragraphs:
            if not paragraph.marked.text.strip():
                continue
            if run and not self._goes_on(run[-1], paragraph):
                yield run
                run = []
            run.append(paragraph)
        if run:
            yield run

    def _goes_on(self, one: Paragraph, other: Paragraph) -> bool:
        before, behind = self.cues[one.cue], self.cues[other.cue]
        apart = any(_BRACKETED.match(paragraph.marked.text.strip()) for paragraph in (one, other))
        return not (other.begins or apart) and before.start <= behind.start and -0.1 <= behind.start - before.end <= _PAUSE

    def _units(self, run: Sequence[Paragraph]) -> Iterator[Unit]:
        """The sentences of consecutive paragraphs."""
        texts = [paragraph.marked.text.strip(" ") for paragraph in run]
        left = [len(paragraph.marked.text) - len(paragraph.marked.text.lstrip(" ")) for paragraph in run]
        starts = [0]
        for text in texts:
            starts.append(starts[-1] + len(text) + 1)
        cut = boundaries(" ".join(texts), self._language)
        for number, paragraph in enumerate(run):
            inside = [place - starts[number] + left[number] for place in cut if starts[number] < place < starts[number + 1] - 1]
            for start, end in spans(paragraph.marked.text, allowed(paragraph.marked, inside)):
                paragraph.parts.append(paragraph.marked.part(start, end))
        waiting: list[tuple[Paragraph, int]] = []
        for number, paragraph in enumerate(run):
            for place in range(len(paragraph.parts)):
                waiting.append((paragraph, place))
                if place < len(paragraph.parts) - 1 or number == len(run) - 1 or starts[number + 1] in cut:
                    yield from _divided_again(waiting)
                    waiting = []


def _divided_again(waiting: Sequence[tuple[Paragraph, int]]) -> Iterator[Unit]:
    """A unit, or one for each cue if there are too many cues; none if there are no letters."""
    for places in [waiting] if len(waiting) <= _MOST_CUES else [[one] for one in waiting]:
        unit = Unit(tuple(places))
        if any(map(str.isalpha, unit.text)):
            yield unit


def located(reading: Reading, format: SubtitleFormat) -> Located:  # noqa: A002
    """A record for each sentence, with the seconds from the beginning of its first cue to the end of its last; cues without words are left
    out."""
    subtitles = SubtitleFile(reading, format)
    known = {id(paragraph) for unit in subtitles.units for paragraph, _ in unit.places}
    worded = {paragraph.cue for paragraph in subtitles.paragraphs if id(paragraph) in known}
    found: list[tuple[int, dict[str, object] | Skip]] = [
        (subtitles.line(cue.first), Skip("cue without words")) for number, cue in enumerate(subtitles.cues) if number not in worded
    ]
    for unit in subtitles.units:
        first, last = unit.places[0][0], unit.places[-1][0]
        record = {
            reading.source: unit.text,
            "start": subtitles.cues[first.cue].start,
            "end": subtitles.cues[last.cue].end,
            "cue": first.cue + 1,
        }
        found.append((subtitles.line(unit.parts[0].first), record))
    yield from sorted(found, key=lambda one: one[0])


@final
class SubtitleRewriter(Rewriter):
    """Subtitles with other texts; times, order, numbers, settings and notes are unchanged."""

    def __init__(self, reading: Reading, format: SubtitleFormat):  # noqa: A002
        self._subtitles = SubtitleFile(reading, format)
        self._width = reading.file.line_length or LINE

    def wants_links(self, unit: int) -> bool:
        """True where a sentence is to be divided, or has marks in it."""
        parts = self._subtitles.units[unit - 1].parts
        return len(parts) > 1 or any(part.has_marks for part in parts)

    def put(self, unit: int, said: Said) -> None:
        """Divide a translation over the cues of a sentence. Raises DataError for text that a cue cannot contain."""
        found, text = self._subtitles.units[unit - 1], plain_spaces(said.text)
        self._check(found.text, text)
        if text == found.text:
            return
        parts = found.parts
        pieces = divided([part.text for part in parts], text, said.links)
        written = [
            part.written(piece, _links_of(said.links, parts, pieces, number), self._subtitles.format.escaped)
            for number, (part, piece) in enumerate(zip(parts, pieces, strict=True))
        ]
        for (paragraph, number), segments in zip(found.places, written, strict=True):
            paragraph.said[number] = segments

    def _check(self, source: str, text: str) -> None:
        if not text:
            raise DataError("the translation is empty")
        if "-->" in text:
            raise DataError("the translation has an arrow, which is for times")
        atoms = [atom for atom in self._subtitles.format.atoms(text, 0, len(text)) if atom.kind != "text"]
        marks = [text[atom.start : atom.end] for atom in atoms if text[atom.start] in "<{"]
        if marks and self._subtitles.format.escaped("<") == "<":
            raise DataError(f"the translation has `{marks[0]}` that its source does not have")
        self._subtitles.file.check_writable(text)

    def content(self) -> bytes:
        """The content of the file."""
        text, at, found = self._subtitles.file.text, 0, list[str]()
        end = "\r\n" if "\r\n" in text else "\n"
        for paragraph in self._subtitles.paragraphs:
            if paragraph.said:
                lines = broken(segments_of(paragraph.marked, paragraph.first, paragraph.last, paragraph.parts, paragraph.said), self._width)
                found.extend((text[at : paragraph.first], end.join(lines)))
                at = paragraph.last
        return self._subtitles.file.content("".join([*found, text[at:]]))


def _links_of(
    links: tuple[tuple[int, int], ...] | None, parts: Sequence[Part], pieces: Sequence[str], number: int
) -> tuple[tuple[int, int], ...] | None:
    """The word links of one part, counted from its beginning."""
    if links is None:
        return None
    source, target = ([len(text.split()) for text in texts] for texts in ([part.text for part in parts], pieces))
    left, above = sum(source[:number]), sum(target[:number])
    inside = ((one - left, other - above) for one, other in links)
    return tuple((one, other) for one, other in inside if 0 <= one < source[number] and 0 <= other < target[number])
