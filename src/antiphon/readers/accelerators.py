"""Keyboard accelerators in the labels of programs: `&File`, `_File`. They are removed before a model reads a text, and put into the
translation.

A mark stands before a letter: of GTK `_`, of Qt, KDE and Windows `&`, of LibreOffice `~`; `X-Accelerator-Marker` in the header of a PO file
names it. In AT&T, R&D, snake_case and CONSTANT_NAMES it is none.
"""

import re
from collections import Counter
from collections.abc import Sequence

from antiphon.readers.placeholders import masked

_MARKS = "_&~"
_LONGEST_LABEL = 80
_LEAST = {"_": 0.0, "&": 0.0, "~": 0.02}  # ~ is also somebody's home
_WITH_KEYS = re.compile(r"[A-Za-z\u00c0-\u058f\u10a0-\u10ff]")  # letters of scripts that keyboards have keys for


def accelerator_mark(texts: Sequence[str]) -> str | None:
    """The mark of most labels among these texts, if at least two, or 1 text in 50, have one; None otherwise."""
    counts = Counter(mark for text in texts if len(text) <= _LONGEST_LABEL for mark in _MARKS if len(_places(text, mark)) == 1)
    found = counts.most_common(1)
    if not found:
        return None
    mark, count = found[0]
    return mark if count >= min(2, len(texts) / 50) and count >= _LEAST[mark] * len(texts) else None


def without_accelerator(text: str, mark: str | None) -> tuple[str, str | None]:
    """The text without its mark, and the letter that had it; the unchanged text and None if it has none, or several."""
    places = _places(text, mark) if mark else []
    if len(places) != 1:
        return text, None
    return text[: places[0]] + text[places[0] + 1 :], text[places[0] + 1]


def without_marks(text: str, mark: str) -> str:
    """The text without marks before letters; placeholders are left unchanged."""
    free = masked(text)
    places = {one.start() for one in re.finditer(rf"{re.escape(mark)}(?=[^\W\d_])", free)}
    return "".join(character for place, character in enumerate(text) if place not in places)


def with_accelerator(text: str, mark: str, letter: str) -> str:
    """The text with the mark before the letter, preferably where a word begins with it, or else before the first letter of the text.

    A text in a script without keys of its own, such as Chinese, gets `(_F)` behind it, as is usual there.
    """
    free = masked(text)
    if not re.search(r"[^\W\d_]", free):
        return text
    if not _WITH_KEYS.search(free):
        behind = re.search(r"[\s.:\u2026\uff1a]*\Z", text)
        end = behind.start() if behind else len(text)
        return f"{text[:end]}({mark}{letter.upper()}){text[end:]}"
    for pattern in (rf"(?<!\w){re.escape(letter)}", re.escape(letter), r"(?<!\w)[^\W\d_]", r"[^\W\d_]"):
        if (found := re.search(pattern, free, re.IGNORECASE)) is not None:
            return text[: found.start()] + mark + text[found.start() :]
    return text


def _places(text: str, mark: str) -> list[int]:
    """The positions of marks: before the first letter of a word, or within a word that begins with a capital (E_xit)."""
    if mark not in text:
        return []
    free, found = masked(text), []
    for place in (one.start() for one in re.finditer(rf"{re.escape(mark)}(?=[^\W\d_])", free)):
        before = re.split(r"[\W_]", free[:place])[-1]
        inside = bool(before) and before[0].isupper() and not free[place + 1].isupper()
        if not free[:place].endswith(mark) and (inside or not before):
            found.append(place)
    return found
