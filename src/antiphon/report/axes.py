"""Scales and ticks of axes: the positions of values, and which values are labelled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from antiphon.report.quantities import Real

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_LOG_RANGE = 60.0  # from this ratio of largest to smallest on, a linear axis hides most of the values


@final
@dataclass(frozen=True)
class Axis:
    """A scale from values to pixels, `low` at `start` and `high` at `end`, with its ticks."""

    low: Real
    high: Real
    start: Real
    end: Real
    ticks: tuple[Real, ...]
    logarithmic: bool = False

    def at(self, value: Real) -> Real:
        """The pixel of a value, limited to the axis."""
        low, high, here = (math.log10(max(item, 1e-300)) if self.logarithmic else item for item in (self.low, self.high, value))
        share = (here - low) / (high - low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def label(self, tick: Real) -> str:
        """The label of a tick: with enough decimals to tell it from its neighbours."""
        if self.logarithmic:
            return _short(tick)
        if max(abs(self.low), abs(self.high)) >= 100_000 or max(abs(self.low), abs(self.high)) < 1e-3:
            return _short(tick)
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 1.0
        decimals = next((places for places in range(7) if abs(round(step, places) - step) < 1e-9), 6)
        return f"{tick:,.{decimals}f}"


def linear(values: Sequence[Real], start: Real, end: Real, *, count: int = 5, from_zero: bool = False) -> Axis:
    """An axis over the values whose ends are ticks."""
    low, high = min(values), max(values)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-12 * max(abs(high), 1e-12):
        low, high = low - (abs(low) or 1.0) * 0.5, high + (abs(high) or 1.0) * 0.5
        low = max(low, 0.0) if min(values) >= 0 else low
    step = _nice((high - low) / count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(index * step, 12) for index in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], start, end, ticks)


def steps_axis(values: Sequence[Real], start: Real, end: Real, *, count: int = 6) -> Axis:
    """An axis of steps from 0 to the last one: it ends with the data, not at a tick, so that no width is wasted."""
    high = max(max(values), 1.0)
    step = max(_nice(high / count), 1.0)
    ticks = tuple(index * step for index in range(int(high / step + 1e-9) + 1))
    return Axis(0.0, high, start, end, ticks)


def fitting(values: Sequence[Real], start: Real, end: Real, *, count: int = 5) -> Axis:
    """A linear axis, or a logarithmic one where all values are above 0 and span several orders of magnitude."""
    low, high = min(values), max(values)
    if low <= 0 or high / low < _LOG_RANGE:
        return linear(values, start, end, count=count)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / (count + 1)))
    ticks = tuple(10.0**power for power in range(first, last + 1, every))
    return Axis(10.0**first, 10.0**last, start, end, ticks, logarithmic=True)


def _nice(raw: Real) -> Real:
    """The smallest round number that is not below `raw`."""
    power = 10.0 ** math.floor(math.log10(raw))
    return next(step for step in _STEPS if step >= raw / power - 1e-9) * power


def _short(value: Real) -> str:
    """A number in few characters: 1M, 200k, 3e-4."""
    if value == 0:
        return "0"
    size = abs(value)
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if size >= scale:
            return f"{value / scale:g}{unit}"
    if size >= 0.01:
        return f"{value:g}"
    mantissa, exponent = f"{value:.6e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"
