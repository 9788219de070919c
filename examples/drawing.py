"""The pictures of the chapters in docs/learn/: those of the report, as SVG files that stand by themselves.

Unusual: a report is a page, whose style sheet says the colours. A file of its own brings the few rules that it needs, in colours that can
be read on white and on black.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from antiphon.report.heat_map import heat_map
from antiphon.report.markup import element
from antiphon.report.plots import LineChart, Series

COLOURS = ("#2f74d0", "#d9622b", "#2f9e52", "#9a5bd0", "#d0467f", "#1f948a")
STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#7b8592}.piece-label,.key{font-size:12px}"
    ".grid,.tickmark{stroke:#7b8592;stroke-opacity:.3}.line{fill:none;stroke-width:2}.dot{stroke:none}.hit{fill:none}"
    ".track{fill:none;stroke:#7b8592;stroke-opacity:.4}.cell{fill:#2f74d0}"
    + "".join(f".line.line{n}{{stroke:{c}}}.dot.line{n}{{fill:{c}}}.key{n}{{fill:{c}}}" for n, c in enumerate(COLOURS))
)


class Picture(str):
    """An SVG. Jupyter shows it where it is the last thing in a cell."""

    def _repr_svg_(self) -> str:
        return self

    def save(self, path: str) -> "Picture":
        """Write the file; gives back the picture."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(f"{self}\n", encoding="utf-8")
        return self


def curves(title: str, lines: Mapping[str, Mapping[float, float]], unit: str, *, between: tuple[float, float] = (0, 1)) -> Picture:
    """Lines by name, each from x to y, above an axis of `unit`s; the vertical axis reaches at least over what is `between`."""
    series = [Series(name, list(points.items()), dots=True) for name, points in lines.items()]
    last = max(x for points in lines.values() for x in points)
    figure = LineChart(title, series, last, shared=between, unit=unit).figure()
    keys, x = [], 52.0
    for index, name in enumerate(lines):
        keys.append(element("text", {"class": f"key key{index}", "x": x, "y": -6}, f"● {name}"))
        x += 7 * len(name) + 34
    return _alone(figure, "".join(keys), above=24)


def attention_map(weights: object, rows: Sequence[str], columns: Sequence[str], caption: str) -> Picture:
    """Weights (T, S), a tensor or nested lists: the darker a cell, the more its row looked at its column."""
    return _alone(heat_map(np.asarray(weights, dtype=float), rows, columns, caption))


def _alone(figure: str, more: str = "", above: int = 0) -> Picture:
    """The drawing of a figure, with its style and what stands above it."""
    found = re.search(r"<svg (.*?)>(.*)</svg>", figure, re.DOTALL)
    assert found, "a figure of the report holds a drawing"
    attributes = found[1]
    if above:
        attributes = re.sub(
            r'viewBox="0 0 (\S+) (\S+)"',
            lambda box: f'viewBox="0 {-above} {box[1]} {int(box[2]) + above}" width="{box[1]}" height="{int(box[2]) + above}"',
            attributes,
        )
    return Picture(f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}><style>{STYLE}</style>{more}{found[2]}</svg>')
