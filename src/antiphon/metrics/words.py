"""The words of a text in any script, as the metrics of summaries count them.

Of ASCII text they are those of the package rouge-score: lower case, runs of letters and digits; everything else separates. rouge-score
knows only `a` to `z` and `0` to `9`, so of two equal Chinese or Russian texts it says that they have nothing in common. Here

- letters and digits of every script make words, with their accents and vowel signs: `café` is one word (rouge-score's is `caf`);
- scripts that write no spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) have a word per character;
- the same letter in two encodings (NFC and NFD) is the same letter, and soft hyphens and invisible joiners do not count.

Unusual: combining marks are no letters for Python's `re`, so their ranges are looked up, once, when the first text that is not ASCII comes.
"""

import re
import sys
import unicodedata
from functools import cache
from itertools import islice

SIGNATURE = "tok:words-any-script.1"
"""How texts were split into words; the number is raised when the splitting changes."""

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_INVISIBLE = "\u00ad\u200c\u200d\u2060"
_WITHOUT_INVISIBLE = str.maketrans("", "", _INVISIBLE)
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f"
    "\uf900-\ufaff\uff66-\uff9f\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
)


def words(text: str) -> list[str]:
    """The words of a text in lower case, in order; none for an empty text or for mere punctuation."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return _word_of_any_script().findall(unicodedata.normalize("NFC", text).translate(_WITHOUT_INVISIBLE).lower())


def leading(text: str, count: int) -> str:
    """The beginning of a text, as written, up to the end of its first `count` words: `words` of it are the first `count` words of the
    text."""
    end = 0
    for match in islice(_word_of_any_script().finditer(text), count):
        end = match.end()
    return text[:end].strip()


@cache
def _word_of_any_script() -> re.Pattern[str]:
    inside = _combining_marks() + _INVISIBLE
    return re.compile(rf"(?=\w)[{_UNSPACED}][{inside}]*|[^\W_{_UNSPACED}](?:[^\W_{_UNSPACED}]+|[{inside}]+)*")


def _combining_marks() -> str:
    """The ranges of accents, vowel signs and other marks that belong to the preceding letter, for use in a regex character class."""
    ranges: list[list[int]] = []
    for code in (*range(0x300, 0x20000), *range(0xE0000, min(0xE01F0, sys.maxunicode))):
        if unicodedata.category(chr(code))[0] == "M":
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)
