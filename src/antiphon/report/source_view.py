"""A long source as running text: places that the model attended to are shaded, copied pieces are marked, in source and output.

A heat map of a document would be hundreds of cells wide. Here the attention of all output pieces is added up for each piece of the source.
The shade is relative to the piece that was looked at most, in a few steps, since a page has no styles of its own.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from antiphon.report.markup import Markup, element, facts, join
from antiphon.report.quantities import number

_SHADES = 5
_MOST_PIECES = 600
_SPACE, _JOINER = "\u2581", "\uffed"  # how pieces of subwords and of words with punctuation tell where a space stands
_END = "</s>"
_COPIED = 0.5  # the probability from which on a piece counts as copied


def source_view(
    weights: Float[np.ndarray, "T S"],
    source: Sequence[str],
    target: Sequence[str],
    copied: Sequence[tuple[float, int]],
    caption: str,
    references: Sequence[str],
) -> Markup:
    """A card with the shaded source, the output and the references. `copied` has (probability, place in the source) for each output piece.

    Sources of more than 600 pieces are shown up to there, and the caption says so.
    """
    taken = {place for probability, place in copied if probability >= _COPIED and place >= 0}
    looked = weights.sum(axis=0)
    shades = np.rint(_SHADES * looked / max(float(looked.max()), 1e-12)).astype(int)
    if len(source) > _MOST_PIECES:
        caption += f" Not shown: the last {len(source) - _MOST_PIECES:,} of {len(source):,} pieces of the source."
    of_subwords = any(_SPACE in piece for piece in (*source, *target))  # else a space stands wherever no joiner says otherwise
    text = [
        _piece(piece, _gap(source, place, of_subwords), f"shade-{shades[place]}", number(float(looked[place]), 2), place in taken)
        for place, piece in enumerate(source[:_MOST_PIECES])
        if piece != _END
    ]
    chances = [probability for probability, _ in copied] or [0.0] * len(target)
    said = [
        _piece(piece, _gap(target, place, of_subwords), "", f"copied with probability {number(chance, 2)}", chance >= _COPIED)
        for place, (piece, chance) in enumerate(zip(target, chances, strict=True))
    ]
    rows = [("source", _text(text)), ("output", _text(said)), *(("reference", _text([reference])) for reference in references)]
    return element("article", {"class": "card wide"}, element("p", {"class": "quiet"}, caption), facts(rows))


def _text(parts: Sequence[object]) -> Markup:
    return element("span", {"dir": "auto", "class": "sample"}, join(parts))


def _gap(pieces: Sequence[str], place: int, of_subwords: bool) -> str:
    """The text between a piece and the one before it."""
    if place == 0:
        return ""
    piece, before = pieces[place], pieces[place - 1]
    apart = piece.startswith(_SPACE) if of_subwords else not (piece.startswith(_JOINER) or before.endswith(_JOINER))
    return " " if apart else ""


def _piece(piece: str, gap: str, shade: str, said: str, copied: bool) -> Markup:
    shown = piece.strip(_SPACE + _JOINER)
    classes = " ".join(filter(None, ("" if shade == "shade-0" else shade, "copied" if copied else "")))
    body = element("mark", {"class": classes, "title": said}, shown) if classes and shown else element("span", {"title": said}, shown)
    return join([gap, body])
