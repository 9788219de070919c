"""HTML and SVG from nested elements. Text is escaped unless it is `Markup`, so data can never become markup.

Unusual: there is no template language. A page is a value made by functions, and forgetting to escape is not possible: a plain string
is always text. Neither `style` attributes nor scripts are ever written, so that the page's content security policy can forbid both.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import final

Attributes = Mapping[str, object]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9:-]*")
_VOID = frozenset({"br", "hr", "meta", "link", "img", "col"})
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@final
class Markup(str):
    """A string that is markup already. Only the functions of this file turn data into markup."""

    __slots__ = ()


def text(value: object) -> Markup:
    """A value as text: escaped; characters that a page cannot show, or that would reverse the direction of text, are made visible."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(visible(str(value))))


def visible(value: str) -> str:
    """A text in which every character is visible: control characters as symbols, direction marks and the like by their numbers."""
    return "".join(map(_shown, value))


def element(name: str, attributes: Attributes | None = None, *children: object) -> Markup:
    """An element. Attributes that are None or False are left out; children that are no `Markup` become text."""
    opened = f"<{name}{_attributes(attributes or {})}"
    if name in _VOID:
        assert not children, f"<{name}> holds nothing"
        return Markup(f"{opened}>")
    return Markup(f"{opened}>{join(children)}</{name}>")


def join(parts: Iterable[object], between: str = "") -> Markup:
    """Several parts one after the other; parts that are None are left out."""
    return Markup(text(between).join(text(part) for part in parts if part is not None))


def section(identifier: str, title: str, *children: object) -> Markup:
    """A part of the page with a heading that the table of contents leads to."""
    return element("section", {"id": identifier}, element("h2", None, title), *children)


def paragraph(*children: object) -> Markup:
    """A paragraph."""
    return element("p", None, *children)


def note(*children: object) -> Markup:
    """A discreet remark: what a number means, or what is missing and how to get it."""
    return element("p", {"class": "note"}, *children)


def warning(*children: object) -> Markup:
    """A prominent remark."""
    return element("p", {"class": "warning"}, element("strong", None, "Look here: "), *children)


def code(value: object) -> Markup:
    """A command, a setting or a value."""
    return element("code", None, value)


def table(header: Iterable[object], rows: Iterable[Iterable[object]], *, numeric: Iterable[int] = (), caption: str = "") -> Markup:
    """A table that scrolls separately on a narrow screen; the columns in `numeric` are right-aligned. Columns that are empty in all rows
    are left out."""
    right, header, listed = frozenset(numeric), list(header), [list(row) for row in rows]
    shown = [column for column in range(len(header)) if not listed or any(row[column] not in ("", None) for row in listed)]

    def cell(kind: str, column: int, value: object) -> Markup:
        scope = "col" if kind == "th" else None
        return element(kind, {"class": "number" if column in right else None, "scope": scope}, value)

    head = element("tr", None, *(cell("th", column, header[column]) for column in shown))
    body = (element("tr", None, *(cell("td", column, row[column]) for column in shown)) for row in listed)
    top = element("caption", None, caption) if caption else None
    return element("div", {"class": "scroll"}, element("table", None, top, element("thead", None, head), element("tbody", None, *body)))


def folded(summary: object, *children: object) -> Markup:
    """Details that most readers skip, which can be opened."""
    return element("details", None, element("summary", None, summary), *children)


def facts(pairs: Iterable[tuple[object, object]]) -> Markup:
    """Names with values, as a description list."""
    rows = (element("div", None, element("dt", None, name), element("dd", None, value)) for name, value in pairs)
    return element("dl", {"class": "facts"}, *rows)


def clipped(value: str, most: int) -> tuple[str, str]:
    """A text cut to at most `most` characters, and a remark about what was left out ("" when nothing was)."""
    if len(value) <= most:
        return value, ""
    return value[:most], f" ... ({len(value) - most:,} more characters)"


def display_width(value: str) -> int:
    """The display width of a text in a monospaced font: wide East Asian characters take two columns, combining marks none."""
    return sum(0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in value)


def _attributes(attributes: Attributes) -> str:
    written = []
    for name, value in attributes.items():
        assert _NAME.fullmatch(name), f"{name!r} is no attribute"
        assert name != "style", "the content security policy forbids inline styles"
        assert not name.startswith("on"), "the content security policy forbids scripts"
        if value is None or value is False:
            continue
        written.append(f" {name}" if value is True else f' {name}="{text(str(value))}"')
    return "".join(written)


def _shown(letter: str) -> str:
    """The character itself, or a replacement if it must not appear on the page."""
    number = ord(letter)
    if number < 32 and letter not in "\t\n":
        return chr(0x2400 + number)  # the picture of the control character
    if number == 127:
        return "\u2421"
    if 0xD800 <= number < 0xE000 or letter in _BIDI:  # a lone surrogate cannot be written; direction marks would reorder the page
        return f"\\u{number:04x}"
    if 0x80 <= number < 0xA0 or number & 0xFFFE == 0xFFFE:
        return f"\\x{number:02x}"
    return letter
