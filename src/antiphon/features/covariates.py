"""Encodes covariates as channels: numbers standardized by training data, categories one-hot.

A column of numbers that are only 0 and 1 stays as it is. A static column is of numbers when all its values in training are; others are
categories, and a category that training did not have is an error, since nothing was learned about it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np

from antiphon.errors import ConfigError, DataError, nearest

MOST_CATEGORIES = 1000


@final
class NumberColumns:
    """Columns of numbers (T, K): learned in one pass, then standardized."""

    def __init__(self, names: Sequence[str]):
        self.names = tuple(names)
        self._count = np.zeros(len(names))
        self._sum = np.zeros(len(names))
        self._squares = np.zeros(len(names))
        self._shift: np.ndarray | None = None
        self._binary = np.ones(len(names), dtype=bool)
        self.location, self.scale = np.zeros(len(names)), np.ones(len(names))

    def observe(self, numbers: np.ndarray) -> None:
        """Add numbers (T, K) to the statistics; NaN is left out."""
        if not self.names or not len(numbers):
            return
        if self._shift is None:
            self._shift = np.nan_to_num(numbers[0])  # sums of squares around it lose no digits to a large mean
        shifted = numbers - self._shift
        self._count += (~np.isnan(shifted)).sum(axis=0)
        self._sum += np.nansum(shifted, axis=0)
        self._squares += np.nansum(shifted**2, axis=0)
        self._binary &= ((numbers == 0) | (numbers == 1) | np.isnan(numbers)).all(axis=0)

    def finish(self) -> None:
        """Fix location and scale."""
        count = np.maximum(self._count, 1)
        mean = self._sum / count
        deviation = np.sqrt(np.maximum(self._squares / count - mean**2, 0))
        location = mean + (self._shift if self._shift is not None else 0.0)
        spread = deviation > 1e-12 * np.maximum(np.abs(location), 1e-300)
        self.location = np.where(self._binary, 0.0, location)
        self.scale = np.where(self._binary | ~spread, 1.0, deviation)

    def apply(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers (T, K) as channels, float32."""
        return ((numbers - self.location) / self.scale).astype(np.float32)

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"location": self.location.tolist(), "scale": self.scale.tolist()}

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Restore the values of `to_plain`."""
        self.location, self.scale = np.array(plain["location"], dtype=float), np.array(plain["scale"], dtype=float)


@final
class StaticColumns:
    """Static values, one per series and column, as channels that do not change over time.

    categorical   columns that hold categories although they may look like numbers
    """

    def __init__(self, names: Sequence[str], categorical: Sequence[str]):
        self.names, self.categorical = tuple(names), frozenset(categorical)
        self._seen: list[dict[Any, None]] = [{} for _ in names]
        self.categories: dict[str, tuple[str, ...]] = {}
        self.numbers = NumberColumns(())

    @property
    def width(self) -> int:
        """The number of channels for all columns."""
        return sum(len(self.categories[name]) if name in self.categories else 1 for name in self.names)

    def observe(self, values: Sequence[Any]) -> None:
        """Add the values of one series to the statistics."""
        for name, seen, value in zip(self.names, self._seen, values, strict=True):
            if value is None or value == "":
                raise DataError(f"the static column `{name}` must have a value, but is missing.")
            seen[value] = None

    def finish(self) -> None:
        """Decide which columns are numeric; fix their scales, and the categories of the others."""
        numeric = []
        for name, seen in zip(self.names, self._seen, strict=True):
            if name not in self.categorical and all(_as_number(value) is not None for value in seen):
                numeric.append(name)
                continue
            self.categories[name] = tuple(sorted({str(value) for value in seen}))
            if len(self.categories[name]) > MOST_CATEGORIES:
                raise ConfigError(
                    f"`task.static` must name columns with at most {MOST_CATEGORIES} categories, but `{name}` has"
                    f" {len(self.categories[name]):,}. Leave out a column that only names the series."
                )
        self.numbers = NumberColumns(numeric)
        for name in numeric:
            place = self.names.index(name)
            column = NumberColumns([name])
            column.observe(np.array([[_as_number(value)] for value in self._seen[place]], dtype=float))
            column.finish()
            index = numeric.index(name)
            self.numbers.location[index], self.numbers.scale[index] = column.location[0], column.scale[0]

    def apply(self, values: Sequence[Any]) -> np.ndarray:
        """The channels of one series, float32 (width,). Raises DataError for a category that training did not have."""
        channels: list[float] = []
        for name, value in zip(self.names, values, strict=True):
            if name in self.categories:
                known = self.categories[name]
                if str(value) not in known:
                    there = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
                    raise DataError(
                        f"the static column `{name}` must be a category of the training data ({there}), but is {value!r}."
                        f"{nearest(str(value), known)}"
                    )
                channels += [float(str(value) == category) for category in known]
            else:
                number, index = _as_number(value), self.numbers.names.index(name)
                if number is None:
                    raise DataError(f"the static column `{name}` must be a number, as in training, but is {value!r}.")
                channels.append((number - self.numbers.location[index]) / self.numbers.scale[index])
        return np.array(channels, dtype=np.float32)

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"categories": self.categories, "numbers": list(self.numbers.names), **self.numbers.to_plain()}

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Restore the values of `to_plain`."""
        self.categories = {name: tuple(values) for name, values in plain["categories"].items()}
        self.numbers = NumberColumns(plain["numbers"])
        self.numbers.restore(plain)


def _as_number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None
