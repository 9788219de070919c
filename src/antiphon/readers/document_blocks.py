"""Splits documents into sentences, and writes them back: blocks of text with inline marks, between which everything stays unchanged.

A block that was broken into lines within sentences is broken anew, to the width that it had; where lines end with sentences, they still do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from antiphon.contracts.reader import Located, Reading, Rewriter, Said, Skip
from antiphon.data.line_breaks import columns
from antiphon.errors import DataError
from antiphon.readers.file_text import FileText, file_text
from antiphon.readers.filled_text import allowed, filled, segments_of
from antiphon.readers.marked_text import MarkedText, Part, Segment, plain_spaces
from antiphon.readers.placeholders import check_placeholders
from antiphon.readers.sentences import boundaries, spans

_WIDEST = 120  # columns of lines that are broken anew


@final
@dataclass
class Block:
    """Text of a document that belongs together: a paragraph, a heading, a table cell, the value of an attribute."""

    first: int
    last: int
    marked: MarkedText
    continuation: str = ""
    """What stands before each line of it but the first."""
    within: tuple[int, int] | None = None
    """The tag that it is in, where it is the value of an attribute."""
    kind: str = ""
    """What the format calls it."""
    labels: frozenset[str] = frozenset()
    """The names of links that it may refer to."""
    parts: list[Part] = field(default_factory=list)
    """Its sentences."""


@dataclass(frozen=True)
class DocumentFormat:
    """The differences between document formats."""

    blocks: Callable[[str, str], Iterator[Block | tuple[int, str]]]
    """The blocks of a text in order, and what is none as (its place, the reason); the name of the file is given for errors."""
    put: Callable[[Block, Part, str, tuple[tuple[int, int], ...] | None], list[Segment]]
    """What was said of a part, as it is to be written."""
    stays: Callable[[str], bool]
    """Whether a word may not begin a line."""
    encoding: Callable[[bytes], str | None] = lambda _: None
    """What the first bytes of a file say of its encoding."""


@final
class Document:
    """A parsed document."""

    def __init__(self, reading: Reading, format: DocumentFormat):  # noqa: A002
        path = reading.path
        if reading.with_targets and reading.source != reading.target:
            raise DataError(
                f"Training and evaluation need a translation for each text, but `{path}` holds one language."
                " Write pairs into a table, or name the file as `--input` of `antiphon predict`."
            )
        encoding = reading.file.encoding
        if encoding == "utf-8" and path.is_file():
            with path.open("rb") as file:
                encoding = format.encoding(file.read(1024)) or encoding
        self.file: FileText = file_text(path, encoding)
        self.blocks: list[Block] = []
        self.left: list[tuple[int, str]] = []
        for one in format.blocks(self.file.text, str(path)):
            if isinstance(one, Block):
                self.blocks.append(one)
            else:
                self.left.append(one)
        self.units: list[tuple[Block, int]] = []
        language = reading.file.languages[0] if reading.file.languages else ""
        for block in self.blocks:
            text = block.marked.text
            for start, end in spans(text, allowed(block.marked, boundaries(text, language))):
                block.parts.append(block.marked.part(start, end))
                if _says_something(block.parts[-1]):
                    self.units.append((block, len(block.parts) - 1))


def _says_something(part: Part) -> bool:
    """Whether there are letters outside of text that must not be translated."""
    kept = {place for mark in part.marks if mark.verbatim for place in range(mark.start, mark.end)}
    return any(letter.isalpha() for place, letter in enumerate(part.text, part.start) if place not in kept)


def located(reading: Reading, format: DocumentFormat) -> Located:  # noqa: A002
    """A record for each sentence; blocks without text are left out."""
    document = Document(reading, format)
    found: list[tuple[int, dict[str, object] | Skip]] = [(place, Skip(reason)) for place, reason in document.left]
    found += [(block.parts[number].first, {reading.source: block.parts[number].text}) for block, number in document.units]
    line, at = 1, 0
    if not document.units:
        raise DataError(f"`{reading.path}` must have a text in it, but has none that could be translated.")
    order = {id(entry): number for number, (_, entry) in enumerate(found)}
    for place, entry in sorted(found, key=lambda one: (one[0], order[id(one[1])])):
        line += document.file.text.count("\n", at, place)
        at = place
        yield line, entry


@final
class DocumentRewriter(Rewriter):
    """A document with other texts; structure, code and addresses are unchanged."""

    def __init__(self, reading: Reading, format: DocumentFormat):  # noqa: A002
        self._document, self._format = Document(reading, format), format
        order = sorted(range(len(self._document.units)), key=lambda number: self._part(number).first)
        self._order = order  # units are numbered as they are read
        wrapped = [self._lines_of(block) for block in self._document.blocks]
        self._width = min(max((columns(line) for lines in wrapped if len(lines) > 1 for line in lines), default=_WIDEST), _WIDEST)
        self._said: dict[int, dict[int, tuple[str, tuple[tuple[int, int], ...] | None]]] = {}

    def _lines_of(self, block: Block) -> list[str]:
        text = block.marked.raw
        return [line.rstrip() for line in text[text.rfind("\n", 0, block.first) + 1 : block.last].split("\n")]

    def _part(self, number: int) -> Part:
        block, place = self._document.units[number]
        return block.parts[place]

    def wants_links(self, unit: int) -> bool:
        """True where there are marks within."""
        return self._part(self._order[unit - 1]).has_marks

    def put(self, unit: int, said: Said) -> None:
        """Put in the translation of a sentence. Raises DataError for a translation that cannot replace it."""
        block, number = self._document.units[self._order[unit - 1]]
        part, text = block.parts[number], plain_spaces(said.text)
        if not text:
            raise DataError("the translation is empty")
        if text == part.text:
            return
        check_placeholders(part.text, text)
        self._document.file.check_writable(text)
        self._format.put(block, part, text, said.links)
        self._said.setdefault(id(block), {})[number] = (text, said.links)

    def content(self) -> bytes:
        """The content of the file."""
        tags = self._new_tags()
        text, at, found = self._document.file.text, 0, list[str]()
        for block in self._document.blocks:
            if id(block) in self._said and block.within is None:
                for mark in block.marked.marks:
                    if mark.order in tags:
                        mark.raw = tags[mark.order][1] + (" " if mark.raw.endswith(" ") else "")
                found.extend((_patched(text, at, block.first, tags), self._written(block, tags)))
                at = block.last
        return self._document.file.content("".join([*found, _patched(text, at, len(text), tags)]))

    def _new_tags(self) -> dict[int, tuple[int, str]]:
        """Tags with new attribute values: beginning, end, and new text of each."""
        values: dict[tuple[int, int], list[Block]] = {}
        for block in self._document.blocks:
            if block.within is not None and id(block) in self._said:
                values.setdefault(block.within, []).append(block)
        tags = {}
        for (first, last), blocks in values.items():
            at, found = first, list[str]()
            for block in blocks:
                found.extend((self._document.file.text[at : block.first], self._written(block, {})))
                at = block.last
            tags[first] = (last, "".join([*found, self._document.file.text[at:last]]))
        return tags

    def _written(self, block: Block, tags: Mapping[int, tuple[int, str]]) -> str:
        said = {number: self._format.put(block, block.parts[number], *one) for number, one in self._said[id(block)].items()}
        text = block.marked.raw
        if not any("\n" in block.parts[number].raw for number in range(len(block.parts))):
            found, at = list[str](), block.first
            for number, segments in sorted(said.items()):
                part = block.parts[number]
                found.extend((_patched(text, at, part.first, tags), "".join(segment.raw for segment in segments)))
                at = part.last
            return "".join([*found, _patched(text, at, block.last, tags)])
        start = text.rfind("\n", 0, block.first) + 1
        used = columns(text[start : block.first])
        indent = columns(block.continuation)
        segments = segments_of(block.marked, block.first, block.last, block.parts, said)
        end = "\r\n" if "\r\n" in text else "\n"
        return f"{end}{block.continuation}".join(filled(segments, self._width - indent, max(used - indent, 0), self._format.stays))


def _patched(text: str, first: int, last: int, tags: Mapping[int, tuple[int, str]]) -> str:
    """A stretch of the text with new tags in it."""
    found, at = list[str](), first
    for start, (end, tag) in sorted(tags.items()):
        if first <= start and end <= last:
            found.extend((text[at:start], tag))
            at = end
    return "".join([*found, text[at:last]])


def plainly(escaped: Callable[[str], str]) -> Callable[[Block, Part, str, tuple[tuple[int, int], ...] | None], list[Segment]]:
    """`put` for a format in which every letter has only one spelling."""
    return lambda _, part, said, links: part.written(said, links, escaped)


def text_of(segments: Sequence[Segment]) -> str:
    """Segments as written in the file."""
    return "".join(segment.raw for segment in segments)
