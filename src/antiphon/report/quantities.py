"""Formats numbers for people: few digits, separated thousands, units."""

import math
from datetime import datetime

Real = int | float
"""Any number. Needed because the type checks in tests do not accept an int as a float."""


def as_real(value: object) -> float | None:
    """A finite number, or None for anything else: files may hold unexpected values."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        return None
    return float(value)


def as_count(value: object) -> int:
    """A whole number; 0 for anything else."""
    return int(as_real(value) or 0)


def number(value: object, digits: int = 4) -> str:
    """A number with a limited number of significant digits; a value that is no number (the log writes `nan` as text) is returned
    unchanged."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e15):
        return f"{int(value):,}"
    size = math.floor(math.log10(abs(value)))
    if size < -4 or size >= 9:
        return f"{value:.{max(digits - 2, 0)}e}"
    return f"{value:,.{max(digits - 1 - size, 0)}f}"


def percent(share: Real) -> str:
    """A share between 0 and 1 in percent. More than nothing is never shown as 0, and less than all never as 100."""
    value = 100 * share
    if 0 < value < 0.01:
        return "< 0.01%"
    if 99.95 <= value < 100:
        return f"{min(value, 99.99):.2f}%"
    return f"{value:.0f}%" if value in (0, 100) else f"{value:.2f}%" if value < 1 else f"{value:.1f}%"


def duration(seconds: Real) -> str:
    """Seconds in units that people use."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {left} s" if minutes < 10 and left else f"{minutes} min"


def moment(timestamp: Real) -> str:
    """A point in time, local, to the minute."""
    return datetime.fromtimestamp(timestamp).astimezone().strftime("%Y-%m-%d %H:%M %Z").strip()


def plural(count: int, noun: str) -> str:
    """`1 record`, `2,000 records`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
