"""Heat maps: every cell says its value, the darkest is the largest, and what is left out is said."""

from xml.etree import ElementTree

import numpy as np

from antiphon.report.heat_map import MOST_CELLS, heat_map


def test_cells_say_their_values() -> None:
    weights = np.array([[0.9, 0.1, 0.0], [0.25, 0.5, 0.25]])
    figure = ElementTree.fromstring(heat_map(weights, ["A", " "], ["a", "<b>", "\u202e"], "Best"))  # noqa: S314 - our own markup
    cells = [found for found in figure.iter("rect") if found.get("class") == "cell"]
    said = [str(cell.findtext("title")) for cell in cells]
    assert said == ["A ← a: 0.90", "A ← <b>: 0.10", "A ← \\u202e: 0", "␣ ← a: 0.25", "␣ ← <b>: 0.50", "␣ ← \\u202e: 0.25"]
    assert [cell.get("fill-opacity") for cell in cells] == ["1.00", "0.11", "0.00", "0.28", "0.56", "0.28"]
    assert len({cell.get("x") for cell in cells}) == 3
    assert len({cell.get("y") for cell in cells}) == 2
    assert {cell.get("width") for cell in cells} == {cell.get("height") for cell in cells} == {"18"}


def test_what_does_not_fit_is_said() -> None:
    size = MOST_CELLS + 3
    figure = heat_map(np.full((2, size), 1 / size), ["a", "b"], ["x"] * size, "Long.")
    assert f"Not shown: the last 3 of {size} columns." in figure
    assert figure.count('class="cell"') == 2 * MOST_CELLS
    assert "Not shown" not in heat_map(np.ones((2, 2)), ["a", "b"], ["x", "y"], "Short.")


def test_labels_lie_inside() -> None:
    """Long labels are cut and whole on hover; the drawing is as large as its labels need."""
    figure = ElementTree.fromstring(heat_map(np.zeros((1, 1)), ["a" * 30], ["日本" * 9], "Zero"))  # noqa: S314 - our own markup
    texts = list(figure.iter("text"))
    assert [found.findtext("title") for found in texts] == ["a" * 30, "日本" * 9]
    assert all(float(found.get("x", -1)) > 0 and float(found.get("y", -1)) > 0 for found in texts)
