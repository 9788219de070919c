"""Text that must be the same in a translation as in its source: placeholders of programs (`%s`, `%(name)d`, `{0}`, `${name}`), tags and
entities.

They are those of printf and its kin (IEEE Std 1003.1, `fprintf`), of Python's `%` and `str.format` (PEP 3101), of Qt and KDE (`%1`, `%L1`),
of shells and templates, and the tags and entities of HTML.
"""

import re
from collections import Counter
from collections.abc import Iterator

from antiphon.contracts.reader import MissingError

PRINTF = r"%(?:\d+\$)?(?:\(\w+\))?[-+#0']*(?:\*|\d+)?(?:\.(?:\*|\d+))?(?:hh|h|ll|l|q|j|z|t|L)?[diouxXeEfFgGaAcCsSpnm@](?![A-Za-z]{2})"
_BRACES = r"\$?\{\{?\s*[\w.\[\]]*(?:![rsa])?(?::[^{}\s]*)?\s*\}?\}"
_VARIABLE = r"\$[A-Za-z_]\w*"
_NAMED = r"%[A-Za-z]\w*%"
_PLACE = r"%L?\d{1,2}(?![\d.$%])"
_TAG = r"</?(?P<tag>[A-Za-z][\w:.-]*)(?P<more>(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s<>\"']+))*)\s*(?P<closed>/?)>"
_ENTITY = r"&(?:#\d+|#x[0-9A-Fa-f]+|[A-Za-z]\w*);"
_ALL = re.compile("|".join((_NAMED, PRINTF, _PLACE, _BRACES, _VARIABLE, _TAG, _ENTITY)))
_ELEMENTS = re.compile(
    r"a|abbr|b|big|br|button|center|cite|code|del|dfn|div|dd|dl|dt|em|font|h[1-6]|hr|html|i|img|input|ins|kbd|label|li|mark|ol|option|p|pre"
    r"|q|s|samp|select|small|span|strike|strong|sub|sup|table|tbody|td|th|thead|tr|tt|u|ul|var|wbr",
    re.IGNORECASE,
)


def _found(text: str) -> Iterator[re.Match[str]]:
    """Placeholders with their positions. A name in unclosed angle brackets (<file>) counts only if HTML has such an element."""
    for one in _ALL.finditer(text.replace("%%", "\0\0")):
        name = one["tag"]
        bare = name is not None and not (one["more"] or one["closed"])
        if not bare or _ELEMENTS.fullmatch(name) or (f"</{name}>" in text and f"<{name}" in text):
            yield one


def placeholders(text: str) -> list[str]:
    """The placeholders in a text, in order."""
    return [one[0] for one in _found(text)]


def masked(text: str) -> str:
    """The text with its placeholders overwritten by blanks; its length stays the same."""
    pieces, place = list[str](), 0
    for one in _found(text):
        pieces += (text[place : one.start()], " " * len(one[0]))
        place = one.end()
    return "".join([*pieces, text[place:]]).replace("%%", "  ")


def check_placeholders(source: str, target: str) -> None:
    """Raise MissingError unless both texts contain the same placeholders equally often, in any order."""
    wanted, found = Counter(placeholders(source)), Counter(placeholders(target))
    lost, added = list((wanted - found).elements()), list((found - wanted).elements())
    if lost:
        raise MissingError(f"the translation lacks {', '.join(f'`{one}`' for one in lost)} of its source", tuple(lost))
    if added:
        raise MissingError(
            f"the translation has {', '.join(f'`{one}`' for one in added)} that its source does not have", tuple(wanted.elements())
        )
