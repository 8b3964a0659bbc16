"""Rounded scores: errors of x by least squares and at the centre of the intervals."""
import numpy as np

import levinv

SIZES = [(20, 3, 3), (60, 8, 3), (200, 3, 3), (2000, 3, 4), (2000, 20, 4), (20000, 5, 5)]


def intervals(args):
    """The centre is more accurate than least squares by the factors of docs/noise.md, and standard
    errors hold for it: no error beyond 4 of them in 99 % of the coefficients.
    """
    held = True
    for kind in ("normal slacks", "slacks in [1, 2]", "logit", "logit, a factor"):
        for n, d, decimals in SIZES:
            errors = []
            for seed in range(30 if n < 2000 else 10):
                A, b, x, given = case(kind, n, d, np.random.default_rng([seed, n, d]))
                scores = levinv.LeverageMap(A, b, **given).scores(x).round(decimals)
                pair = [levinv.invert_scores(A, b, scores, x0=x, rng=0, **given, **noise)
                        for noise in ({"noise": 10.0 ** -decimals / 12 ** 0.5},
                                      {"decimals": decimals})]
                if not all(found.success for found in pair):
                    continue
                if np.linalg.norm(pair[1].standard_errors) > 0.2 * np.linalg.norm(x):
                    continue
                errors.append([nearest(found, x) / pair[1].standard_errors for found in pair])
            if not errors:
                print(f"{kind:18} {n:6} x {d:<3} no x known to 20 %")
                continue
            rms = np.sqrt(np.mean(np.square(errors), axis=(0, 2)))
            beyond = np.mean(np.abs(np.array(errors)[:, 1]) > 4)
            held &= bool(rms[1] < 1.05 * rms[0] and beyond <= 0.01)
            print(f"{kind:18} {n:6} x {d:<3} {decimals} decimals, {len(errors):2} problems: "
                  f"least squares {rms[0]:.2f}, centre {rms[1]:.2f} standard errors; "
                  f"beyond 4: {100 * beyond:.1f} %", flush=True)
    return held


def nearest(found, x):
    """The error of x or of the alternative that is closest to it."""
    differences = np.vstack([found.x, found.alternatives]) - x
    return differences[np.argmin(np.linalg.norm(differences, axis=1))]


def case(kind, n, d, rng):
    """A, b, x and the weighting."""
    A, x = rng.standard_normal((n, d)), rng.standard_normal(d)
    if kind == "normal slacks":
        return A, rng.standard_normal(n), x, {}
    if kind == "slacks in [1, 2]":
        return A, A @ x - rng.uniform(1, 2, n), x, {}
    if kind == "logit":
        A[:, 0] = 1.0
    else:
        A = np.column_stack([np.eye(d - 1)[rng.integers(0, d - 1, n)], A[:, 0]])
    return A, None, 2.0 * x / np.sqrt(d), {"weighting": "binomial"}
