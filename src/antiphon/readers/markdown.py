"""Documents in Markdown (CommonMark 0.31 and GitHub's extensions): paragraphs, headings, lists, quotes and tables by sentence.

Code, formulas, addresses, front matter and directives stay; in blocks of HTML it is as in `html`. A text is written as it was said where it
is read again as that; where its letters would mean something else, they are escaped.
"""

import re
from collections.abc import Iterator
from functools import partial

from antiphon.contracts.reader import ReaderPlugin
from antiphon.errors import DataError
from antiphon.readers import html
from antiphon.readers.document_blocks import Block, DocumentFormat, DocumentRewriter, located, text_of
from antiphon.readers.markdown_blocks import BlockScan, Left, Stretch
from antiphon.readers.markdown_inline import inline_atoms, label_of
from antiphon.readers.marked_text import MarkedText, Part, Segment

_STARTS = re.compile(r"[-*+>|]|#{1,6}(?:\s|$)|\d{1,9}[.)]|~{3,}|`{3,}|=+$|:|\$\$|!!!|\?\?\?|<(?![A-Za-z][A-Za-z0-9+.-]+:)|\[[^\]]*\]:")
_SPECIAL = (re.compile(r"[\\`*\[\]<]"), re.compile(r"[\\`*_\[\]<~$&|{:]"))


def blocks(text: str, name: str) -> Iterator[Block | tuple[int, str]]:
    """The blocks of a file, and the stretches that are none; texts within HTML blocks are split as in HTML."""
    scan = BlockScan(text)
    found = list(scan.blocks())
    labels = frozenset(map(label_of, scan.labels))
    for one in found:
        if isinstance(one, Stretch):
            yield _block(text, one, labels)
        elif one.reason == "HTML" and re.match(r"\s*</?[A-Za-z]", text[one.first : one.last]):
            yield from html.blocks(text, name, one.first, one.last)
        else:
            yield one.first, one.reason if isinstance(one, Left) else ""


def _block(text: str, one: Stretch, labels: frozenset[str]) -> Block:
    marked = MarkedText(text, inline_atoms(text, one.first, one.last, list(one.breaks), labels))
    continuation = re.sub(r"^.*\n", "", text[slice(*one.breaks[0])], flags=re.DOTALL) if one.breaks else ""
    return Block(one.first, one.last, marked, continuation, kind="cell" if one.is_cell else "text", labels=labels)


def put(block: Block, part: Part, said: str, links: tuple[tuple[int, int], ...] | None) -> list[Segment]:
    """The translation with its marks, escaped where necessary. Raises DataError if its marks would get another meaning."""
    if not block.kind:
        return html.FORMAT.put(block, part, said, links)
    for escaped in _WAYS:
        segments = _guarded(block, part, part.written(said, links, escaped))
        raw = text_of(segments)
        again = MarkedText(raw, inline_atoms(raw, 0, len(raw), [], block.labels))
        if again.text.strip() == said and _marks(again) == _marks(part):
            return segments
    raise DataError("its marks (emphasis, a link) would not be read as marks at their places in the translation")


_WAYS = (str, partial(_SPECIAL[0].sub, r"\\\g<0>"), partial(_SPECIAL[1].sub, r"\\\g<0>"))
"""Letters as they are; those escaped that mostly mean something; and all that may."""


def _guarded(block: Block, part: Part, segments: list[Segment]) -> list[Segment]:
    """Segments, escaped where they begin a line, or lie in a table cell."""
    if block.kind == "cell":
        return [Segment(re.sub(r"(?<!\\)\|", r"\\|", one.raw), one.shown) if one.shown else one for one in segments]
    if part.first == block.first and segments and segments[0].shown == segments[0].raw and (mark := _STARTS.match(text_of(segments))):
        raw = segments[0].raw
        place = len(mark[0].rstrip()) - 1 if raw[0].isdigit() else 0
        return [Segment(f"{raw[:place]}\\{raw[place:]}", raw), *segments[1:]]
    return segments


def _marks(marked: MarkedText | Part) -> list[tuple[str, bool]]:
    """The marks in a text, without their order."""
    return sorted((mark.raw.strip() + mark.closing, mark.is_pair) for mark in marked.marks)


FORMAT = DocumentFormat(blocks=blocks, put=put, stays=lambda word: _STARTS.match(word) is not None)

plugin = ReaderPlugin(
    name="markdown",
    summary="Markdown, for prediction; one record per sentence, with structure, code and links kept",
    suffixes=(".md", ".markdown", ".mdown"),
    read=partial(located, format=FORMAT),
    back=partial(DocumentRewriter, format=FORMAT),
    settings=frozenset({"encoding", "languages"}),
    unit="sentence",
)
