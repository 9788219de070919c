"""The search space of a sweep; each point of it gives a value to every setting that the sweep tries.

A point is drawn as numbers and labels, which is what the journal keeps: lists may hold anything that a recipe may, `null` or a mapping, and
`1`, `1.0` and `true`, which Python takes for equal, are different settings.

Unusual: numbers are rounded to four digits that matter, so that the best recipe is one that a person would write. What is rounded is what
is tried.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from antiphon.store.json_text import json_text
from antiphon.sweeping.settings import Dimension, RangeConfig

DIGITS = 4
Point = Mapping[str, Any]
"""Dotted setting -> a number within its range, or the label of one of its values."""


@final
@dataclass(frozen=True)
class Choices:
    """A setting with several possible values, each with a label."""

    values: tuple[Any, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the values: a word stands for itself, other values are written as JSON, and so are words that look like another
        value."""
        plainly = tuple(value if isinstance(value, str) else json_text(value) for value in self.values)
        return plainly if len({*plainly}) == len(plainly) else tuple(map(json_text, self.values))

    def count(self) -> float:
        """The number of values."""
        return float(len(self.values))

    def points(self) -> Sequence[Any]:
        """All values."""
        return self.labels

    def value(self, point: Any) -> Any:
        """The setting's value for a label."""
        return self.values[self.labels.index(point)]

    def rounded(self, point: Any) -> Any:
        """The label, unchanged."""
        return point


@final
@dataclass(frozen=True)
class Span:
    """A setting with numbers in a range; with whole numbers or steps, there are finitely many."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    integer: bool = False

    def count(self) -> float:
        """The number of values; infinity where there is no step."""
        step = self._step
        return math.inf if step is None else math.floor((self.high - self.low) / step + 1e-9) + 1.0

    def points(self) -> Sequence[Any]:
        """All values, where there is a step."""
        assert self._step is not None, "what is endless cannot be listed"
        return [self._exact(self.low + index * self._step) for index in range(int(self.count()))]

    @property
    def last(self) -> Any:
        """The greatest value, which may be below the range's end when steps do not reach it."""
        return self.high if self.step is None else self.points()[-1]

    def value(self, point: Any) -> Any:
        """The setting's value for a number."""
        return int(point) if self.integer else float(point)

    def rounded(self, point: Any) -> Any:
        """The number rounded to the digits that matter, within the range."""
        if self._step is not None:
            return self._exact(point)
        return min(max(float(f"{point:.{DIGITS}g}"), self.low), self.high)

    @property
    def _step(self) -> float | None:
        return 1.0 if self.step is None and self.integer else self.step

    def _exact(self, number: Any) -> float | int:
        """A number without binary rounding errors, such as that of 0.1 + 0.2."""
        return round(number) if self.integer else float(f"{number:.12g}")


@final
class Space:
    """All settings together. `whole` names the ranges whose setting only takes whole numbers."""

    def __init__(self, dimensions: Mapping[str, Dimension], whole: frozenset[str] = frozenset()):
        self.parts: dict[str, Choices | Span] = {
            key: _span(found, key in whole) if isinstance(found, RangeConfig) else Choices(tuple(found))
            for key, found in dimensions.items()
        }

    def count(self) -> float:
        """The number of points; infinity where a range is continuous."""
        return math.prod(part.count() for part in self.parts.values())

    def values(self, point: Point) -> dict[str, Any]:
        """The settings' values, as a recipe holds them."""
        return {key: part.value(point[key]) for key, part in self.parts.items()}

    def rounded(self, point: Point) -> dict[str, Any]:
        """The point that is tried when this one was drawn: each number is rounded."""
        return {key: part.rounded(point[key]) for key, part in self.parts.items()}

    def draw(self, generator: np.random.Generator) -> dict[str, Any]:
        """Draw a random point."""
        return self.rounded({key: _drawn(part, generator) for key, part in self.parts.items()})

    def every(self) -> Iterator[dict[str, Any]]:
        """All points, where they are finitely many."""
        for values in itertools.product(*(part.points() for part in self.parts.values())):
            yield dict(zip(self.parts, values, strict=True))

    def extremes(self) -> Iterator[tuple[str, Any]]:
        """(setting, value) for both ends of each range, and for all values of each list."""
        for key, part in self.parts.items():
            ends = part.values if isinstance(part, Choices) else tuple(map(_as_written, (part.low, part.last)))
            yield from ((key, value) for value in ends)


def _span(found: RangeConfig, whole: bool) -> Span:
    return Span(found.low, found.high, found.log, found.step, whole if found.integer is None else found.integer)


def _drawn(part: Choices | Span, generator: np.random.Generator) -> Any:
    if isinstance(part, Span) and part.log:
        return min(max(math.exp(generator.uniform(math.log(part.low), math.log(part.high))), part.low), part.high)
    if part.count() < math.inf:
        points = part.points()
        return points[int(generator.integers(len(points)))]
    assert isinstance(part, Span)
    return float(generator.uniform(part.low, part.high))


def _as_written(number: float) -> float | int:
    """A number as a recipe would write it: 1 rather than 1.0."""
    return int(number) if float(number).is_integer() else number


def label_of(value: Any) -> str:
    """The label of a value, as tables show it."""
    return value if isinstance(value, str) else f"{value:.6g}" if isinstance(value, float) else json_text(value)
