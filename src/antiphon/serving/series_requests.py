"""Time series as Nixtla's clients send them -> rows of a table, as a run reads them.

What comes has neither names nor times: the values of all series behind each other, further columns by their position, and when each
series starts. Names are numbers from 1 here, times are counted from the start at the run's frequency, and columns are those of the
recipe, in its order: first what is known in advance, then what is known for the past only.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, final

import numpy as np

from antiphon.contracts.series import SeriesFacts
from antiphon.errors import DataError
from antiphon.features.frequency import FIXED, MONTHS, Frequency, parse_frequency
from antiphon.features.times import read_time, style_of
from antiphon.serving.bodies import whole_of
from antiphon.serving.refused import RefusedError
from antiphon.store.json_text import json_text

Values = list[float | None]

_SOMEWHEN = "2001-01-01"  # first day of a week, a month, a quarter and a year: for series of which nobody says when they start
_FREQUENCY = re.compile(r"(\d*)([A-Za-z]+)(?:-\w+)?")
_ALIASES = {  # our units -> what pandas, old and new, and polars call them
    "us": "us U", "ms": "ms L", "s": "s S", "m": "min T m", "h": "h H", "d": "D d", "b": "B", "w": "W w", "i": "i",
    "mo": "M MS ME BM BMS BME", "q": "Q QS QE BQ BQS BQE q", "y": "Y YS YE A AS BY BYS BYE BA BAS y",
}  # fmt: skip
_UNITS = {alias: unit for unit, aliases in _ALIASES.items() for alias in aliases.split()}


class Window(NamedTuple):
    """A requested forecast: of series number `series` (from 0), from its first `origin` values."""

    series: int
    origin: int


@final
@dataclass(frozen=True)
class GivenSeries:
    """The series in a request.

    values   those of all series behind each other
    starts   where each begins in `values`, and where the last one ends
    known    columns that are known in advance, each as long as `values`
    future   the same behind the end of each series, the horizon of each behind that of the one before
    past     columns that are known for the past only
    times    when each series starts, as the client writes it; None where he does not say
    steps    how many steps of each `future` has
    """

    values: Values
    starts: list[int]
    known: list[Values]
    future: list[Values]
    past: list[Values]
    times: list[str] | None
    steps: int

    def __len__(self) -> int:
        """The number of series."""
        return len(self.starts) - 1

    def size(self, series: int) -> int:
        """The number of values of one series."""
        return self.starts[series + 1] - self.starts[series]


def check_frequency(facts: SeriesFacts, given: Any) -> None:
    """Raise RefusedError when a client's frequency, such as MS or 15min, is not the run's."""
    if facts.frequency.endswith("i") or given is None:  # whole numbers: clients say MS then
        return
    match = _FREQUENCY.fullmatch(given) if isinstance(given, str) else None
    if match is None or match[2] not in _UNITS or int(match[1] or 1) == 0:
        raise RefusedError(400, f"`freq` must be one of pandas, such as D, MS or 15min, but is {json_text(given, default=str)[:80]}.")
    if _step(Frequency(_UNITS[match[2]], int(match[1] or 1))) != _step(parse_frequency(facts.frequency)):
        raise RefusedError(400, f"`freq` must be that of the model, {facts.frequency}, but is {given}. Serve a run that has it.")


def _step(frequency: Frequency) -> tuple[str, int]:
    if frequency.unit in MONTHS:
        return "months", MONTHS[frequency.unit] * frequency.count
    return ("microseconds", FIXED[frequency.unit] * frequency.count) if frequency.unit in FIXED else (frequency.unit, frequency.count)


def series_of(request: Mapping[str, Any], facts: SeriesFacts, steps: int) -> GivenSeries:
    """The series of a request for `steps` steps. Raises RefusedError when they do not fit what this model reads."""
    given = request.get("series")
    if not isinstance(given, Mapping):
        raise RefusedError(400, "`series` must be an object with `y` and `sizes`.")
    if facts.wide or facts.static or len(facts.targets) != 1:
        what = "a column for each series" if facts.wide else f"`{facts.static[0]}`" if facts.static else "several targets"
        raise RefusedError(400, f"This model reads {what}, which this protocol has no place for. Ask it by /v1/predict.")
    sizes = [whole_of({"series.sizes": size}, "series.sizes") for size in _listed(given, "sizes")]
    if not sizes:
        raise RefusedError(400, "`series.sizes` must have at least one series.")
    starts = [0, *np.cumsum(np.array(sizes, dtype=object)).tolist()]
    values = _numbers(given.get("y"), "series.y", starts[-1])
    further = [_numbers(column, "series.X", starts[-1]) for column in _columns(given, "X")]
    future = [_numbers(column, "series.X_future", len(sizes) * steps) for column in _columns(given, "X_future")]
    known, past = _roles(request, given, facts, further)
    if future and len(future) != len(facts.known):
        raise _other_columns(facts, len(future), len(past))
    if given.get("categorical_exog"):
        raise RefusedError(400, "Categories (`categorical_exog`) are not read here. Ask by /v1/predict, where columns have names.")
    times = given.get("start_datetime")
    if times is not None and (not isinstance(times, list) or len(times) != len(sizes) or not all(isinstance(one, str) for one in times)):
        raise RefusedError(400, "`series.start_datetime` must have the start of each series.")
    return GivenSeries(values, starts, known, future, past, times, steps)


def _listed(given: Mapping[str, Any], name: str) -> list[Any]:
    found = given.get(name)
    if not isinstance(found, list):
        raise RefusedError(400, f"`series.{name}` must be a list{', but is missing' if found is None else ''}.")
    return found


def _columns(given: Mapping[str, Any], name: str) -> list[Any]:
    return [] if given.get(name) is None else _listed(given, name)


def _numbers(given: Any, name: str, count: int) -> Values:
    if not isinstance(given, list) or len(given) != count:
        raise RefusedError(400, f"`{name}` must be {count} numbers, as `sizes` says, but {'are others' if given else 'is missing'}.")
    for value in given:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not _is_number(value)):
            raise RefusedError(
                400, f"`{name}` must be numbers, or null where one is missing, but has {json_text(value, default=str)[:80]}."
            )
    return [None if value is None or value != value else float(value) for value in given]


def _is_number(value: int | float) -> bool:
    return value != value or abs(value) <= 1e300  # NaN is a missing value


def _roles(
    request: Mapping[str, Any], given: Mapping[str, Any], facts: SeriesFacts, further: Sequence[Values]
) -> tuple[list[Values], list[Values]]:
    """Which columns are known in the future, and which in the past only."""
    historic = request.get("hist_exog")
    if given.get("X_future") is not None:
        count = len(_columns(given, "X_future"))
        known, past = list(further[:count]), list(further[count:])
    elif isinstance(historic, list):
        known = [column for place, column in enumerate(further) if place not in historic]
        past = [column for place, column in enumerate(further) if place in historic]
    else:  # nobody says which is which: those of the recipe, in its order
        known, past = list(further[: len(facts.known)]), list(further[len(facts.known) :])
    if (len(known), len(past)) != (len(facts.known), len(facts.past)):
        raise _other_columns(facts, len(known), len(past))
    return known, past


def _other_columns(facts: SeriesFacts, known: int, past: int) -> RefusedError:
    wanted = f"{_listing(facts.known)} known in advance and {_listing(facts.past)} known for the past only, in this order"
    return RefusedError(400, f"This model reads {wanted}, but the request has {known} of the first kind and {past} of the second.")


def _listing(names: Sequence[str]) -> str:
    return f"{len(names)} column{'' if len(names) == 1 else 's'}{' (' + ', '.join(names) + ')' if names else ''}"


def rows_of(given: GivenSeries, facts: SeriesFacts, window: Window, name: int) -> list[dict[str, Any]]:
    """The rows of a window, under a name: its history, followed by the columns known in the future.

    Raises RefusedError when there are no times to count from its start, or what is known in advance does not reach far enough.
    """
    series, origin = window
    first, size = given.starts[series], given.size(series)
    following = facts.horizon if facts.known else 0
    if given.values[first + origin - 1] is None:
        raise RefusedError(400, f"Value {origin} of series {series + 1} is missing: a forecast cannot begin after it.")
    _check_known(given, facts, window)
    times = times_from(None if given.times is None else given.times[series], facts, origin + following, f"Series {series + 1}")
    rows = []
    for step in range(origin + following):
        there = step < origin
        row: dict[str, Any] = {} if facts.id is None else {facts.id: name}
        row[facts.time], row[facts.targets[0]] = times[step], given.values[first + step] if there else None
        row.update({column: values[first + step] if there else None for column, values in zip(facts.past, given.past, strict=True)})
        for place, column in enumerate(facts.known):
            behind = series * given.steps + step - size
            row[column] = given.known[place][first + step] if step < size else given.future[place][behind]
        rows.append(row)
    return rows


def _check_known(given: GivenSeries, facts: SeriesFacts, window: Window) -> None:
    """Raise RefusedError when the columns known in the future end before the horizon does."""
    left = given.size(window.series) - window.origin + (given.steps if given.future else 0)
    if facts.known and left < facts.horizon:
        raise RefusedError(
            400,
            f"This model reads {_listing(facts.known)} for all {facts.horizon} steps of its horizon, but the request has {left}."
            f" Ask for `h` {facts.horizon}, with a row for each step.",
        )


def times_from(start: str | None, facts: SeriesFacts, count: int, name: str) -> Sequence[Any]:
    """The first `count` times of a series, called `name` in errors, from its start time; None where the request has no times.

    Raises RefusedError when no series of the model can start so, or the model must know.
    """
    if facts.frequency.endswith("i"):
        return range(0, count * int(facts.frequency[:-1]), int(facts.frequency[:-1]))
    if start is None and facts.calendar:
        raise RefusedError(400, f"{name} must say when it starts, since this model reads the calendar.")
    if start is None:
        start = f"{_SOMEWHEN}T00:00Z" if facts.zone else _SOMEWHEN
    try:
        style = style_of(start)
        zone = None if style.zone is None else facts.zone or style.zone
        times = parse_frequency(facts.frequency).at(zone).grid(np.array([read_time(start)]), np.arange(count))
        return (style if style.offset == "Z" else replace(style, zone=zone)).write(times)
    except (DataError, ValueError, OverflowError) as error:
        wanted = f"at a date such as 2024-01-31T00:00, at a frequency of {facts.frequency}"
        raise RefusedError(400, f"{name} must start {wanted}, but starts at {start[:80]!r}.") from error
