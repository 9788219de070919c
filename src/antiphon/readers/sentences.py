"""Splits texts into sentences by rules: which marks end a sentence, what may follow them, and abbreviations, initials and numbers that end
none.

The rules are those of the sentence splitter of Moses (Koehn et al. 2007) with the terminators of other scripts (Unicode Standard Annex 29,
Sentence_Terminal): a full stop, question mark or exclamation mark ends a sentence when white space and something that may begin one follow;
those of Chinese and Japanese need no space. In doubt a sentence goes on, since half a sentence is harder to translate than two.
"""

import re
from itertools import pairwise

from antiphon.readers.abbreviations import BEFORE_NAMES, ENDINGS, ORDINALS

_STOPS = ".!?…‽؟۔।॥։።፧፨။᙮᠃᠉⸮"
_WIDE = "。！？．｡"
_CLOSING = "\"'”’»›)\\]}」』）】］〉》*_"
_OPENING = "\"'“”‘’„‚«»‹›([{「『（【［〈《¿¡—–-*_•"
_CANDIDATE = re.compile(rf"(?:\.(?: \.)+|[{_STOPS}]+)[{_CLOSING}]*(?: [»”’›])?(?= |$)|[{_WIDE}]+[{_CLOSING}]*(?=.)")
_LAST_WORD = re.compile(r"[^\s(\[{\"'“”‘’„«»‹›]*$")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]$")
_QUOTED = re.compile(r".*[」』][とっ]")  # Japanese: what was said, and that it was said
_NUMBER = re.compile(r"(?:\d+|[IVXLC]+)$")


def boundaries(text: str, language: str = "") -> list[int]:
    """The places at which sentences begin, after the space before them; for a text whose white space is single spaces.

    language    a code such as `en` or `de-AT`; without one only what languages share is known
    """
    found, begun, code = list[int](), 0, language.lower().split("-")[0]
    for candidate in _CANDIDATE.finditer(text):
        rest = text[candidate.end() :].lstrip(" ")
        if rest and not _QUOTED.match(candidate[0] + rest[0]) and _ends(text[begun : candidate.start()], candidate[0], rest, code):
            begun = len(text) - len(rest)
            found.append(begun)
    return found


def spans(text: str, places: list[int]) -> list[tuple[int, int]]:
    """The stretches between boundaries, without spaces at their edges."""
    edges = [0, *places, len(text)]
    found = []
    for start, end in pairwise(edges):
        inner = text[start:end]
        if inner.strip(" "):
            left = start + len(inner) - len(inner.lstrip(" "))
            found.append((left, left + len(inner.strip(" "))))
    return found


def _ends(before: str, mark: str, rest: str, language: str) -> bool:
    """Whether a sentence ends with a mark, given the text before and after it."""
    first = rest.lstrip(_OPENING)[:1]
    begins = not first or not first.islower()
    if mark[0] in _WIDE:
        return True
    if mark[0] != "." or mark.startswith(("..", ". .")):
        return begins
    word = _LAST_WORD.search(before)
    last = "" if word is None else word[0]
    if not begins:
        return False
    if not last:
        return True
    if _is_abbreviation(last, language):
        return (last in ENDINGS and first.isupper() and len(mark) == 1) or (len(mark) > 1 and last in ENDINGS)
    if _INITIALS.match(last) and (len(last) > 1 or last.isupper()):
        return _after_initials(last, before, rest, mark)
    if _NUMBER.match(last):
        return not ((language in ORDINALS and len(last) < 4) or before.rstrip("0123456789IVXLC").strip() == "")
    return True


def _is_abbreviation(word: str, language: str) -> bool:
    names = (BEFORE_NAMES[""], BEFORE_NAMES.get("nb" if language in ("no", "nn") else language, ""))
    known = {one for text in names for one in text.split()}
    return word in known or (word[:1].isupper() and word[:1].lower() + word[1:] in known and len(word) > 2)


def _after_initials(last: str, before: str, rest: str, mark: str) -> bool:
    """After `U.S.` a sentence may begin with a common word; after `J.` a name follows, unless it is I."""
    if len(mark) > 1:
        return True
    begun = rest.lstrip(_OPENING).split(" ", 1)[0].rstrip(",")
    if len(last) == 1:
        return last == "I" and before.endswith((" I", "&I")) and begun in _STARTERS
    return begun in _STARTERS


_COMMON = (
    "The This That These Those He She It We They You I A An In On At But And So If When While There Then However What Who Why How Where My "
    "Our His Her Its Their For As After Before Some Most Many Now Today Yet Also"
)
_STARTERS = frozenset(_COMMON.split())
"""Words with which an English sentence often begins, and names do not."""
