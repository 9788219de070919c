"""Joins the texts for the parts of a recording."""

from collections.abc import Iterable

from antiphon.data.line_breaks import is_wide


def concatenated(texts: Iterable[str]) -> str:
    """The texts joined with a space between them, unless the script has none."""
    whole = ""
    for text in texts:
        if whole and text and not (is_wide(whole[-1]) and is_wide(text[0])):
            whole += " "
        whole += text
    return whole
