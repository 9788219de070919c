"""Splits a text into sentences by punctuation, in any script.

A sentence ends at a line break; at the full stops, question and exclamation marks of scripts that need no space behind them (。！？); and
at those of other scripts (. ! ? … ؟ ۔ । ॥ ።) when a space follows. Closing quotes and brackets belong to the sentence that they close.

A full stop ends no sentence behind an initial (`J. Smith`), letters with stops between them (`e.g.`, `z.B.`, `U.S.`), or an abbreviation
that is always followed by something (`Dr.`, `vs.`, `bzw.`); behind one that may come last (`etc.`, `Inc.`) only where no small letter
follows; behind a number only where that does not begin the sentence (`1. Introduction`). Abbreviations are those common in English and
German prose. A letter is no initial where a word follows that often begins sentences (`written in C. It`).

Unusual: a small letter may begin a sentence after a full stop, since names of programs and packages do. Behind `!`, `?` and an ellipsis it
may not (`"Why?" he asked`).
"""

import re
from collections.abc import Iterator

_CLOSING = "\"'”’“‘»«)]」』）》】"  # some languages close with what others open with
_OPENING = "\"'“‘„«([{「『（"
_END = re.compile(rf"\s*[\r\n\u2028\u2029]\s*|[。！？｡]+[{re.escape(_CLOSING)}]*|[.!?…؟۔।॥።]+[{re.escape(_CLOSING)}]*(?=\s|$)")
_FOLLOWING = re.compile(rf"[\s{re.escape(_OPENING)}]*([^\W_]*)")
_INITIALS = re.compile(r"[^\W\d_]|[^\W\d_](?:\.[^\W\d_]{1,2})+")
_LONGEST_WORD = 40
_WORDS = {
    "never last": "mr mrs ms dr prof rev hon gen col sgt capt lt st mt ft vs viz cf approx resp incl esp ed eds trans"
    " bzw ca evtl ggf inkl vgl sog hrsg geb str hl",
    "before numbers": "no nos nr nrn fig figs eq eqs vol vols sec ch pp abb bd kap tab art jan feb mar apr aug sept oct nov dec",
    "maybe last": "etc al inc ltd co corp jr sr dept est usw ff min max",
    "first": "the this these that those it its he she they we you i a an in on if for to by as when there and but"
    " der die das dies diese es er sie wir in im ein eine wenn für und",
}
_NEVER_LAST, _BEFORE_NUMBERS, _MAY_BE_LAST, _OFTEN_FIRST = (frozenset(listed.split()) for listed in _WORDS.values())


def sentences(text: str) -> list[str]:
    """The sentences of a text in order, without surrounding blanks; none for an empty text."""
    return [sentence for piece in _pieces(text) if (sentence := piece.strip())]


def _pieces(text: str) -> Iterator[str]:
    first = 0
    for match in _END.finditer(text):
        if _ends(text, first, match):
            yield text[first : match.end()]
            first = match.end()
    yield text[first:]


def _ends(text: str, first: int, match: re.Match[str]) -> bool:
    """Whether a mark ends the sentence that begins at `first`."""
    mark = match.group().rstrip(_CLOSING)
    if mark.isspace() or mark[0] not in ".!?…":
        return True
    next_word = _FOLLOWING.match(text, match.end())
    following = next_word.group(1) if next_word else ""
    if mark != "." or match.group() != ".":
        return not following[:1].islower()
    begin = max(first, match.start() - _LONGEST_WORD)
    before = text[begin : match.start()].split()
    word = before[-1].lstrip(_OPENING) if before else ""
    return _full_stop_ends(word, following, alone=begin == first and len(before) <= 1)


def _full_stop_ends(word: str, following: str, *, alone: bool) -> bool:
    """Whether a full stop between two words ends the sentence; `alone` when the first of them begins it."""
    small = word.lower()
    if word.isdecimal():
        return not alone
    if small in _MAY_BE_LAST:
        return not following[:1].islower()
    if small in _BEFORE_NUMBERS:
        return not following[:1].isdecimal()
    # Letters of scripts without spaces between words are words, and no initials.
    if _INITIALS.fullmatch(word) and ord(word[0]) < 0x0E00:
        return following[:1].isupper() and following.lower() in _OFTEN_FIRST
    return small not in _NEVER_LAST
