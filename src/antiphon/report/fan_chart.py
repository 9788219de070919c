"""A forecast as a fan chart: the end of the history, the actual values, the point forecast, nested intervals and the last season repeated.

Unusual: bands lie on top of each other in one colour, so that the more certain a region is, the darker it gets. An interval so wide that
the series would look flat beside it is cut at the edge of the picture, and the caption says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from antiphon.report.axes import Axis, linear
from antiphon.report.markup import Markup, element, join
from antiphon.report.plots import HEIGHT, LEFT, RIGHT, TOP, WIDTH, chart, horizontal_lines, px
from antiphon.report.quantities import Real, as_real, number

BOTTOM = 26
MOST_BANDS = 3
_WANTED = (80.0, 50.0)  # intervals that people know, besides the widest
_MOST_HOVERED = 60
_WIDEST = 3.0  # an interval may reach so many times the span of all lines beyond them
_LETTER = 7.5  # the width of a character of a tick on a narrow screen

Values = Sequence[float | None]
Band = tuple[float, Values, Values]


@final
@dataclass(frozen=True)
class Fan:
    """One channel of a forecast; None stands for a missing value.

    history (T,); actual, point and repeated (H,), of which the last two may be empty; times (H,) and history_times (T,) as the data
    writes them; bands: (percent, low (H,), high (H,)) of each central interval, the widest first
    """

    history: Values
    actual: Values
    point: Values
    repeated: Values
    bands: Sequence[Band]
    times: Sequence[str]
    history_times: Sequence[str]

    @property
    def steps(self) -> int:
        """The steps after the history."""
        return max(len(self.point), len(self.actual), 1)

    def figure(self, title: str, remark: str) -> Markup:
        """The chart with its caption."""
        lines = [value for part in (self.history, self.actual, self.point, self.repeated) for value in part if value is not None]
        if not lines:
            return element("figure", {"class": "fan"}, element("figcaption", None, element("strong", None, title), " has no values."))
        vertical, cut = self._vertical(lines)
        horizontal = Axis(float(1 - len(self.history)), float(self.steps), LEFT, WIDTH - RIGHT, ())
        marks = [
            horizontal_lines(vertical, LEFT, WIDTH - RIGHT),
            *(self._band(low, high, percent, horizontal, vertical) for percent, low, high in self.bands[:MOST_BANDS]),
            self._origin(horizontal),
            *self._lines(horizontal, vertical),
            *self._columns(horizontal),
        ]
        said = f"{title}: {len(self.history)} steps of history and {self.steps} that follow. {remark}"
        edge = " Intervals go beyond the picture." if cut else ""
        caption = element("figcaption", None, element("strong", None, title), element("span", {"class": "quiet"}, remark + edge))
        return element("figure", {"class": "fan"}, caption, chart(WIDTH, HEIGHT, said, *marks))

    def _vertical(self, lines: Sequence[float]) -> tuple[Axis, bool]:
        """The vertical axis, and whether an interval does not fit on it."""
        low, high = min(lines), max(lines)
        room = _WIDEST * max(high - low, 1e-9 * max(abs(high), abs(low), 1e-9))
        ends = [value for _, *sides in self.bands[:MOST_BANDS] for side in sides for value in side if value is not None]
        reach = [min(max(value, low - room), high + room) for value in ends]
        return linear([low, high, *reach], HEIGHT - BOTTOM, TOP), reach != ends

    def _band(self, low: Values, high: Values, percent: float, horizontal: Axis, vertical: Axis) -> Markup | None:
        ends = [(step, one, other) for step, (one, other) in enumerate(zip(low, high, strict=False), start=1)]
        there: list[tuple[Real, float, float]] = [(step, one, other) for step, one, other in ends if one is not None and other is not None]
        if not there:
            return None
        if len(there) == 1:  # a band has a width, also over a single step
            step, one, other = there[0]
            there = [(step - 0.2, one, other), (step + 0.2, one, other)]
        over = [_place(step, value, horizontal, vertical) for step, _, value in there]
        under = [_place(step, value, horizontal, vertical) for step, value, _ in reversed(there)]
        shape = {"class": "band", "d": "M" + "L".join([*over, *under]) + "Z"}
        return element("path", shape, element("title", None, f"{number(percent)}% interval"))

    def _lines(self, horizontal: Axis, vertical: Axis) -> list[Markup]:
        first = 1 - len(self.history)
        last = self.history[-1] if self.history else None
        drawn = [
            ("past", "history", first, self.history),
            ("repeated", "seasonal naive", 1, self.repeated),
            # what happened goes on where the history ends
            ("happened", "what happened", 0, [last, *self.actual]),
            ("said", "forecast", 1, self.point),
        ]
        marks = [_path(kind, name, begin, values, horizontal, vertical) for kind, name, begin, values in drawn]
        dots = [
            element("circle", {"class": "happened-dot", "cx": px(horizontal.at(step)), "cy": px(vertical.at(value)), "r": 1.8})
            for step, value in enumerate(self.actual, start=1)
            if value is not None and len(self.actual) <= _MOST_HOVERED
        ]
        return [*marks, *dots]

    def _origin(self, horizontal: Axis) -> Markup:
        """The origin of the forecast, and the times at both ends, unless their labels would touch."""
        middle, bottom = horizontal.at(0.5), HEIGHT - BOTTOM
        marks = [element("path", {"class": "marker", "d": f"M{px(middle)} {TOP}V{bottom}"})]
        first, last = (self.history_times or self.times)[:1], self.times[-1:]
        ends: list[tuple[Real, str, str]] = []
        ends += [(LEFT, "start", label) for label in first]
        ends += [(WIDTH - RIGHT, "end", label) for label in last]
        half, taken = len("".join(self.times[:1])) * _LETTER / 2, max((len(label) * _LETTER for _, _, label in ends), default=0)
        if self.times and LEFT + taken < middle - half and middle + half < WIDTH - RIGHT - taken:
            ends.append((middle, "middle", self.times[0]))
        for x, anchor, label in ends:
            marks.append(element("text", {"class": "tick", "x": px(x), "y": bottom + 17, "text-anchor": anchor}, label))
        return join(marks)

    def _columns(self, horizontal: Axis) -> list[Markup]:
        """Hover areas for the steps, which show all values; for long horizons only for some steps."""
        every = -(-self.steps // _MOST_HOVERED)
        width = (horizontal.at(1) - horizontal.at(0)) * every
        marks = []
        for step in range(0, self.steps, every):
            named = [("forecast", self.point), ("happened", self.actual), ("seasonal naive", self.repeated)]
            said = [f"{name} {number(value)}" for name, values in named if (value := _at(values, step)) is not None]
            for percent, low, high in self.bands[:MOST_BANDS]:
                ends = _at(low, step), _at(high, step)
                if ends[0] is not None and ends[1] is not None:
                    said.append(f"{number(percent)}% from {number(ends[0])} to {number(ends[1])}")
            x = horizontal.at(step + 1) - width / 2
            shape = {"class": "column", "x": px(x), "y": TOP, "width": px(width), "height": HEIGHT - BOTTOM - TOP}
            time = self.times[step] if step < len(self.times) else f"step {step + 1}"
            marks.append(element("rect", shape, element("title", None, f"{time}: {', '.join(said)}")))
        return marks


def fan_of(channel: Any, times: Sequence[str], history_times: Sequence[str]) -> Fan:
    """The fan of a channel, from an evaluation's details; values that are no numbers count as missing."""
    levels, quantiles = numbers(channel.get("levels")), channel.get("quantiles")
    rows = [numbers(row) for row in quantiles] if isinstance(quantiles, list) else []
    bands: list[Band] = []
    for low, level in enumerate(levels):
        high = next(
            (place for place, other in enumerate(levels) if level and other and abs(level + other - 1) < 1e-7 and place > low), None
        )
        if level is not None and high is not None:
            percent = round(100 * (1 - 2 * level), 6)
            bands.append((percent, [_at(row, low) for row in rows], [_at(row, high) for row in rows]))
    history, actual, point, repeated = (numbers(channel.get(key)) for key in ("history", "actual", "point", "seasonal_naive"))
    return Fan(history, actual, point, repeated, chosen_bands(sorted(bands, key=lambda band: -band[0])), times, history_times)


def chosen_bands(bands: Sequence[Band]) -> list[Band]:
    """A selection of intervals that can be told apart: the widest, and those nearest to 80 and 50 percent."""
    if len(bands) <= MOST_BANDS:
        return list(bands)
    chosen = {0}
    for wanted in _WANTED:
        chosen.add(min((place for place in range(len(bands)) if place not in chosen), key=lambda place: abs(bands[place][0] - wanted)))
    return [bands[place] for place in sorted(chosen)]


def fan_legend(percents: Sequence[float]) -> Markup:
    """The meaning of lines and shades."""
    keys = [("past", "history and what happened"), ("said", "forecast"), ("repeated", "seasonal naive")]
    keys += [(f"band{index}", f"{number(percent)}% interval") for index, percent in enumerate(percents)]
    return element("p", {"class": "legend"}, *(element("span", {"class": f"key key-{kind}"}, name) for kind, name in keys))


def numbers(value: object) -> list[float | None]:
    """A list of numbers, with None in place of anything else; [] for a value that is no list."""
    return [as_real(item) for item in value] if isinstance(value, list) else []


def _at(values: Values, place: int) -> float | None:
    return values[place] if place < len(values) else None


def _path(kind: str, name: str, begin: int, values: Values, horizontal: Axis, vertical: Axis) -> Markup:
    """A line with a gap wherever a value is missing; a value between two gaps is a short stroke."""
    runs: list[list[str]] = [[]]
    for step, value in enumerate(values, start=begin):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(_place(step, value, horizontal, vertical))
    path = "".join(f"M{'L'.join(run)}" if len(run) > 1 else f"M{run[0]}h1.5" for run in runs if run)
    return element("path", {"class": kind, "d": path}, element("title", None, name)) if path else join([])


def _place(step: Real, value: Real, horizontal: Axis, vertical: Axis) -> str:
    return f"{px(horizontal.at(step))} {px(vertical.at(value))}"
