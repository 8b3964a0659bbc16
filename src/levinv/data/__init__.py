"""Data sets that come with levinv; README.md in this folder names their sources."""
from __future__ import annotations

import csv
import importlib.resources

import numpy as np

from levinv._typing import Floats


def load_diabetes() -> tuple[Floats, Floats, list[str]]:
    """The diabetes data of Efron, Hastie, Johnstone and Tibshirani: a regression of 442 rows.

    Returns
    -------
    A : (442, 11) ndarray
        A column of ones, then ten measurements in raw units.
    b : (442,) ndarray
        Disease progression after one year.
    names : list of str
        The names of A's columns.

    References
    ----------
    .. [1] Efron, Hastie, Johnstone and Tibshirani, "Least angle regression", Annals of Statistics
       32 (2004).

    Examples
    --------
    >>> from levinv.data import load_diabetes
    >>> A, b, names = load_diabetes()
    >>> A.shape, names[:4]
    ((442, 11), ['intercept', 'age', 'sex', 'bmi'])
    """
    return _loaded("diabetes.csv")


def load_anes96() -> tuple[Floats, Floats, list[str]]:
    """The American National Election Study of 1996: the vote of 944 people, a binary response.

    Returns
    -------
    A : (944, 9) ndarray
        A column of ones, then what people said of themselves and of the candidates.
    y : (944,) ndarray
        Expected vote: 1 for Dole, 0 for Clinton.
    names : list of str
        The names of A's columns.

    References
    ----------
    .. [1] The American National Election Studies, www.electionstudies.org.

    Examples
    --------
    >>> from levinv.data import load_anes96
    >>> A, y, names = load_anes96()
    >>> A.shape, int(y.sum()), names[:3]
    ((944, 9), 393, ['intercept', 'tv_news', 'self'])
    """
    return _loaded("anes96.csv")


def _loaded(file: str) -> tuple[Floats, Floats, list[str]]:
    """The columns of a file but the last, after a column of ones; the last; the names."""
    text = importlib.resources.files(__name__).joinpath(file).read_text(encoding="utf-8")
    lines = iter(text.splitlines())
    names = next(csv.reader(lines))
    table = np.loadtxt(lines, delimiter=",")
    A = np.column_stack([np.ones(len(table)), table[:, :-1]])
    return A, table[:, -1].copy(), ["intercept", *names[:-1]]
