"""Finds where a text may be broken into lines: at spaces; and in scripts without spaces between any two letters that may be separated.

A Chinese or Japanese letter is as wide as two others. A mark stays with its letter, and closing punctuation with what it closes. Thai,
Lao, Khmer and Burmese have words that only a dictionary tells, so a line may end within one, but not within a syllable's letters.
"""

import textwrap
import unicodedata
from collections.abc import Iterator

_LONGEST_PIECE = 42  # a line: more letters without a place to break are broken anywhere
_ASIAN = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"))  # Thai and Lao, Burmese, Khmer
_STAY_BEFORE = "เแโใไເແໂໃໄ"  # vowels that are written before their consonant
_STAY_BEHIND = "ะาำๅະາຳๆຯฯーぁぃぅぇぉっゃゅょァィゥェォッャュョ々〻"  # and what is never written first in a line


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` columns; no lines for an empty text."""
    if not any(map(_is_spaceless, text)):
        return textwrap.wrap(text, width)
    lines: list[str] = []
    for piece in pieces_of(text):
        if lines and columns(lines[-1] + piece) <= width:
            lines[-1] += piece
        else:
            lines.append(piece.lstrip())
    return lines


def pieces_of(text: str) -> Iterator[str]:
    """Parts of a text between which a line may end; a part that is a word begins with its space; joined they are the text."""
    for word in text.split():
        piece = " "
        for letter in word:
            if len(piece.strip()) and (_may_break(piece[-1], letter) or columns(piece.strip() + letter) > _LONGEST_PIECE):
                yield piece
                piece = ""
            piece += letter
        yield piece


def columns(text: str) -> int:
    """The display width of a text, in units of a Latin letter."""
    return sum(0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _may_break(one: str, other: str) -> bool:
    """Whether a line may end between two letters of a word."""
    if not (_is_spaceless(one) or _is_spaceless(other)):
        return False
    stays = one in _STAY_BEFORE or unicodedata.category(one) in ("Ps", "Pi")
    return not (stays or other in _STAY_BEHIND or unicodedata.category(other) in ("Mn", "Mc", "Me", "Pe", "Pf", "Po"))


def _is_spaceless(letter: str) -> bool:
    """Whether a letter is of a script that writes no spaces between words."""
    return is_wide(letter) or any(first <= letter <= last for first, last in _ASIAN)


def is_wide(letter: str) -> bool:
    """Whether a letter is Chinese or Japanese, which write no spaces at all. Korean is as wide, but does."""
    return unicodedata.east_asian_width(letter) in "WF" and not ("\uac00" <= letter <= "\ud7a3")
