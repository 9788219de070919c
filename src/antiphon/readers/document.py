"""Plain text as documents: paragraphs split into sentences, regardless of line breaks. `txt` is the format with one text per line.

Blank lines part paragraphs. A line end within one is a space where the line is nearly as long as the longest; behind a short line, and
before a line that is indented or begins an item, it stays.
"""

import re
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

from antiphon.contracts.reader import ReaderPlugin
from antiphon.data.line_breaks import columns
from antiphon.readers.document_blocks import Block, DocumentFormat, DocumentRewriter, located, plainly
from antiphon.readers.marked_text import Atom, MarkedText

_PARAGRAPH = re.compile(r"[^\n]*\S[^\n]*(?:\n[^\n]*\S[^\n]*)*")
_LINE = re.compile(r"[^\n]+")
_ITEM = re.compile(r"[ \t]*(?:[-*•+>]|\(?\d{1,3}[.)])[ \t]+")
_FULL = 0.7  # of the longest line: a line that was broken because it was full
_SHORTEST = 40  # columns of lines that somebody broke


def blocks(text: str, _: str) -> Iterator[Block]:
    """The paragraphs of a file."""
    for paragraph in _PARAGRAPH.finditer(text):
        lines = [(line.start(), line.start() + len(line[0].rstrip())) for line in _LINE.finditer(text, *paragraph.span())]
        longest = max(columns(text[start:end]) for start, end in lines)
        group: list[tuple[int, int]] = []
        for start, end in lines:
            if group and not _goes_on(text[slice(*group[-1])], text[start:end], longest, first=len(group) == 1):
                yield _block(text, group)
                group = []
            group.append((start, end))
        yield _block(text, group)


def _goes_on(line: str, following: str, longest: int, *, first: bool) -> bool:
    full = longest >= _SHORTEST and columns(line) >= _FULL * longest
    indents = [len(one) - len(one.lstrip()) for one in (line, following)]
    item = _ITEM.match(line)
    hangs = first and item is not None and indents[1] >= item.end() - 1
    return full and _ITEM.match(following) is None and (indents[1] == indents[0] or hangs or (first and indents[1] < indents[0]))


def _block(text: str, lines: list[tuple[int, int]]) -> Block:
    start, end = lines[0]
    line = text[start:end]
    item = _ITEM.match(line)
    first, last = start + (item.end() if item else len(line) - len(line.lstrip())), lines[-1][1]
    atoms: list[Atom] = []
    at = first
    for (_, one), (other, behind) in pairwise(lines):
        begin = other + len(text[other:behind]) - len(text[other:behind].lstrip())
        atoms.extend((Atom(at, one, "text", text[at:one]), Atom(one, begin, "text", " ")))
        at = begin
    atoms.append(Atom(at, last, "text", text[at:last]))
    second = text[slice(*lines[1])] if len(lines) > 1 else ""
    return Block(first, last, MarkedText(text, atoms), second[: len(second) - len(second.lstrip())])


FORMAT = DocumentFormat(blocks=blocks, put=plainly(str), stays=lambda word: _ITEM.match(f"{word} ") is not None)

plugin = ReaderPlugin(
    name="document",
    summary="plain text in paragraphs, for prediction; one record per sentence (`txt` is one text per line)",
    suffixes=(".txt", ".text"),
    read=partial(located, format=FORMAT),
    back=partial(DocumentRewriter, format=FORMAT),
    recognizes=lambda _: False,  # it is asked for
    settings=frozenset({"encoding", "languages"}),
    unit="sentence",
)
