"""The differences between a prediction and its reference, word by word (character by character in scripts without spaces)."""

import difflib
import re
from collections.abc import Sequence

from antiphon.report.markup import Markup, element, join

Spans = list[tuple[str, bool]]
"""Stretches of a text in order; True where it differs from the other text."""

# Scripts without spaces between words: each character stands for itself. Everything else is a word with the blanks behind it.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_UNIT = re.compile(rf"[{_UNSPACED}]\s*|[^\s{_UNSPACED}]+\s*|\s+")


def differences(prediction: str, reference: str) -> tuple[Spans, Spans]:
    """The prediction's stretches and the reference's. Single words are compared by their characters."""
    ours, theirs = _UNIT.findall(prediction), _UNIT.findall(reference)
    if len(ours) <= 1 and len(theirs) <= 1:
        ours, theirs = list(prediction), list(reference)
    ours_spans: Spans = []
    theirs_spans: Spans = []
    for kind, first, last, begin, end in _matcher(ours, theirs).get_opcodes():
        for spans, units in ((ours_spans, ours[first:last]), (theirs_spans, theirs[begin:end])):
            if units:
                spans.append(("".join(units), kind != "equal"))
    return ours_spans, theirs_spans


def nearest(prediction: str, references: Sequence[str]) -> int:
    """The index of the reference most similar to the prediction."""
    ours = _UNIT.findall(prediction)
    ratios = [_matcher(ours, _UNIT.findall(reference)).ratio() for reference in references]
    return ratios.index(max(ratios))


def marked(spans: Spans, kind: str) -> Markup:
    """A text with its differing stretches marked; blanks at their ends are not marked."""
    parts: list[object] = []
    for stretch, differs in spans:
        body = stretch.rstrip()
        parts += [element("mark", {"class": kind}, body), stretch[len(body) :]] if differs and body else [stretch]
    return join(parts)


def _matcher(ours: Sequence[str], theirs: Sequence[str]) -> difflib.SequenceMatcher[str]:
    return difflib.SequenceMatcher(None, [unit.rstrip() for unit in ours], [unit.rstrip() for unit in theirs], autojunk=False)
