"""Inline structure of Markdown: emphasis, links, code, HTML, escapes, as marks and text (CommonMark 0.31, section 6; GFM).

Addresses, code, formulas and placeholders of templates are text that stays. Of a link that is named by its own text, `[text]` or
`[text][]`, the name is kept when the text changes: `[Text][text]`.
"""

import re
from collections.abc import Iterator, Set
from html import unescape
from itertools import pairwise
from typing import NamedTuple

from antiphon.readers.html_tokens import TAG, VOID
from antiphon.readers.marked_text import Atom

PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_ENTITY = r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]*);"
_ADDRESS = r"<(?P<inner>[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*|[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+)>"
_BARE = r"(?<![\w/])(?:https?://|www\.)[^\s<>\[\]`]*[^\s<>\[\]`.,:;!?\"'*_~)]"
_TEMPLATE = r"\{\{.*?\}\}|\{%.*?%\}|\$\{[^{}\n]*\}"
_FORMULA = r"(?<![\\$])\$(?![\s$])[^$\n]*?(?<![\s\\])\$(?!\d)"
_TOKEN = re.compile(
    rf"(?P<escape>\\[{re.escape(PUNCTUATION)}])|(?P<code>`+)|(?P<address>{_ADDRESS})|(?P<comment><!--.*?-->)|(?P<tag>{TAG})"
    rf"|(?P<entity>{_ENTITY})|(?P<bare>{_BARE})|(?P<template>{_TEMPLATE})|(?P<formula>{_FORMULA})|(?P<note>\[\^[^\]\s]+\])"
    r"|(?P<emoji>(?<!\w):[a-z0-9_+-]*[a-z][a-z0-9_+-]*:(?!\w))|(?P<image>!?\[)|(?P<end>\])|(?P<run>\*+|_+|~~(?!~))|(?P<classes>(?<=[)\]`])\{[:#.][^{}\n]*\})",
    re.DOTALL,
)
_TARGET = re.compile(
    r"\(\s*(?:<[^<>\n]*>|(?:[^\s()\\]|\\.|\((?:[^\s()\\]|\\.)*\))*)(?:\s+(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\([^()]*\)))?\s*\)",
    re.DOTALL,
)
_LABEL = re.compile(r"\[((?:[^\[\]\\]|\\.)*)\]")


class Run(NamedTuple):
    """Emphasis characters that are not matched yet: from `start` to before `end`."""

    start: int
    end: int
    opens: bool
    closes: bool


def label_of(text: str) -> str:
    """The label of a link, normalized for comparison."""
    return " ".join(text.split()).casefold()


def inline_atoms(text: str, first: int, last: int, breaks: list[tuple[int, int]], labels: Set[str]) -> list[Atom]:
    """The atoms of a paragraph.

    breaks    from where to where there are line ends, with what begins the next line
    labels    the names of links that are defined in the file
    """
    found: list[Atom] = []
    openers: list[tuple[int, int]] = []  # brackets that may begin a link
    runs: list[Run] = []
    at = first
    while (token := _TOKEN.search(text, at, last)) is not None:
        start, end = token.start(), token.end()
        kind = next(name for name in _KINDS if token[name] is not None)
        at = end
        if kind == "escape":
            found.append(Atom(start, end, "text", text[start + 1 : end]))
        elif kind == "code":
            close = re.compile(rf"(?<!`){token[0]}(?!`)").search(text, end, last)
            if close is not None:
                at = close.end()
                found.append(Atom(start, at, "verbatim", _code(text, end, close.start(), breaks)))
        elif kind in ("address", "bare", "template", "formula"):
            found.append(Atom(start, end, "verbatim", token["inner"] or token[0]))
        elif kind == "tag":
            is_alone = token["name"].lower() in VOID or token[0].endswith("/>")
            found.append(Atom(start, end, "alone" if is_alone else "close" if token["close"] else "open"))
        elif kind in ("comment", "note", "emoji", "classes"):
            found.append(Atom(start, end, "alone"))
        elif kind == "entity":
            found.append(Atom(start, end, "text", unescape(token[0])))
        elif kind == "image":
            openers.append((start, end))
        elif kind == "end" and openers:
            opener = openers.pop()
            closing = _closing(text, opener, start, last, labels)
            if closing is not None:
                at = closing[0]
                found.extend((Atom(*opener, "open"), Atom(start, at, "close", closing[1])))
        elif kind == "run":
            runs.append(_run(text, start, end, first, last))
    taken = [*found, *_emphasis(text, runs, [atom for atom in found if atom.kind in ("open", "close")])]
    return _with_text(text, first, last, taken, breaks)


_KINDS = (
    "escape",
    "code",
    "address",
    "comment",
    "tag",
    "entity",
    "bare",
    "template",
    "formula",
    "note",
    "emoji",
    "image",
    "end",
    "run",
    "classes",
)


def _code(text: str, start: int, end: int, breaks: list[tuple[int, int]]) -> str:
    for first, last in reversed(breaks):
        if start <= first and last <= end:
            text = f"{text[:first]} {text[last:]}"
            end -= last - first - 1
    inner = text[start:end]
    return inner[1:-1] if len(inner) > 2 and inner[0] == inner[-1] == " " and inner.strip() else inner.strip()


def _closing(text: str, opener: tuple[int, int], start: int, last: int, labels: Set[str]) -> tuple[int, str] | None:
    """Where the closing part of a link ends, and its text, if there is a link between two brackets."""
    if (target := _TARGET.match(text, start + 1, last)) is not None:
        return target.end(), ""
    own = label_of(text[opener[1] : start])
    if (label := _LABEL.match(text, start + 1, last)) is not None and label_of(label[1] or own) in labels:
        return label.end(), "" if label[1].strip() else f"][{text[opener[1] : start]}]"
    return (start + 1, f"][{text[opener[1] : start]}]") if own in labels else None


def _run(text: str, start: int, end: int, first: int, last: int) -> Run:
    """Whether emphasis characters may open or close (CommonMark, "left-flanking" and "right-flanking")."""
    before = text[start - 1] if start > first else " "
    behind = text[end] if end < last else " "
    punctuated = [not letter.isalnum() and not letter.isspace() for letter in (before, behind)]
    left = not behind.isspace() and (not punctuated[1] or before.isspace() or punctuated[0])
    right = not before.isspace() and (not punctuated[0] or behind.isspace() or punctuated[1])
    if text[start] == "_":
        return Run(start, end, left and (not right or punctuated[0]), right and (not left or punctuated[1]))
    return Run(start, end, left, right)


def _emphasis(text: str, runs: list[Run], links: list[Atom]) -> Iterator[Atom]:
    """Pairs of emphasis (CommonMark, "process emphasis"), none of which crosses the border of a link."""
    free = list(runs)
    closer = 0
    while closer < len(free):
        run = free[closer]
        opener = next(
            (
                place
                for place in range(closer - 1, -1, -1)
                if run.closes and _matches(text, free[place], run) and _beside(free[place], run, links)
            ),
            None,
        )
        if opener is None:
            closer += 1
            continue
        begun = free[opener]
        size = 2 if begun.end - begun.start > 1 and run.end - run.start > 1 else 1
        yield Atom(begun.end - size, begun.end, "open")
        yield Atom(run.start, run.start + size, "close")
        left = begun._replace(end=begun.end - size)
        right = run._replace(start=run.start + size)
        free[opener : closer + 1] = [one for one in (left, right) if one.start < one.end]
        closer = opener + (left.start < left.end)


def _matches(text: str, opener: Run, closer: Run) -> bool:
    sizes = opener.end - opener.start, closer.end - closer.start
    if not opener.opens or text[opener.start] != text[closer.start] or (text[opener.start] == "~" and sizes[0] != sizes[1]):
        return False
    return not ((opener.closes or closer.opens) and sum(sizes) % 3 == 0 and (sizes[0] % 3 or sizes[1] % 3))


def _beside(opener: Run, closer: Run, links: list[Atom]) -> bool:
    """Whether the links between two places are balanced."""
    depth = 0
    for atom in sorted(links):
        if opener.start < atom.start < closer.start:
            depth += 1 if atom.kind == "open" else -1
            if depth < 0:
                return False
    return depth == 0


def _with_text(text: str, first: int, last: int, taken: list[Atom], breaks: list[tuple[int, int]]) -> list[Atom]:
    """The atoms in order, with the text between them; a line end is a space."""
    inside = [(atom.start, atom.end) for atom in taken if atom.kind == "verbatim" or atom.kind in ("alone", "open", "close")]
    ends = [Atom(*one, "text", " ") for one in breaks if not any(start <= one[0] and one[1] <= end for start, end in inside)]
    found: list[Atom] = []
    ordered = sorted([*taken, *ends, Atom(first, first, "text"), Atom(last, last, "text")], key=lambda atom: (atom.start, atom.end))
    for one, other in pairwise(ordered):
        if one.start < one.end:
            found.append(one)
        if one.end < other.start:
            found.append(Atom(one.end, other.start, "text", text[one.end : other.start]))
    return found
