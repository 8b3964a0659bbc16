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


def equal_slacks(n, d, seed):
    """A, b and x with slacks in [1, 2], where intervals say much more of x than least squares."""
    rng = np.random.default_rng([seed, n, d])
    A, x = rng.standard_normal((n, d)), 1e-3 * rng.standard_normal(d)
    return A, A @ x - rng.uniform(1.0, 2.0, n), x


def is_broken(report):
    """Whether the scores give every coefficient away to within 10 %: the attack finds them, or no
    other coefficients have scores that round to those published.
    """
    return bool(np.all(np.abs(report.recovered_x - report.x) <= 0.1 * report.sizes)
                or np.all(report.half_widths <= 0.1 * report.sizes))


def bounded(args):
    """No x is said not to be given away that the intervals of rounded scores give away."""
    held, hidden, broken, safe = True, 0, 0, 0       # hidden from standard errors
    for n, d in ((5000, 4), (10000, 3), (20000, 3), (20000, 5)):
        for decimals in (2, 3, 4, 5):
            for seed in range(3):
                report = levinv.audit(*equal_slacks(n, d, seed), signs=1, decimals=decimals)
                above = bool((report.standard_errors / report.sizes).min() > 0.1)
                hidden += above
                broken += above and is_broken(report)
                safe += report.level == "not given away"
                held &= not (report.level == "not given away" and is_broken(report))
    print(f"slacks in [1, 2], 48 audits: every standard error above 10 % in {hidden}, {broken} of "
          f"these broken; {safe} say not given away, none of them broken: {held}", flush=True)
    return held


def audit(args):
    """Errors of attacks on 50 roundings over the error predicted: mean between 0.7 and 1.4. No x
    is said not to be given away that the intervals of rounded scores give away.
    """
    held = bounded(args)
    for name, A, b, x in real_sets():
        for decimals in DECIMALS:
            ratios = error_ratios(A, b, x, decimals, DRAWS)
            mean = float(np.mean(ratios))
            held &= LEAST <= mean <= MOST
            print(f"{name:10} {A.shape!s:10} {decimals} decimals: mean {mean:.2f} (between "
                  f"{LEAST} and {MOST}), root mean square {np.sqrt(np.mean(ratios ** 2)):.2f}, "
                  f"largest {ratios.max():.1f}", flush=True)
    return held
