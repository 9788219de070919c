"""JSON that every reader accepts. NaN and infinities are not JSON, although Python writes them, and browsers refuse the whole file.

All that is written for others passes here, and holds null in their place. Where a number says why it is missing, a remark stands beside.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any


def json_text(value: Any, *, indent: int | None = None, ascii_only: bool = False, default: Callable[[Any], Any] | None = None) -> str:
    """A value as JSON; `default` converts values that JSON does not support."""
    try:
        return json.dumps(value, indent=indent, ensure_ascii=ascii_only, default=default, allow_nan=False)
    except ValueError:  # once in a while, so that whole files need not be copied to look for it
        return json.dumps(plain_numbers(value), indent=indent, ensure_ascii=ascii_only, default=default, allow_nan=False)


def plain_numbers(value: Any) -> Any:
    """The value with None for each number that JSON does not support: NaN and the infinities."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: plain_numbers(item) for key, item in value.items()}
    return [plain_numbers(item) for item in value] if isinstance(value, list | tuple) else value


def json_object(text: bytes | None) -> dict[str, Any]:
    """A JSON object; an empty one if the text is not one."""
    try:
        value = json.loads(text or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
