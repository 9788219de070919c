"""Formats scores for people: four significant digits, whatever the unit."""

import math


def shown(value: int | float) -> str:
    """A score with four significant digits: 0.3708, 33.41, 12346. Very small ones look like 1.234e-05; digits before the point are never
    cut."""
    if not math.isfinite(value):
        return str(value)
    exponent = int(f"{value:.3e}".partition("e")[2])  # after rounding: 9.9996 is 10.00
    if exponent < -4 and value:
        return f"{value:.3e}"
    return f"{value:.{max(0, 3 - exponent)}f}"
