"""Line charts, histograms and intervals as SVG. Colours come from the page's style sheet, so that they suit light and dark mode.

Unusual: every mark carries its values as a `<title>`, which a browser shows on hover and a screen reader speaks; there is no script.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import final

from antiphon.report.axes import Axis, fitting, linear, steps_axis
from antiphon.report.markup import Markup, element, join
from antiphon.report.quantities import Real, number, percent

WIDTH, HEIGHT = 520, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 24, 12, 34
MOST_POINTS = 400
COLOURS = 6

Point = tuple[Real, Real]


@final
@dataclass(frozen=True)
class Series:
    """A line: its name, its points in order of x, and whether each point is drawn as a dot."""

    name: str
    points: Sequence[Point]
    dots: bool = False


@final
@dataclass(frozen=True)
class Marker:
    """A vertical line at a step, such as that of the best checkpoint."""

    step: Real
    label: str


@final
@dataclass(frozen=True)
class LineChart:
    """Curves over steps. `shared` are values that the vertical axis must include; `unit` is the label of the horizontal one."""

    title: str
    series: Sequence[Series]
    last_step: Real
    marker: Marker | None = None
    caption: Markup | None = None
    shared: Sequence[Real] = field(default=())
    unit: str = "step"

    def figure(self) -> Markup:
        """The chart with its title and legend."""
        drawn = [series for series in self.series if series.points]
        values = [y for series in drawn for _, y in series.points]
        horizontal = steps_axis([self.last_step], LEFT, WIDTH - RIGHT)
        vertical = fitting([*values, *self.shared], HEIGHT - BOTTOM, TOP)
        lines = (_line(series, index, horizontal, vertical) for index, series in enumerate(drawn))
        marks = [_grid(horizontal, vertical, self.unit), *lines, _marker(self.marker, horizontal)]
        svg = chart(WIDTH, HEIGHT, f"{self.title} over {number(self.last_step)} steps", *marks)
        scale = element("span", {"class": "quiet"}, " (logarithmic)") if vertical.logarithmic else None
        keys = legend([series.name for series in drawn]) if len(drawn) > 1 else None
        return element("figure", None, element("figcaption", None, element("strong", None, self.title), scale, keys), svg, self.caption)


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most about `most` points, keeping the lowest and the highest of each stretch, so that no spike disappears."""
    if len(points) <= most:
        return list(points)
    stretches = max(1, most // 2)
    kept: list[Point] = [points[0]]
    for index in range(stretches):
        stretch = points[index * len(points) // stretches : (index + 1) * len(points) // stretches]
        kept += sorted({min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])})
    return [*kept, points[-1]] if kept[-1] != points[-1] else kept


def histogram(title: str, bins: Sequence[tuple[Real, Real, int]], unit: str, *, marks: Sequence[tuple[str, Real]] = ()) -> Markup:
    """Bars over bins (lowest, highest, count); the last bin may hold a long tail, which its label shows.

    `marks` are (name, value) pairs drawn as thin lines, such as the median.
    """
    counts = [count for _, _, count in bins]
    total = max(sum(counts), 1)
    left, height = 58, 190
    vertical = linear([0, max([*counts, 1])], height - BOTTOM, TOP, count=4, from_zero=True)
    width = (WIDTH - left - RIGHT) / max(len(bins), 1)
    bars, labels = [], []
    every = max(1, -(-len(bins) // 8))
    tail = len(bins) > 1 and bins[-1][1] - bins[-1][0] > 1.5 * (bins[0][1] - bins[0][0]) + 0.5
    for index, (low, high, count) in enumerate(bins):
        x, y = left + index * width, vertical.at(count)
        span = number(low) if low == high else f"{number(low)} to {number(high)}"
        shape = {"class": "bar", "x": px(x + 0.5), "y": px(y), "width": px(max(width - 1, 0.5)), "height": px(vertical.start - y)}
        bars.append(element("rect", shape, element("title", None, f"{span} {unit}: {count:,} ({percent(count / total)})")))
        is_tail = tail and index == len(bins) - 1
        if is_tail or (index % every == 0 and not (tail and len(bins) - 1 - index < every / 2 + 1)):
            where = {"class": "tick", "x": px(x + width / 2), "y": height - BOTTOM + 14, "text-anchor": "middle"}
            labels.append(element("text", where, f"{number(low)}+" if is_tail else number(low)))
    place = _bin_place(bins, left, width)
    lines = [_mark(name, value, place(value), TOP, height - BOTTOM) for name, value in marks]
    axis = horizontal_lines(vertical, left, WIDTH - RIGHT)
    under = element("text", {"class": "axis", "x": (left + WIDTH - RIGHT) / 2, "y": height - 4, "text-anchor": "middle"}, unit)
    svg = chart(WIDTH, height, f"{title}: {sum(counts):,} in {len(bins)} bins", axis, *bars, *lines, *labels, under)
    return element("figure", None, element("figcaption", None, element("strong", None, title)), svg)


def interval_bar(
    value: Real, low: Real | None, high: Real | None, top: Real, name: str, *, marks_at: Sequence[tuple[str, Real]] = ()
) -> Markup:
    """A bar from 0 to the value on a scale up to `top`, with the interval as a whisker, and thin lines at other (name, value) pairs."""
    width, height = 200, 22
    axis = Axis(0.0, top, 1, width - 1, ())
    middle, x = height / 2, axis.at(value)
    said = f"{name}: {number(value)}"
    marks = [
        element("rect", {"class": "track", "x": 1, "y": 5, "width": width - 2, "height": height - 10}),
        element("rect", {"class": "bar", "x": 1, "y": 5, "width": px(x - 1), "height": height - 10}),
    ]
    if low is not None and high is not None:
        said += f", 95% interval {number(low)} to {number(high)}"
        ends = [axis.at(low), axis.at(high)]
        path = f"M{px(ends[0])} {middle}H{px(ends[1])}" + "".join(f"M{px(end)} {middle - 5}V{middle + 5}" for end in ends)
        marks.append(element("path", {"class": "whisker", "d": path}))
    for other, at in marks_at:
        line = {"class": "rival", "d": f"M{px(axis.at(at))} 2V{height - 2}"}
        marks.append(element("path", line, element("title", None, f"{other}: {number(at)}")))
        said += f"; {other}: {number(at)}"
    shape = {"viewBox": f"0 0 {width} {height}", "width": width, "height": height, "class": "interval", "role": "img", "aria-label": said}
    return element("svg", shape, element("title", None, said), *marks)


def bars(title: str, unit: str, rows: Sequence[tuple[str, Real, str]]) -> Markup:
    """Horizontal bars (label, value, remark), one under the other; `unit` is that of the labels."""
    left, step = 84, 24
    height = TOP + step * len(rows) + BOTTOM
    axis = linear([0, max(value for _, value, _ in rows)], left, WIDTH - RIGHT - 40, from_zero=True)
    ticks = [tick_down(axis, tick, height) for tick in axis.ticks]
    marks = []
    for index, (label, value, remark) in enumerate(rows):
        y = TOP + index * step
        shape = {"class": "bar", "x": left, "y": y + 3, "width": px(axis.at(value) - left), "height": step - 6}
        marks += [
            element("rect", shape, element("title", None, f"{label}: {number(value)} ({remark})")),
            element("text", {"class": "tick", "x": left - 6, "y": y + step / 2 + 4, "text-anchor": "end"}, label),
            element("text", {"class": "tick value", "x": px(axis.at(value) + 5), "y": y + step / 2 + 4}, number(value, 3)),
        ]
    under = element("text", {"class": "axis", "x": left - 6, "y": height - BOTTOM + 16, "text-anchor": "end"}, unit)
    svg = chart(WIDTH, height, title, *ticks, *marks, under)
    return element("figure", None, element("figcaption", None, element("strong", None, title)), svg)


def chart(width: Real, height: Real, label: str, *marks: object) -> Markup:
    """A picture as wide as its column; `label` is the text for screen readers."""
    return element("svg", {"viewBox": f"0 0 {width} {height}", "role": "img", "aria-label": label, "class": "chart"}, *marks)


def _grid(horizontal: Axis, vertical: Axis, unit: str) -> Markup:
    marks = [horizontal_lines(vertical, LEFT, WIDTH - RIGHT)]
    for tick in horizontal.ticks:
        x = px(horizontal.at(tick))
        marks.append(element("path", {"class": "tickmark", "d": f"M{x} {HEIGHT - BOTTOM}v4"}))
        where = {"class": "tick", "x": x, "y": HEIGHT - BOTTOM + 16, "text-anchor": "middle"}
        marks.append(element("text", where, horizontal.label(tick)))
    middle = (LEFT + WIDTH - RIGHT) / 2
    marks.append(element("text", {"class": "axis", "x": middle, "y": HEIGHT - 3, "text-anchor": "middle"}, unit))
    return join(marks)


def horizontal_lines(vertical: Axis, left: Real, right: Real) -> Markup:
    """Horizontal grid lines at the ticks of the vertical axis, with their values."""
    marks = []
    for tick in vertical.ticks:
        y = px(vertical.at(tick))
        marks.append(element("path", {"class": "grid", "d": f"M{left} {y}H{right}"}))
        marks.append(element("text", {"class": "tick", "x": left - 6, "y": float(y) + 4, "text-anchor": "end"}, vertical.label(tick)))
    return join(marks)


def tick_down(axis: Axis, tick: Real, height: Real) -> Markup:
    """A vertical line at a tick of the horizontal axis, with its value."""
    x = px(axis.at(tick))
    where = {"class": "tick", "x": x, "y": height - BOTTOM + 16, "text-anchor": "middle"}
    return join([element("path", {"class": "grid", "d": f"M{x} {TOP}V{height - BOTTOM}"}), element("text", where, axis.label(tick))])


def _marker(marker: Marker | None, horizontal: Axis) -> Markup | None:
    return None if marker is None else _mark(marker.label, marker.step, horizontal.at(marker.step), TOP, HEIGHT - BOTTOM)


def _mark(name: str, value: Real, x: Real, top: Real, bottom: Real) -> Markup:
    line = element("path", {"class": "marker", "d": f"M{px(x)} {top}V{bottom}"}, element("title", None, f"{name}: {number(value)}"))
    side = {"text-anchor": "end", "x": px(x - 4)} if x > WIDTH * 0.75 else {"x": px(x + 4)}
    return join([line, element("text", {"class": "marker-label", "y": top + 9, **side}, name)])


def _line(series: Series, index: int, horizontal: Axis, vertical: Axis) -> Markup:
    places = [(px(horizontal.at(x)), px(vertical.at(y)), x, y) for x, y in thinned(series.points)]
    path = element("path", {"class": f"line line{index % COLOURS}", "d": "M" + "L".join(f"{x} {y}" for x, y, _, _ in places)})
    radius, kind = (3.2, "dot") if series.dots or len(places) == 1 else (5, "hit")
    circles = (
        element(
            "circle",
            {"class": f"{kind} line{index % COLOURS}", "cx": x, "cy": y, "r": radius},
            element("title", None, f"{series.name}, step {number(step)}: {number(value)}"),
        )
        for x, y, step, value in places
    )
    return join([path, *circles])


def legend(names: Sequence[str]) -> Markup:
    """The names of lines beside their colours."""
    keys = (element("span", {"class": f"key key{index % COLOURS}"}, name) for index, name in enumerate(names))
    return element("span", {"class": "legend"}, *keys)


def _bin_place(bins: Sequence[tuple[Real, Real, int]], left: Real, width: Real) -> Callable[[Real], Real]:
    """The position of a value among bars of equal width; the tail's bar is as wide as the others."""

    def place(value: Real) -> Real:
        for index, (low, high, _) in enumerate(bins):
            if value <= high or index == len(bins) - 1:
                share = (value - low + 0.5) / (high - low + 1) if high >= low else 0.5
                return left + (index + min(max(share, 0.0), 1.0)) * width
        return left

    return place


def px(value: Real) -> str:
    """A coordinate, rounded to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")
