"""Texts of the parts of a recording as one."""

import unicodedata
from collections.abc import Iterable


def concatenated(texts: Iterable[str]) -> str:
    """Texts one after another, with a space between them unless the script has none."""
    whole = ""
    for text in texts:
        if whole and text and not (_is_wide(whole[-1]) and _is_wide(text[0])):
            whole += " "
        whole += text
    return whole


def _is_wide(letter: str) -> bool:
    """Whether a character is of a script that writes no spaces (Chinese, Japanese)."""
    return unicodedata.east_asian_width(letter) in "WF" and not ("\uac00" <= letter <= "\ud7a3")
