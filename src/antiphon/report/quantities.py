"""Numbers as people read them: few digits, separated thousands, units."""

import math
from datetime import datetime


def number(value: object, digits: int = 4) -> str:
    """A number with so many significant digits; what is no number (the log writes `nan` as text) as it is."""
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


def percent(share: float) -> str:
    """A share between 0 and 1 in percent. What is more than nothing never reads as 0, and less than all never as 100."""
    value = 100 * share
    if 0 < value < 0.01:
        return "< 0.01%"
    if 99.95 <= value < 100:
        return f"{min(value, 99.99):.2f}%"
    return f"{value:.0f}%" if value in (0, 100) else f"{value:.2f}%" if value < 1 else f"{value:.1f}%"


def large(value: float) -> str:
    """A large number in short: 389,419 is 389 k, 12,400,000 is 12.4 M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            scaled = value / size
            return f"{scaled:.0f} {unit}" if scaled >= 100 else f"{scaled:.1f} {unit}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {left} s" if minutes < 10 and left else f"{minutes} min"


def moment(timestamp: float) -> str:
    """A point in time, local, to the minute."""
    return datetime.fromtimestamp(timestamp).astimezone().strftime("%Y-%m-%d %H:%M %Z").strip()


def plural(count: int, noun: str) -> str:
    """`1 record`, `2,000 records`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
