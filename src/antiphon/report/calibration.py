"""The calibration section: whether prediction intervals have the promised coverage."""

from collections.abc import Mapping, Sequence

from antiphon.report.axes import Axis
from antiphon.report.markup import Markup, element, join, note, table
from antiphon.report.plots import LEFT, RIGHT, TOP, WIDTH, chart, horizontal_lines, px
from antiphon.report.quantities import as_count, as_real, number
from antiphon.report.run_record import Plain

_HEIGHT, _BOTTOM = 290, 36
_TICKS = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
_NEAR = 3.0  # points of percent that are near enough to say so


def calibration(rows: Sequence[Plain]) -> Markup:
    """A plot and a table of (nominal, observed) coverage, narrow to wide; a sentence if forecasts have no intervals."""
    pairs = [(nominal, observed) for row in rows for nominal, observed in [_pair(row)] if nominal is not None and observed is not None]
    if not pairs:
        return note("The forecasts have no intervals: use a head of quantiles or of a distribution, or set task.intervals.")
    figure = element("figure", None, element("figcaption", None, element("strong", None, "Calibration of intervals")), _plot(pairs))
    return join([element("div", {"class": "charts"}, figure, element("div", None, _table(rows), _verdict(pairs)))])


def _pair(row: Plain) -> tuple[float | None, float | None]:
    return as_real(row.get("nominal")), as_real(row.get("observed"))


def _plot(pairs: Sequence[tuple[float, float]]) -> Markup:
    horizontal = Axis(0.0, 100.0, LEFT, WIDTH - RIGHT, _TICKS)
    vertical = Axis(0.0, 100.0, _HEIGHT - _BOTTOM, TOP, _TICKS)
    line = "L".join(f"{px(horizontal.at(nominal))} {px(vertical.at(observed))}" for nominal, observed in pairs)
    dots = (
        element(
            "circle",
            {"class": "dot line0", "cx": px(horizontal.at(nominal)), "cy": px(vertical.at(observed)), "r": 4},
            element("title", None, f"{number(nominal)}% interval: {number(observed, 3)}% of the values are inside"),
        )
        for nominal, observed in pairs
    )
    middle = (LEFT + WIDTH - RIGHT) / 2
    marks = [
        horizontal_lines(vertical, LEFT, WIDTH - RIGHT),
        *(_tick(horizontal, tick) for tick in _TICKS),
        element("path", {"class": "diagonal", "d": f"M{LEFT} {_HEIGHT - _BOTTOM}L{WIDTH - RIGHT} {TOP}"}),
        element("path", {"class": "line line0", "d": f"M{line}"}),
        *dots,
        element("text", {"class": "axis", "x": middle, "y": _HEIGHT - 4, "text-anchor": "middle"}, "promised, percent"),
        element("text", {"class": "axis", "x": LEFT + 6, "y": TOP + 12}, "observed, percent"),
    ]
    said = "; ".join(f"{number(nominal)}% promised, {number(observed, 3)}% observed" for nominal, observed in pairs)
    return chart(WIDTH, _HEIGHT, f"Coverage: {said}", *marks)


def _tick(axis: Axis, tick: float) -> Markup:
    where = {"class": "tick", "x": px(axis.at(tick)), "y": _HEIGHT - _BOTTOM + 16, "text-anchor": "middle"}
    return element("text", where, f"{tick:g}")


def _table(rows: Sequence[Plain]) -> Markup:
    """Coverage and mean width; by channel if there are several, since their widths have different units."""
    several = any(len(_channels(row)) > 1 for row in rows)
    listed = []
    for row in rows:
        for own in _channels(row):
            observed, width = as_real(own.get("observed")), as_real(own.get("width"))
            name = (str(own.get("channel", "")),) if several else ()
            cells = ("" if observed is None else f"{observed:.1f}%", "" if width is None else number(width))
            listed.append((f"{number(row.get('nominal'))}%", *name, *cells, f"{as_count(row.get('values')):,}"))
    header = ("interval", *(("target",) if several else ()), "observed", "mean width", "values")
    return table(header, listed, numeric=range(2 if several else 1, len(header)))


def _channels(row: Plain) -> list[Plain]:
    found = row.get("channels")
    return [own for own in found if isinstance(own, Mapping)] if isinstance(found, list) else []


def _verdict(pairs: Sequence[tuple[float, float]]) -> Markup:
    nominal, observed = max(pairs, key=lambda pair: abs(pair[1] - pair[0]))
    if abs(observed - nominal) <= _NEAR:
        found = f"Every interval holds what it promises, to within {_NEAR:g} points."
    else:
        side = "too narrow: the forecasts are surer than they should be" if observed < nominal else "wider than they need to be"
        found = f"The {number(nominal)}% intervals hold {observed:.1f}% of the values: they are {side}."
    return note(
        f"{found} On the dashed line, intervals cover what they promise; below it they are too narrow. Widths are in units of the data."
    )
