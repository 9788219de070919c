"""Converts between instants and local times in a time zone: "Europe/Berlin", "UTC", or a fixed offset from UTC such as "+01:00".

Times are int64 microseconds since 1970. Without a zone (None) both are the same. As in Python (PEP 495), a time that a change of clocks
shows twice is the first of both, and one that it leaves out is as much later as the clocks were put forward.
"""

import re
from datetime import datetime, timedelta, timezone, tzinfo

import numpy as np

from antiphon.errors import ConfigError

_FIXED = re.compile(r"([+-])(\d\d):(\d\d)")
_HOUR = 3_600_000_000


def check_zone(zone: str) -> None:
    """Raise ConfigError unless there is a time zone of this name."""
    try:
        wall_times(np.zeros(1, dtype=np.int64), zone)
    except ValueError:
        raise ConfigError(f"`task.time_zone` must be a zone such as Europe/Berlin, UTC or +01:00, but is {zone!r}.") from None


def wall_times(instants: np.ndarray, zone: str | None) -> np.ndarray:
    """The local times at instants (T,), in microseconds on a clock without changes. Raises ValueError for an unknown zone."""
    distance = _distance(zone)
    if distance is not None:
        return instants + distance if distance else instants
    import polars

    shown = polars.Series(instants).cast(polars.Datetime("us", "UTC"))
    try:
        shown = shown.dt.convert_time_zone(str(zone)).dt.replace_time_zone(None)
    except polars.exceptions.PolarsError as error:
        raise ValueError(f"there is no time zone {zone!r}") from error
    return shown.to_physical().to_numpy()


def instants_of(shown: np.ndarray, zone: str | None) -> np.ndarray:
    """The instants of these local times (T,)."""
    distance = _distance(zone)
    if distance is not None:
        return shown - distance if distance else shown
    import polars

    found = polars.Series(shown).cast(polars.Datetime("us")).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    left_out = found.is_null().to_numpy()
    instants = np.array(found.to_physical().fill_null(0).to_numpy())
    if left_out.any():  # a few hours before, the clock was not changed yet
        instants[left_out] = instants_of(shown[left_out] - 4 * _HOUR, zone) + 4 * _HOUR
    return instants


def nominal_times(instants: np.ndarray, zone: str | None) -> np.ndarray:
    """Local times (T,) in which those shifted by a change of clocks are set back to the hour of the others."""
    shown = wall_times(instants, zone)
    if _distance(zone) is not None or not len(shown):
        return shown
    day = 24 * _HOUR
    hours, counts = np.unique(shown % day, return_counts=True)
    usual = shown // day * day + hours[np.argmax(counts)]
    moved = shown != usual
    if moved.any():
        moved[moved] = instants_of(usual[moved], zone) == instants[moved]
    return np.where(moved, usual, shown)


def zone_of(value: datetime) -> str | None:
    """The zone of a Python datetime; None if it has none."""
    if value.tzinfo is None:
        return None
    name = getattr(value.tzinfo, "key", None) or getattr(value.tzinfo, "zone", None)
    return str(name) if name else fixed_zone(value)


def fixed_zone(value: datetime) -> str:
    """The UTC offset of a Python datetime, as a zone."""
    minutes = round((value.utcoffset() or timedelta()).total_seconds() / 60)
    return "UTC" if minutes == 0 else f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def python_zone(zone: str) -> tzinfo:
    """The zone as a Python tzinfo."""
    distance = _distance(zone)
    if distance is not None and zone != "UTC":
        return timezone(timedelta(microseconds=distance))
    from zoneinfo import ZoneInfo

    return ZoneInfo(zone)


def _distance(zone: str | None) -> int | None:
    """The offset from UTC in microseconds; None if it changes."""
    if zone is None or zone == "UTC":
        return 0
    fixed = _FIXED.fullmatch(zone)
    if fixed is None:
        return None
    return (1 if fixed[1] == "+" else -1) * (int(fixed[2]) * _HOUR + int(fixed[3]) * _HOUR // 60)
