"""A matrix as an SVG of square cells with labels; the value is in each cell's title."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from antiphon.report.markup import Markup, clipped, display_width, element, visible
from antiphon.report.quantities import Real, number

CELL = 18
MOST_CELLS = 44  # a side; more would be a texture
_LETTER = 6.7  # the width of a character in the labels' font
_MOST_LETTERS = 14
_SLANT = np.sin(np.radians(55))
_JOINER = "\uffed"  # no letter of the text: it marks where punctuation stands without a space
_FAINT = 0.02  # cells below this share of the largest weight are left to the background


def heat_map(weights: Float[np.ndarray, "T S"], rows: Sequence[str], columns: Sequence[str], caption: str) -> Markup:
    """A figure: T rows, S columns. What does not fit is left out, with a remark in the caption."""
    sides = ((rows, "rows"), (columns, "columns"))
    left_out = [f"{len(labels) - MOST_CELLS} of {len(labels)} {what}" for labels, what in sides if len(labels) > MOST_CELLS]
    if left_out:
        caption += f" Not shown: the last {' and '.join(left_out)}."
    weights, rows, columns = weights[:MOST_CELLS, :MOST_CELLS], rows[:MOST_CELLS], columns[:MOST_CELLS]
    upright = max(map(display_width, columns), default=1) <= 2
    left = 10 + _LETTER * max(display_width(_label(row)) for row in rows)
    longest = _LETTER * max(display_width(_label(column)) for column in columns)
    top = 20.0 if upright else 12 + longest * _SLANT
    width = left + CELL * len(columns) + (4 if upright else longest * 0.6)
    height = top + CELL * len(rows) + 2
    marks = [element("rect", {"class": "track", "x": _px(left), "y": _px(top), "width": CELL * len(columns), "height": CELL * len(rows)})]
    marks += _cells(weights, rows, columns, left, top)
    for index, row in enumerate(rows):
        where = {"class": "piece-label", "x": _px(left - 5), "y": _px(top + CELL * index + 13), "text-anchor": "end"}
        marks.append(element("text", where, element("title", None, row), _label(row)))
    for index, column in enumerate(columns):
        marks.append(_column_label(column, left + CELL * (index + 0.5), top - 5, upright=upright))
    shape = {"viewBox": f"0 0 {_px(width)} {_px(height)}", "width": _px(width), "height": _px(height), "role": "img", "aria-label": caption}
    scrolling = element("div", {"class": "scroll"}, element("svg", shape, *marks))
    return element("figure", {"class": "map"}, element("figcaption", None, caption), scrolling)


def _cells(weights: Float[np.ndarray, "T S"], rows: Sequence[str], columns: Sequence[str], left: Real, top: Real) -> list[Markup]:
    largest = max(float(weights.max()), 1e-12)
    cells = []
    for (row, column), weight in np.ndenumerate(weights):
        shade = float(weight) / largest
        shape = {"class": "cell", "x": _px(left + CELL * column), "y": _px(top + CELL * row), "width": CELL, "height": CELL}
        shape["fill-opacity"] = f"{shade if shade >= _FAINT else 0:.2f}"
        said = f"{_label(rows[row])} ← {_label(columns[column])}: {number(float(weight), 2)}"
        cells.append(element("rect", shape, element("title", None, said)))
    return cells


def _column_label(label: str, x: Real, y: Real, *, upright: bool) -> Markup:
    where = {"class": "piece-label", "x": _px(x), "y": _px(y)}
    if upright:
        return element("text", {**where, "text-anchor": "middle"}, element("title", None, label), _label(label))
    return element("text", {**where, "transform": f"rotate(-55 {_px(x)} {_px(y)})"}, element("title", None, label), _label(label))


def _label(piece: str) -> str:
    """A piece as a short label; blanks are made visible."""
    letters = "".join("␣" if letter.isspace() else letter for letter in visible(piece.strip(_JOINER))) or "∅"
    shown, more = clipped(letters, _MOST_LETTERS)
    return f"{shown}…" if more else shown


def _px(value: Real) -> str:
    """A coordinate, rounded to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")
