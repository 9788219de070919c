"""Reads the first line of a JSON lines file, to tell kinds of such files apart."""

import json
from typing import Any


def first_object(opening: bytes) -> dict[str, Any]:
    """The object on the first line of a file's opening bytes; empty if it is not one, or longer than these."""
    line = opening.lstrip().split(b"\n", 1)[0]
    if not line.startswith(b"{"):
        return {}
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
