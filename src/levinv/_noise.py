"""The noise of rounded scores."""
import math
import numbers


def rounding_noise(decimals: object) -> float:
    """Standard deviation of the error of a score that is rounded to ``decimals`` decimals.

    The error is close to uniform on an interval of length 10**-decimals, whose standard deviation
    is 10**-decimals / sqrt(12).

    Raises
    ------
    TypeError
        If ``decimals`` is not an integer.
    ValueError
        If ``decimals`` is below 0.
    """
    if isinstance(decimals, bool) or not isinstance(decimals, numbers.Integral):
        raise TypeError(f"decimals must be an integer, got {type(decimals).__name__}")
    if decimals < 0:
        raise ValueError(f"decimals must be at least 0, got {decimals}")
    return 10.0 ** -int(decimals) / math.sqrt(12)
