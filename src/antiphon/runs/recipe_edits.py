"""Changes settings in the text of a recipe; comments are kept, except for those on changed settings."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from antiphon.recipe.tree import plain_values
from antiphon.store.json_text import json_text

_PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off|~)$)[A-Za-z./_][\w./@+-]*", re.IGNORECASE)
_CONTINUED = re.compile(r"\s{8,}#")
_COLUMN = 33  # where comments stand


def as_yaml(value: Any) -> str:
    """A value as written in a recipe on one line; plain words have no quotes."""
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else json_text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {as_yaml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(as_yaml, value))}]"
    return f"{value:g}" if isinstance(value, float) else json_text(value)


def with_setting(text: str, path: str, value: Any, reason: str = "", *, hint: bool = False) -> str:
    """The recipe with another value for a setting, given by its dotted path, and the reason as a comment; a missing setting is added at the
    end of its section. In a path of three names, the inner one is written within the mapping of the outer ones. A `hint` is only a
    comment."""
    section, _, key = path.partition(".")
    if not key:
        return _with_section(text, section, value, reason)
    if "." in key:
        key, _, inner = key.partition(".")
        value = {**_mapping(text, section, key), inner: value}
    return _put(text, section, key, as_yaml(value), reason, hint=hint)


def without_setting(text: str, path: str) -> str:
    """The recipe without a setting, if it has it."""
    section, _, key = path.partition(".")
    lines = text.split("\n")
    found = _find(lines, section, key)
    if found is None:
        return text
    begin, end = found
    return "\n".join(lines[:begin] + lines[end:])


def with_files(text: str, key: str, entries: Sequence[str]) -> str:
    """The recipe with files for a split, each as a recipe refers to it."""
    if len(entries) == 1 and "{" not in entries[0]:
        return _put(text, "data", key, entries[0], "", hint=False)
    return _put(text, "data", key, "".join(f"\n    - {entry}" for entry in entries), "", hint=False)


def _put(text: str, section: str, key: str, value: str, reason: str, *, hint: bool) -> str:
    lines = text.split("\n")
    shown = f"  {'# ' if hint else ''}{key}:{value}" if value.startswith("\n") else f"  {'# ' if hint else ''}{key}: {value}"
    line = f"{shown.ljust(_COLUMN - 1)} # {reason}" if reason else shown
    found = _find(lines, section, key)
    if found is not None:
        begin, end = found
        return "\n".join([*lines[:begin], line, *lines[end:]])
    behind = _section_end(lines, section)
    if behind is None:
        return "\n".join([*lines, f"{section}:", line, ""]) if not lines[-1] else "\n".join([*lines, "", f"{section}:", line, ""])
    return "\n".join([*lines[:behind], line, *lines[behind:]])


def _with_section(text: str, section: str, value: Any, reason: str) -> str:
    """The recipe with a whole section on one line."""
    lines, line = text.split("\n"), f"{section}: {as_yaml(value)}"
    line = f"{line.ljust(_COLUMN - 1)} # {reason}" if reason else line
    end = _section_end(lines, section)
    if end is None:
        return "\n".join([*lines, line, ""])
    begin = next(number for number, one in enumerate(lines) if one.startswith(f"{section}:"))
    return "\n".join([*lines[:begin], line, *lines[end:]])


def _find(lines: Sequence[str], section: str, key: str) -> tuple[int, int] | None:
    """The lines of a setting, commented out or not: from the first to the one after the last comment on it."""
    begin = next((number for number, line in enumerate(lines) if line.startswith(f"{section}:")), None)
    end = _section_end(lines, section)
    if begin is None or end is None:
        return None
    for commented in (False, True):
        start = rf"  {'# ' if commented else ''}{re.escape(key)}:(\s|$)"
        for number in range(begin + 1, end):
            if re.match(start, lines[number]):
                last = number + 1
                while last < end and (_CONTINUED.match(lines[last]) or lines[last].startswith("    ")):
                    last += 1
                return number, last
    return None


def _section_end(lines: Sequence[str], section: str) -> int | None:
    """The line after the last setting of a section; None if the section is missing."""
    begin = next((number for number, line in enumerate(lines) if line.startswith(f"{section}:")), None)
    if begin is None:
        return None
    end = begin + 1
    while end < len(lines) and lines[end].startswith(" "):
        end += 1
    return end


def _mapping(text: str, section: str, key: str) -> dict[str, Any]:
    """The mapping in the recipe for a setting; empty if it has none."""
    found = plain_values(text).get(section)
    inner = found.get(key) if isinstance(found, Mapping) else None
    return dict(inner) if isinstance(inner, Mapping) else {}
