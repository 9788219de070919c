"""A normalizer of spoken text, for error rates that do not count how it is written; it has a name, which a score's signature gives.

`spoken` is NFKC, lower case, no punctuation and no symbols, single spaces. An apostrophe within a word stays (don't); other punctuation
within one becomes a space (twenty-one). Numbers stay as they are written, with what separates their digits (3.5, 1,000, 12:30).
"""

import unicodedata

SIGNATURE = "spoken.2"
"""The name of `spoken` in a score's signature; the number grows when the same text is normalized differently. 1 took numbers apart."""

_APOSTROPHES = "'\u2019\u02bc"
_SEPARATORS = ".,:/\u00b7\u066b\u066c\u2044"  # also a raised point, those of Arabic numbers, and the slash of ½


def spoken(text: str) -> str:
    """The text as it sounds alike, however it is written."""
    lowered = unicodedata.normalize("NFKC", text).lower()
    kept = "".join(_kept(letter, before, behind) for before, letter, behind in zip(" " + lowered, lowered, lowered[1:] + " ", strict=False))
    return " ".join(kept.split())


def _kept(letter: str, before: str, behind: str) -> str:
    if letter in _APOSTROPHES:
        return "'" if before.isalnum() and behind.isalnum() else " "
    if letter in _SEPARATORS and before.isdecimal() and behind.isdecimal():
        return letter
    return " " if unicodedata.category(letter)[0] in "PS" else letter
