"""What else a call is given: ``function(p, rng)`` draws the arguments of the function of the same
name in forward or inversions.
"""
import mpmath
import numpy as np

from . import truth

AGAIN = 0.15                # how often a call is repeated


def leverage_scores(p, rng):
    method = str(rng.choice(["auto", "auto", "cholesky", "qr"]))
    how = str(rng.choice(["slack", "slack", "weights", "rows", "stack"]))
    weights = None
    if how == "weights":
        weights = 2.0 ** rng.integers(-60, 60, p.n)
        weights[rng.random(p.n) < 0.1] = 0.0
    return {"method": method, "how": how, "weights": weights, "again": _again(rng)}


def leverage_map(p, rng):
    again = _again(rng)
    return {"v": rng.standard_normal(p.d), "y": rng.standard_normal(p.n), "again": again}


def score_loss(p, rng):
    target = p.scores if rng.random() < 0.5 else rng.standard_normal(p.n)
    again = _again(rng)
    return {"target": target, "v": rng.standard_normal(p.d), "again": again}


def barrier(p, rng):
    return {"v": rng.standard_normal(p.d), "again": _again(rng)}


def gradient_loss(p, rng):
    return {"g": rng.standard_normal(p.d), "v": rng.standard_normal(p.d)}


def forster_weights(p, rng):
    target = None if rng.random() < 0.3 else np.clip(p.scores, 0, 1)
    return {"target": target, "again": _again(rng)}


def invert_scores(p, rng, method="global"):
    signs, of_x, noise, x0, maxiter = None, True, None, None, None
    if rng.random() < 0.4:
        signs = _signs(p)
        if rng.random() < 0.1:
            signs, of_x = signs * rng.choice([-1.0, 1.0], p.n), False
    target = p.scores
    if rng.random() < 0.25 and method == "global":
        noise = 10.0 ** rng.uniform(-14, -2)
        if rng.random() < 0.3:
            noise = noise * 10.0 ** rng.uniform(-1, 1, p.n)
        target = np.clip(target + noise * rng.standard_normal(p.n), 0, 1)
    if rng.random() < 0.15 or method != "global":
        away = rng.choice([0.0, 1e-9, 1e-3, 1.0, 1e6, 1e200])
        x0 = p.x * (1 + away * rng.standard_normal(p.d)) + away * rng.standard_normal(p.d) * 1e-3
    if rng.random() < 0.05:
        maxiter = int(rng.integers(1, 5))
    restarts = int(rng.integers(1, 20)) if method == "global" else None
    return {"method": method, "target": target, "signs": signs, "of_x": of_x, "noise": noise,
            "x0": x0, "maxiter": maxiter, "restarts": restarts, "again": _again(rng)}


def local_methods(p, rng):
    return invert_scores(p, rng, str(rng.choice(["trust-region", "newton", "gradient-descent"])))


def invert_many(p, rng):
    signs = _signs(p) if rng.random() < 0.4 else None
    noise = 10.0 ** rng.uniform(-12, -3) if rng.random() < 0.2 else None
    k = int(rng.integers(1, 4))
    targets = np.array([p.scores] * k)
    if k > 1 and rng.random() < 0.3:
        targets[1] = np.clip(rng.permutation(targets[1]), 0, 1)
    if noise:
        targets = np.clip(targets + noise * rng.standard_normal(targets.shape), 0, 1)
    return {"targets": targets, "signs": signs, "noise": noise, "shared": rng.random() < 0.5}


def invert_gradient(p, rng):
    of_x = p.exact is not None and all(s or not row.any()
                                       for s, row in zip(p.slack, p.A, strict=True))
    if of_x:
        signs = _signs(p)
        g = truth.Derivatives(p.A, [s or mpmath.mpf(1) for s in p.slack]).barrier_gradient()
        g = g.astype(float)
        if not np.isfinite(g).all():
            g, of_x = rng.standard_normal(p.d), False
        elif rng.random() < 0.1:
            g, of_x = g * rng.choice([-1.0, 1e3, 0.0]), False
    else:
        signs, g = np.ones(p.n), rng.standard_normal(p.d)
    method = str(rng.choice(["newton", "newton", "approximate-newton", "least-squares"]))
    x0 = p.x if of_x and rng.random() < 0.3 else None
    return {"g": g, "of_x": of_x, "method": method, "signs": signs, "x0": x0, "again": _again(rng)}


def huge(p, rng):
    what = str(rng.choice(["scores", "map", "invert", "weights", "loss"]))
    method = str(rng.choice(["auto", "qr"])) if what == "scores" else None
    return {"what": what, "method": method, "known": what == "invert" and rng.random() < 0.6}


def _signs(p):
    return np.array([-1.0 if s < 0 else 1.0 for s in p.slack])


def _again(rng):
    return bool(rng.random() < AGAIN)
