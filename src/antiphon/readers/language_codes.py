"""Whether a language that a file names is one that is wanted: `en` is also `en-GB`, `en_GB` and `EN`; `en-GB` is not `en-US`.

That is the basic filtering of RFC 4647 (Phillips and Davis 2006), with the underscore of POSIX for a hyphen.
"""


def is_language(code: str, wanted: str) -> bool:
    """Whether a code names the wanted language, or a variant of it."""
    own, asked = _normal(code), _normal(wanted)
    return own == asked or own.startswith(f"{asked}-")


def is_exactly(code: str, wanted: str) -> bool:
    """Whether a code names the wanted language itself."""
    return _normal(code) == _normal(wanted)


def _normal(code: str) -> str:
    return code.strip().replace("_", "-").casefold()
