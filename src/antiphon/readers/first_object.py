"""What the first line of a file of JSON lines says, to tell kinds of such files apart."""

import json
from typing import Any


def first_object(opening: bytes) -> dict[str, Any]:
    """The object on the first line of an opening; empty where it is none, or longer than the opening."""
    line = opening.lstrip().split(b"\n", 1)[0]
    if not line.startswith(b"{"):
        return {}
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
