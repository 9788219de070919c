"""Calendar features, known for every future time: month, weekday, hour, ... each as a sine and a cosine.

A cycle as (sin, cos) has no jump where it begins anew: December lies beside January. One harmonic each; a model combines them.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

Cycle = Literal["minute", "hour", "weekday", "monthday", "yearday", "week", "month", "quarter"]
"""minute of the hour, hour of the day, day of the week, month or year, week, month and quarter of the year"""

_DAY = 86_400_000_000


def calendar_width(cycles: Sequence[Cycle]) -> int:
    """The number of channels for `cycles`."""
    return 2 * len(cycles)


def calendar_features(times: np.ndarray, cycles: Sequence[Cycle]) -> np.ndarray:
    """Sine and cosine of each cycle at times (T,) in microseconds since 1970: float32 (T, 2 * cycles)."""
    features = np.empty((len(times), calendar_width(cycles)), dtype=np.float32)
    for column, cycle in enumerate(cycles):
        angle = 2 * np.pi * _phase(times, cycle)
        features[:, 2 * column], features[:, 2 * column + 1] = np.sin(angle), np.cos(angle)
    return features


def _phase(times: np.ndarray, cycle: Cycle) -> np.ndarray:
    """The share of the cycle that has passed, from 0 to below 1, in whole steps of its unit."""
    stamps = times.astype("M8[us]")
    days = stamps.astype("M8[D]")
    months, years = days.astype("M8[M]"), days.astype("M8[Y]")
    phase: np.ndarray
    if cycle == "minute":
        phase = times % 3_600_000_000 // 60_000_000 / 60
    elif cycle == "hour":
        phase = times % _DAY / _DAY
    elif cycle == "weekday":
        phase = (days.astype(np.int64) + 3) % 7 / 7  # 1970-01-01 was a Thursday; Monday is 0
    elif cycle == "monthday":
        length = ((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(np.int64)
        phase = (days - months.astype("M8[D]")).astype(np.int64) / length
    elif cycle in ("yearday", "week"):
        length = ((years + 1).astype("M8[D]") - years.astype("M8[D]")).astype(np.int64)
        day = (days - years.astype("M8[D]")).astype(np.int64)
        phase = day / length if cycle == "yearday" else day // 7 * 7 / length
    else:
        month = (months - years.astype("M8[M]")).astype(np.int64)
        phase = month / 12 if cycle == "month" else month // 3 / 4
    return phase
