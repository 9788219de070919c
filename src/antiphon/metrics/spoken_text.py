"""A normalizer of speech transcripts, for error rates that ignore differences of spelling conventions; a score's signature gives its name.

`spoken` is NFKC, lower case, no punctuation and no symbols, single spaces. An apostrophe within a word stays (don't); other punctuation
within one becomes a space (twenty-one). Numbers stay as they are written, with what separates their digits (3.5, 1,000, 12:30).
"""

import unicodedata

SIGNATURE = "spoken.2"
"""The name of `spoken` in a score's signature; its number grows when the same text is normalized differently. Version 1 split numbers."""

_APOSTROPHES = "'\u2019\u02bc"
_SEPARATORS = ".,:/\u00b7\u066b\u066c\u2044"  # also a raised point, those of Arabic numbers, and the slash of ½


def spoken(text: str) -> str:
    """Normalize a text, so that texts that sound the same are written the same."""
    lowered = unicodedata.normalize("NFKC", text).lower()
    kept = "".join(_kept(letter, before, behind) for before, letter, behind in zip(" " + lowered, lowered, lowered[1:] + " ", strict=False))
    return " ".join(kept.split())


def _kept(letter: str, before: str, behind: str) -> str:
    if letter in _APOSTROPHES:
        return "'" if before.isalnum() and behind.isalnum() else " "
    if letter in _SEPARATORS and before.isdecimal() and behind.isdecimal():
        return letter
    return " " if unicodedata.category(letter)[0] in "PS" else letter
