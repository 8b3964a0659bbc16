"""The exception for a problem without a solution."""


class NoSolutionError(ValueError):
    """No x, or no row weights, have the given leverage scores; the message says why.

    Examples
    --------
    >>> from levinv import NoSolutionError, forster_weights
    >>> A = [[1.0, 0.0], [2.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    >>> try:
    ...     forster_weights(A, [0.7, 0.7, 0.3, 0.3])
    ... except NoSolutionError as error:
    ...     print(error)
    no weights have these scores: 2 rows (0, 1) have scores that sum to 1.4, but rank 1
    """
