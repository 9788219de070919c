"""A text above its transcript, word by word: substitutions, insertions and deletions are marked."""

from collections.abc import Iterator

import jiwer

from antiphon.report.markup import Markup, element

_MISSING = "·"
_TITLES = {"substitute": "substituted", "insert": "inserted: nobody said it", "delete": "deleted: said, but not recognized"}


def word_pairs(reference: str, prediction: str) -> Iterator[tuple[str, str, str]]:
    """(kind, word of the reference, word of the prediction); kind is `equal`, `substitute`, `insert` or `delete`, as jiwer aligns them."""
    if not reference.split():
        yield from (("insert", "", word) for word in prediction.split())
        return
    aligned = jiwer.process_words(reference, prediction)
    said, heard = aligned.references[0], aligned.hypotheses[0]
    for chunk in aligned.alignments[0]:
        ours, theirs = said[chunk.ref_start_idx : chunk.ref_end_idx], heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
        for place in range(max(len(ours), len(theirs))):
            yield chunk.type, ours[place] if place < len(ours) else "", theirs[place] if place < len(theirs) else ""


def word_alignment(reference: str, prediction: str) -> Markup:
    """Both texts on two lines, aligned word by word."""
    pairs = (_pair(*pair) for pair in word_pairs(reference, prediction))
    return element("div", {"class": "aligned", "dir": "auto"}, *pairs)


def _pair(kind: str, said: str, heard: str) -> Markup:
    if kind == "equal":
        return element("span", {"class": "pair"}, element("span", None, said), element("span", None, heard))
    below = element("mark", {"class": "wrong"}, heard) if heard else element("span", {"class": "quiet"}, _MISSING)
    above = element("mark", {"class": "missed"}, said) if said else element("span", {"class": "quiet"}, _MISSING)
    return element("span", {"class": "pair", "title": _TITLES.get(kind, kind)}, above, below)
