"""Reads the fields of a request, sent as JSON, as a form, or as multipart form data.

What comes is looked at, not what the client calls it: some send no content type, some send JSON under another one.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request

from antiphon.serving.refused import RefusedError
from antiphon.store.json_text import json_text


async def fields(request: Request) -> dict[str, Any]:
    """The fields of the query and of the body; the body takes precedence. A repeated field is a list of its values.

    Raises RefusedError for a body that is none of these.
    """
    body = await request.body()
    text = body.lstrip()
    if not text:
        found: dict[str, Any] = {}
    elif text.startswith(b"{"):
        found = _json(body)
    elif text.startswith(b"--"):
        found = await _parts(request)
    else:
        found = _repeated(parse_qsl(_decoded(body), keep_blank_values=True))
    return {**_repeated(list(request.query_params.multi_items())), **found}


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(_decoded(body))
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"The body must be a JSON object, but is none: {error}.") from error
    assert isinstance(found, dict), "it begins with a brace"
    return found


async def _parts(request: Request) -> dict[str, Any]:
    async with request.form() as form:
        return _repeated([(name, value if isinstance(value, str) else await value.read()) for name, value in form.multi_items()])


def _repeated(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in items:
        known = found.get(name)
        found[name] = value if name not in found else [*(known if isinstance(known, list) else [known]), value]
    return found


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedError(400, f"The body must be UTF-8, but byte {error.start + 1} is not.") from error


def text_of(given: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """The text of a field. Raises RefusedError when it is missing and there is no default, or when it is not a text."""
    value = given.get(name, default)
    if value is None:
        raise RefusedError(400, f"`{name}` is missing.")
    if not isinstance(value, str):
        raise RefusedError(400, f"`{name}` must be a text, but is {json_text(value, default=str)[:80]}.")
    return _checked(name, value)


def _checked(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:  # JSON can say it, and nothing else
        raise RefusedError(400, f"`{name}` must be Unicode, but has half of a surrogate pair.") from error
    return text


def texts_of(given: Mapping[str, Any], name: str) -> list[str]:
    """The texts of a field that may hold one or several. Raises RefusedError when it is missing or holds anything but texts."""
    value = given.get(name)
    texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    if value is None or len(texts) < (len(value) if isinstance(value, list) else 1):
        raise RefusedError(400, f"`{name}` must be a text, or a list of texts." if value is not None else f"`{name}` is missing.")
    return [_checked(name, text) for text in texts]


def is_true(given: Mapping[str, Any], name: str) -> bool:
    """Whether a field is true, as forms and JSON write it."""
    return given.get(name) in (True, 1, "1", "true", "True")


def whole_of(given: Mapping[str, Any], name: str, default: int | None = None, *, least: int = 1) -> int:
    """The integer in a field. Raises RefusedError when it is missing and there is no default, or when it is not an allowed integer."""
    value = given.get(name)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise RefusedError(
            400, f"`{name}` must be a whole number from {least} on, but is {'missing' if value is None else json_text(value)[:80]}."
        )
    return value
