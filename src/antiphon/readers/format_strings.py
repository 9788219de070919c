"""Translations of format strings, whose kinds the flags of PO files name: in `printf` the order of arguments matters, and a literal % is
doubled.

What `msgfmt --check-format` would refuse (GNU gettext manual, "Translators for other Languages") is mended where that is safe, or refused.
"""

import re
from string import Formatter

from antiphon.errors import DataError
from antiphon.readers.placeholders import PRINTF, check_placeholders

_NUMBERED = frozenset({"c-format", "objc-format", "php-format", "awk-format", "gcc-internal-format"})
"""Kinds whose arguments may be numbered: `%2$s`."""
_PRINTF_KINDS = _NUMBERED | {"python-format", "perl-format", "lua-format"}
_DIRECTIVE = re.compile(rf"%%|{PRINTF}|%")
_FREE = re.compile(r"%(?!\d+\$|\()")  # one that takes the argument whose turn it is


def fitted(source: str, target: str, flags: frozenset[str]) -> str:
    """The translation adapted to its kind of format strings. Raises MissingError or DataError when it cannot be used."""
    kinds = flags & _PRINTF_KINDS
    if kinds:
        target = _doubled(source, target)
    check_placeholders(source, target)
    if kinds:
        target = _in_order(source, target, sorted(kinds)[0])
    if flags & {"python-brace-format", "csharp-format"}:
        _check_braces(source, target)
    return target


def _directives(text: str) -> list[str]:
    return [one for one in _DIRECTIVE.findall(text) if len(one) > 1 and one != "%%"]


def _doubled(source: str, target: str) -> str:
    """The target with `%%` for each % that begins no placeholder."""
    if "%" in _DIRECTIVE.findall(source):
        return target  # it has directives that we do not know
    return _DIRECTIVE.sub(lambda found: "%%" if found[0] == "%" else found[0], target)


def _in_order(source: str, target: str, kind: str) -> str:
    """The target with numbered arguments if their order differs from that in the source."""
    wanted, found = ([one for one in _directives(text) if _FREE.match(one)] for text in (source, target))
    if wanted == found:
        return target
    if kind not in _NUMBERED or len(set(wanted)) < len(wanted) or any("*" in one for one in wanted):
        raise DataError(f"the translation has {', '.join(found)} where its source has {', '.join(wanted)}, in this order")

    def numbered(one: re.Match[str]) -> str:
        return f"%{wanted.index(one[0]) + 1}${one[0][1:]}" if one[0] in wanted else one[0]

    return _DIRECTIVE.sub(numbered, target)


def _check_braces(source: str, target: str) -> None:
    """Raise DataError when the target has braces that `str.format` cannot parse, although it can parse the source."""
    try:
        list(Formatter().parse(source))
    except ValueError:
        return
    try:
        list(Formatter().parse(target))
    except ValueError as error:
        raise DataError(f"the translation has braces that are no placeholder ({error})") from error
