"""Plots of a sweep: scores over trials and over the values of each setting, and learning curves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from antiphon.report.axes import Axis, fitting, linear, steps_axis
from antiphon.report.markup import Markup, element, join
from antiphon.report.plots import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, chart, horizontal_lines, px
from antiphon.report.quantities import Real, number


@final
@dataclass(frozen=True)
class Dot:
    """A trial in a plot: its position, its score with its interval, its hover text, and whether it is the best."""

    x: Real
    y: Real
    label: str
    low: Real | None = None
    high: Real | None = None
    best: bool = False


def scatter(title: str, unit: str, dots: Sequence[Dot], horizontal: Axis, *, names: Sequence[str] = (), path: bool = False) -> Markup:
    """Dots with their intervals as whiskers. `names` label the ticks if values are no numbers; `path` connects the best so far."""
    ends = [end for dot in dots for end in (dot.y, dot.low, dot.high) if end is not None]
    vertical = linear(ends, HEIGHT - BOTTOM, TOP)
    marks = [horizontal_lines(vertical, LEFT, WIDTH - RIGHT), _ticks(horizontal, names, unit)]
    if path:
        best = [dot for dot in dots if dot.best]
        steps = "".join(
            f"{'H' + px(horizontal.at(dot.x)) + 'V' if place else 'M' + px(horizontal.at(dot.x)) + ' '}{px(vertical.at(dot.y))}"
            for place, dot in enumerate(best)
        )
        marks.append(element("path", {"class": "past", "d": f"{steps}H{WIDTH - RIGHT}"}) if best else Markup(""))
    for dot in sorted(dots, key=lambda dot: dot.best):
        x, y = px(horizontal.at(dot.x)), px(vertical.at(dot.y))
        if dot.low is not None and dot.high is not None:
            marks.append(element("path", {"class": "diagonal", "d": f"M{x} {px(vertical.at(dot.low))}V{px(vertical.at(dot.high))}"}))
        shape = {"class": f"dot line{1 if dot.best else 0}", "cx": x, "cy": y, "r": 4.2 if dot.best else 3.2}
        marks.append(element("circle", shape, element("title", None, dot.label)))
    svg = chart(WIDTH, HEIGHT, f"{title}: {len(dots)} trials", *marks)
    return element("figure", None, element("figcaption", None, element("strong", None, title)), svg)


def value_axis(low: Real, high: Real, *, log: bool) -> Axis:
    """The axis of a range."""
    if log and low > 0 and high / low >= 10:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = tuple(10.0**power for power in powers if low <= 10.0**power <= high)
        return Axis(low, high, LEFT + 8, WIDTH - RIGHT - 8, ticks or (low, high), logarithmic=True)
    return linear([low, high], LEFT + 8, WIDTH - RIGHT - 8)


def choice_axis(count: int) -> Axis:
    """The axis of a list of values, each at its number."""
    return Axis(-0.5, count - 0.5, LEFT, WIDTH - RIGHT, tuple(range(count)))


def trial_axis(count: int) -> Axis:
    """The axis of the trials' numbers."""
    return steps_axis([max(count - 1, 1)], LEFT + 6, WIDTH - RIGHT - 6)


@final
@dataclass(frozen=True)
class Course:
    """The best score so far of a trial, after each validation."""

    points: Sequence[Real]
    label: str
    kind: str
    """`past` of the best, `line line0` of one that came to its end, `diagonal` of one that ended early."""


def courses(title: str, lines: Sequence[Course]) -> Markup:
    """The learning curves of trials: pruned ones end early."""
    drawn = [line for line in lines if line.points]
    vertical = fitting([point for line in drawn for point in line.points], HEIGHT - BOTTOM, TOP)
    horizontal = steps_axis([max(len(line.points) for line in drawn)], LEFT, WIDTH - RIGHT - 6)
    marks = [horizontal_lines(vertical, LEFT, WIDTH - RIGHT), _ticks(horizontal, (), "validation")]
    for line in sorted(drawn, key=lambda line: ("diagonal", "line line0", "past").index(line.kind)):
        places = [f"{px(horizontal.at(place))} {px(vertical.at(point))}" for place, point in enumerate(line.points, start=1)]
        said = element("title", None, f"{line.label}: {number(line.points[-1])}")
        marks.append(element("path", {"class": line.kind, "d": "M" + "L".join(places)}, said))
        x, y = places[-1].split()
        marks.append(element("circle", {"class": "hit", "cx": x, "cy": y, "r": 5}, said))
    svg = chart(WIDTH, HEIGHT, f"{title}: {len(drawn)} trials", *marks)
    return element("figure", None, element("figcaption", None, element("strong", None, title)), svg)


def _ticks(axis: Axis, names: Sequence[str], unit: str) -> Markup:
    marks = []
    for place, tick in enumerate(axis.ticks):
        x = px(axis.at(tick))
        marks.append(element("path", {"class": "tickmark", "d": f"M{x} {HEIGHT - BOTTOM}v4"}))
        where = {"class": "tick", "x": x, "y": HEIGHT - BOTTOM + 16, "text-anchor": "middle"}
        marks.append(element("text", where, _short(names[place]) if names else axis.label(tick)))
    middle = (LEFT + WIDTH - RIGHT) / 2
    marks.append(element("text", {"class": "axis", "x": middle, "y": HEIGHT - 3, "text-anchor": "middle"}, unit))
    return join(marks)


def _short(name: str) -> str:
    return name if len(name) <= 14 else f"{name[:13]}…"
