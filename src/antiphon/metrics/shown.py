"""A number as people read it: with the digits that tell two scores apart, and no more."""

import math

DIGITS = 4


def shown(value: float) -> str:
    """Four significant digits, such as 0.3708, 24.35, 63.10 or 1014; with an exponent below 0.0001 and from a million on.

    Thousands are not separated. What is no number is "undefined".
    """
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    rounded = float(f"{value:.{DIGITS - 1}e}")
    if rounded and not 1e-4 <= abs(rounded) < 1e6:
        return f"{value:.{DIGITS - 1}e}"
    exponent = math.floor(math.log10(abs(rounded))) if rounded else 0
    decimals = max(0, DIGITS - 1 - exponent)
    return f"{value:.{decimals}f}"
