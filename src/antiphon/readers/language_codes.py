"""Compares language codes in files with the wanted one: `en` includes `en-GB`, `en_GB` and `EN`; `en-GB` does not include `en-US`.

That is the basic filtering of RFC 4647 (Phillips and Davis 2006), with the underscore of POSIX for a hyphen.
"""


def is_language(code: str, wanted: str) -> bool:
    """Whether a code means the wanted language, or a variant of it."""
    own, asked = _normal(code), _normal(wanted)
    return own == asked or own.startswith(f"{asked}-")


def is_exactly(code: str, wanted: str) -> bool:
    """Whether a code means exactly the wanted language."""
    return _normal(code) == _normal(wanted)


def _normal(code: str) -> str:
    return code.strip().replace("_", "-").casefold()
