"""The noise of rounded scores."""
import math
import numbers
import sys


def rounding_noise(decimals: object) -> float:
    """Standard deviation of the error of a score that is rounded to ``decimals`` decimals: that of
    the uniform distribution on an interval of length 10**-decimals. Checks ``decimals``.
    """
    if isinstance(decimals, bool) or not isinstance(decimals, numbers.Integral):
        raise TypeError(f"decimals must be an integer, got {type(decimals).__name__}")
    if decimals < 0:
        raise ValueError(f"decimals must be at least 0, got {decimals}")
    if int(decimals) > sys.float_info.max_10_exp:
        raise ValueError(f"decimals must be at most {sys.float_info.max_10_exp}, got {decimals}: "
                         "doubles hold 17, leave decimals out for exact scores")
    return 10.0 ** -int(decimals) / math.sqrt(12)


def half_unit(deviation: float) -> float:
    """Largest error of a rounded score, from its standard deviation."""
    return math.sqrt(3.0) * deviation
