"""The block structure of Markdown: paragraphs, headings and table cells, and everything else (CommonMark 0.31, section 4 and 5, and GFM).

Unusual: lines are told apart one by one, with the indentation of the lists that they are in, and no tree is made of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import final

_LINE = re.compile(r"[^\n]*(?:\n|\Z)")
_QUOTE = re.compile(r"(?:[ \t]{0,3}>[ \t]?)+")
_ITEM = re.compile(r"([ \t]*)([-*+]|\d{1,9}[.)])([ \t]+|$)(\[[ xX]\][ \t]+)?")
_HEADING = re.compile(r"[ \t]{0,3}#{1,6}(?=[ \t]|$)[ \t]*")
_CLOSING = re.compile(r"(?:(?:^|[ \t]+)#+)?(?:[ \t]*\{[#.:][^{}]*\})?[ \t]*$")
_UNDERLINE = re.compile(r"[ \t]{0,3}(?:=+|-+)[ \t]*$")
_RULE = re.compile(r"[ \t]{0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")
_FENCE = re.compile(r"[ \t]*(`{3,}(?=[^`]*$)|~{3,}|\$\$)")
_DEFINITION = re.compile(r"[ \t]{0,3}\[(?!\^)((?:[^\[\]\\]|\\.)+)\]:[ \t]*\S*")
_NOTE = re.compile(r"[ \t]{0,3}\[\^[^\]\s]+\]:[ \t]*")
_DIVIDER = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_HTML = re.compile(r"[ \t]{0,3}<(?:!--|[!?]|/?[A-Za-z][^\s<>]*(?:[\s/>]|$))")
_BLOCK_TAGS = (
    "address article aside base basefont blockquote body caption center col colgroup dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html iframe legend li link main menu "
    "menuitem nav noframes ol optgroup option p param script style pre textarea search section summary table tbody td tfoot "
    "th thead title tr track ul svg video audio picture img br"
)
_BLOCK_TAG = re.compile(rf"[ \t]{{0,3}}</?(?:{'|'.join(_BLOCK_TAGS.split())})(?=[\s/>]|$)", re.IGNORECASE)
_DIRECTIVE = re.compile(r"[ \t]*(?::::|!!!|\?\?\?\+?[ \t]|\{%.*%\}[ \t]*$|\{\{.*\}\}[ \t]*$|<!--.*-->[ \t]*$)")
_HARD = re.compile(r"(?: {2,}|\\)$")


@dataclass(frozen=True)
class Stretch:
    """The text of a block: its position, its line ends with the prefixes of the next lines, and its kind."""

    first: int
    last: int
    breaks: tuple[tuple[int, int], ...] = ()
    is_cell: bool = False


@dataclass(frozen=True)
class Left:
    """A stretch that is not text, or HTML with texts of its own."""

    first: int
    last: int
    reason: str


@final
@dataclass
class BlockScan:
    """Goes through the lines of a file."""

    text: str
    labels: set[str] = field(default_factory=set)
    """The names of links that are defined, as they are written; complete when all lines were read."""
    _lines: list[tuple[int, int]] = field(default_factory=list)
    """The lines of the paragraph: where the text of each begins and ends."""
    _indents: list[int] = field(default_factory=list)
    _blank: bool = True
    _was_listed: bool = False
    _depth: int = 0

    def blocks(self) -> Iterator[Stretch | Left]:
        """The blocks, in order."""
        spans = [(line.start(), line.start() + len(line[0].rstrip("\r\n"))) for line in _LINE.finditer(self.text) if line[0]]
        at = self._front(spans)
        if at:
            yield Left(0, spans[at - 1][1], "front matter")
        while at < len(spans):
            first, last = spans[at]
            quote = _QUOTE.match(self.text, first, last)
            start = quote.end() if quote else first
            line = self.text[start:last]
            deeper = self.text.count(">", first, start) > self._depth
            if self._lines and deeper:
                yield from self._ended()
            if deeper or not self._lines:
                self._depth = self.text.count(">", first, start)
            if not line.strip():
                yield from self._ended()
                self._blank = True
                at += 1
                continue
            self._was_listed = bool(self._indents)
            indent = self._leave(line)
            if (fence := _FENCE.match(line)) is not None and (indent < 4 or not self._blank):
                yield from self._ended()
                end = self._fenced(spans, at, fence[1])
                yield Left(start, spans[end - 1][1], "code" if fence[1][0] != "$" else "formula")
                at = end
            elif indent >= 4 and not self._lines:
                yield Left(start, last, "code")
                at += 1
            elif (end := self._html(spans, at, line)) > at:
                yield from self._ended()
                yield Left(start, spans[end - 1][1], "HTML")
                at = end
            elif not self._lines and (end := self._table(spans, at)) > at:
                yield from (cell for row in range(at, end) if row != at + 1 for cell in self._cells(*spans[row]))
                at = end
            else:
                yield from self._line(start, last)
                at += 1
            self._blank = False
        yield from self._ended()

    def _front(self, spans: list[tuple[int, int]]) -> int:
        """The number of lines of the front matter."""
        mark = self.text[slice(*spans[0])].rstrip() if spans else ""
        if mark not in ("---", "+++"):
            return 0
        ends = ("---", "...") if mark == "---" else ("+++",)
        return next((at + 1 for at in range(1, len(spans)) if self.text[slice(*spans[at])].rstrip() in ends), 0)

    def _leave(self, line: str) -> int:
        """Close the list items that a line does not belong to; returns its indentation within the others."""
        width = len(line.expandtabs(4)) - len(line.expandtabs(4).lstrip())
        if self._lines and _ITEM.match(line) is None:
            return 0  # it goes on
        while self._indents and width < self._indents[-1]:
            self._indents.pop()
        return width - (self._indents[-1] if self._indents else 0)

    def _fenced(self, spans: list[tuple[int, int]], at: int, mark: str) -> int:
        """The line after a fenced block."""
        if mark == "$$" and self.text[slice(*spans[at])].count("$$") > 1:
            return at + 1
        closing = re.compile(rf"(?:[ \t]{{0,3}}>)*[ \t]*{re.escape(mark[0])}{{{len(mark)},}}[ \t]*$" if mark != "$$" else r".*\$\$[ \t]*$")
        return next((end + 1 for end in range(at + 1, len(spans)) if closing.match(self.text, *spans[end])), len(spans))

    def _html(self, spans: list[tuple[int, int]], at: int, line: str) -> int:
        """The line after an HTML block that begins here, or this one."""
        if _HTML.match(line) is None or (self._lines and _BLOCK_TAG.match(line) is None and not line.lstrip().startswith("<!--")):
            return at
        only_tag = re.match(r"[ \t]*</?[A-Za-z][^<>]*>[ \t]*$", line)
        if _BLOCK_TAG.match(line) is None and only_tag is None and not re.match(r"[ \t]*<[!?]", line):
            return at
        for begin, end in (("<!--", "-->"), ("<script", "</script>"), ("<pre", "</pre>"), ("<style", "</style>")):
            if line.lstrip().lower().startswith(begin):
                rest = range(at, len(spans))
                return next((one + 1 for one in rest if end in self.text[slice(*spans[one])].lower()), len(spans))
        return next((one for one in range(at, len(spans)) if not self.text[slice(*spans[one])].strip()), len(spans))

    def _table(self, spans: list[tuple[int, int]], at: int) -> int:
        """The line after a table that begins here, or this one."""
        if at + 1 >= len(spans) or "|" not in self.text[slice(*spans[at])]:
            return at
        divider = self.text[slice(*spans[at + 1])]
        if "-" not in divider or "|" not in divider or not _DIVIDER.match(_QUOTE.sub("", divider, count=1)):
            return at
        rest = range(at + 2, len(spans))
        return next((one for one in rest if "|" not in self.text[slice(*spans[one])]), len(spans))

    def _cells(self, first: int, last: int) -> Iterator[Stretch]:
        quote = _QUOTE.match(self.text, first, last)
        start = quote.end() if quote else first
        for cell in re.finditer(r"(?:[^|\\]|\\.)+", self.text[start:last]):
            inner = cell[0].strip()
            if inner:
                begin = start + cell.start() + len(cell[0]) - len(cell[0].lstrip())
                yield Stretch(begin, begin + len(inner), is_cell=True)

    def _line(self, start: int, last: int) -> Iterator[Stretch | Left]:
        """Process a line outside of special blocks: of a paragraph, a heading, or a separator between blocks."""
        line = self.text[start:last]
        if (self._lines and _UNDERLINE.match(line)) or _RULE.match(line):
            yield from self._ended()
        elif (heading := _HEADING.match(line)) is not None:
            yield from self._ended()
            self._lines.append((start + heading.end(), start + max(heading.end(), _CLOSING.search(line).start())))  # type: ignore[union-attr]
            yield from self._ended()
        elif (directive := _DIRECTIVE.match(line)) is not None:
            yield from self._ended()
            yield Left(start, last, "directive")
            if directive[0].strip()[:3] in ("!!!", "???"):
                self._indents.append((self._indents[-1] if self._indents else 0) + 4)
        elif not self._lines and (named := _DEFINITION.match(line)) is not None:
            self.labels.add(named[1])
            yield Left(start, last, "address of a link")
        elif (note := _NOTE.match(line)) is not None:
            yield from self._ended()
            self._indents.append(4)
            self._begin(start + note.end(), last)
        elif (item := _ITEM.match(line)) is not None and not (
            self._lines and not self._was_listed and item[2][:-1] not in ("", "1")  # a number in a sentence
        ):
            yield from self._ended()
            width = len(line[: item.end(2)].expandtabs(4)) + (1 if len(item[3]) > 4 or not item[3] else len(item[3]))
            self._indents.append(width)
            rest = start + item.end()
            if rest < last and (_ITEM.match(self.text, rest, last) or _HEADING.match(self.text, rest, last)):
                yield from self._line(rest, last)
            elif rest < last and not _FENCE.match(self.text, rest, last):
                self._begin(rest, last)
        else:
            self._begin(start, last)
            if _HARD.search(line):
                yield from self._ended()

    def _begin(self, start: int, last: int) -> None:
        """Add a line to the paragraph."""
        line = self.text[start:last]
        inner = _HARD.sub("", line)
        left = start + len(inner) - len(inner.lstrip())
        if inner.strip():
            self._lines.append((left, start + len(inner.rstrip())))

    def _ended(self) -> Iterator[Stretch]:
        """The paragraph that ends here."""
        lines, self._lines = self._lines, []
        if lines and lines[0][0] < lines[-1][1]:
            breaks = tuple((one[1], other[0]) for one, other in pairwise(lines))
            yield Stretch(lines[0][0], lines[-1][1], breaks)
