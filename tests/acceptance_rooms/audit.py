"""What is promised of the audit, measured: a command of acceptance.py."""
import numpy as np

import levinv
from levinv.data import load_diabetes

DRAWS, LEAST, MOST = 50, 0.7, 1.4
DECIMALS = 3, 4, 6


def real_sets():
    """Name, design, response and coefficients fitted to every other row: diabetes comes with
    levinv, wine with scikit-learn, star98 with statsmodels.
    """
    import sklearn.datasets
    import statsmodels.api as sm

    wine, star = sklearn.datasets.load_wine().data, sm.datasets.star98.load()
    exog, endog = (np.asarray(part, dtype=float) for part in (star.exog, star.endog))
    for name, A, b in [("diabetes", *load_diabetes()[:2]),
                       ("wine", _with_constant(wine[:, 1:]), wine[:, 0]),
                       ("star98", _with_constant(exog), endog[:, 0])]:
        yield name, A, b, np.linalg.lstsq(A[::2], b[::2], rcond=None)[0]


def _with_constant(columns):
    return np.column_stack([np.ones(len(columns)), columns])


def error_ratios(A, b, x, decimals, draws):
    """The attack's error divided by the one predicted, for x moved a little: so much that every
    rounding of the scores is another, so little that it is the same problem.
    """
    rng = np.random.default_rng(11)
    ratios = []
    for _ in range(draws):
        moved = x * (1.0 + 0.01 * rng.standard_normal(len(x)))
        report = levinv.audit(A, b, moved, decimals=decimals)
        ratios.append(report.recovered_error / report.predicted_error)
    return np.array(ratios)


def audit(args):
    """Errors of attacks on 50 roundings over the error predicted: mean between 0.7 and 1.4."""
    held = True
    for name, A, b, x in real_sets():
        for decimals in DECIMALS:
            ratios = error_ratios(A, b, x, decimals, DRAWS)
            mean = float(np.mean(ratios))
            held &= LEAST <= mean <= MOST
            print(f"{name:10} {A.shape!s:10} {decimals} decimals: mean {mean:.2f} (between "
                  f"{LEAST} and {MOST}), root mean square {np.sqrt(np.mean(ratios ** 2)):.2f}, "
                  f"largest {ratios.max():.1f}", flush=True)
    return held
