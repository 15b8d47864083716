"""Frames a second of what files say of them: times between frames that were rounded, numbers and words."""

from decimal import Decimal, InvalidOperation

RATES = (30, 60, 120, 24, 25, 50, 100, 240, 90, 72, 15, 20, 12, 10, 48, 144, 200)  # that cameras and engines have
_NEAR = 0.05  # relative: a time that was cut off is no further from its rate


def rate_of(seconds: float, digit: float = 0.0) -> float:
    """Frames a second of the time between two frames, which was written to multiples of `digit`.

    A whole number whose reciprocal it is exactly, else the nearest of `RATES` that is rounded to it, else one that is
    cut off to it (0.016: 60), else another whole number within a thousandth, else the reciprocal itself.
    """
    whole = max(round(1 / seconds), 1)

    def off(rate: float) -> float:
        return abs(seconds - 1 / rate)

    if off(whole) <= 1e-9 * seconds:
        return float(whole)
    nearest = min(RATES, key=off)
    if off(nearest) <= max(1e-6 * seconds, min(digit / 2, _NEAR * seconds)):
        return float(nearest)
    cut = [rate for rate in RATES if off(rate) <= min(digit, _NEAR * seconds)]
    if cut:
        return float(cut[0])
    return float(whole) if off(whole) <= max(1e-6 * seconds, min(digit, 1e-3 * seconds)) else 1 / seconds


def rate_of_text(text: str) -> float | None:
    """Frames a second of a time in decimal digits, of which the last was rounded; None if it is no such time."""
    try:
        exact = Decimal(text)
        seconds, digit = float(exact), 10.0 ** int(exact.as_tuple().exponent)
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return rate_of(seconds, digit) if 1e-6 <= seconds <= 1e6 else None
