"""Hat values of generalised linear models."""
import itertools
import time
import warnings

import numpy as np

import levinv
from levinv.weighting.names import as_weighting

WEIGHTINGS = ["binomial", ("binomial", "probit"), ("binomial", "cauchit"), ("binomial", "cloglog"),
              ("binomial", "loglog"), "poisson", ("gaussian", "log"), "negative-binomial",
              ("poisson", "identity"), ("gaussian", "inverse"), "inverse-gaussian", "gamma"]


def models(args):
    """>= 98 % of the identifiable x recovered to 1e-6 from no start; the rest say so."""
    held = True
    for weighting in WEIGHTINGS:
        count = right = wrong = identifiable = 0
        slowest, began = 0.0, time.perf_counter()
        for seed in range(args.cases if args.cases != 300 else 200):
            rng = np.random.default_rng([seed, 14])
            A, offset, x = random_model(rng, seed)
            forward = levinv.LeverageMap(A, weighting=weighting, offset=offset)
            scores = forward.scores(x)
            start = time.perf_counter()
            found = levinv.invert_scores(A, None, scores, weighting=weighting, offset=offset,
                                         rng=0)
            slowest = max(slowest, time.perf_counter() - start)
            error = least_error(found, x)
            limit = information_limit(forward.jacobian(x), scores, x, found.null_space)
            count += 1
            if limit > 1e-6:                     # rounding of the scores hides x
                continue
            identifiable += 1
            good = error <= 1e-6
            right += good
            wrong += not good and found.success
            if args.verbose and not good:
                print(f"  seed {seed} {A.shape} error {error:.1e} limit {limit:.1e} "
                      f"{found.message}")
        share = right / max(identifiable, 1)
        held &= share >= 0.98 and not wrong
        print(f"{weighting!s:28} recovered {right} of {identifiable} identifiable "
              f"({100 * share:.1f} %), {count - identifiable} not; wrong and successful {wrong}; "
              f"mean {(time.perf_counter() - began) / count:.3f} s, slowest {slowest:.2f} s",
              flush=True)
    return held


def random_model(rng, seed):
    """A, offset and x: five kinds of designs, with and without offset and intercept, |η| <= 10."""
    d = int(rng.integers(2, 31))
    n = d * int(rng.choice([4, 5, 8, 12, 20, 40]))
    kind = seed % 5
    if kind == 0:
        A = rng.standard_normal((n, d))
    elif kind == 1:
        A = rng.standard_cauchy((n, d))
    elif kind == 2:
        A = rng.integers(-3, 4, (n, d)).astype(float)
    elif kind == 3:
        A = np.vander(rng.uniform(-1, 1, n), min(d, 8), increasing=True)
    else:
        levels = max(2, d // 2)
        A = np.column_stack([np.ones(n), np.eye(levels)[rng.integers(0, levels, n)][:, 1:],
                             rng.standard_normal((n, max(d - levels, 1)))])
    if kind < 3 and rng.random() < 0.5:
        A[:, 0] = 1.0
    while np.linalg.matrix_rank(A) < A.shape[1]:
        A = A[:, :-1]
    x = rng.standard_normal(A.shape[1])
    x *= 10.0 ** rng.uniform(-1, 1) / np.abs(A @ x).max()
    offset = rng.standard_normal(n) if rng.random() < 0.5 else None
    return A, offset, x


def least_error(found, x):
    """Relative error of x, or of the alternative closest to it, outside the null space."""
    differences = np.vstack([found.x, *found.alternatives]) - x
    differences -= differences @ found.null_space @ found.null_space.T
    return np.linalg.norm(differences, axis=1).min() / np.linalg.norm(x)


def information_limit(jacobian, scores, x, null_space):
    """The relative Cramér-Rao bound for scores with the rounding of squared lengths."""
    deviation = 1.1e-16 * np.sqrt(np.maximum(scores, 1e-32))
    return bound(jacobian / deviation[:, None], null_space) / np.linalg.norm(x)


def bound(whitened, null_space):
    """Root of the trace of the inverse information, outside the null space."""
    basis = np.linalg.qr(np.column_stack([null_space, np.eye(whitened.shape[1])]))[0]
    basis = basis[:, null_space.shape[1]:whitened.shape[1]]
    values = np.linalg.svd(whitened @ basis, compute_uv=False)
    return np.linalg.norm(1.0 / np.maximum(values, 1e-300))


def fitted_models():
    """Fits of statsmodels: a name, the results of GLM, and the weighting."""
    import statsmodels.api as sm
    from sklearn import datasets

    families = sm.families

    def fit(y, X, family, **given):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return sm.GLM(y, X, family=family, **given).fit(maxiter=200, tol=1e-12)

    def data(name):
        loaded = getattr(sm.datasets, name).load()
        return (np.asarray(loaded.endog, dtype=float),
                sm.add_constant(np.asarray(loaded.exog, dtype=float), has_constant="skip"))

    y, X = data("spector")
    yield "spector", fit(y, X, families.Binomial())
    y, X = data("fair")
    yield "fair", fit((y > 0).astype(float), X, families.Binomial())
    y, X = data("star98")
    yield "star98", fit(y, X, families.Binomial())
    cancer = datasets.load_breast_cancer()
    X = cancer.data[:, :8]
    X = sm.add_constant((X - X.mean(axis=0)) / X.std(axis=0))
    yield "breast cancer", fit(cancer.target.astype(float), X, families.Binomial())
    X, y = datasets.load_diabetes(return_X_y=True)
    yield "diabetes", fit((y > np.median(y)).astype(float), sm.add_constant(X),
                          families.Binomial())
    wine = datasets.load_wine()
    X = wine.data[:, [0, 1, 2, 3]]
    yield "wine", fit((wine.target == 1).astype(float), sm.add_constant(X), families.Binomial())
    y, X = data("randhie")
    yield "randhie Poisson", fit(y, X, families.Poisson())
    yield "randhie negative binomial", fit(y, X, families.NegativeBinomial(alpha=1.0))
    y, X = data("cpunish")
    yield "cpunish", fit(y, X, families.Poisson())
    y, X = data("scotland")
    yield "scotland", fit(y, X, families.Gamma())


def fitted(args):
    """Fits of statsmodels from their hat values alone: exact to 1e-7 or 100x the information limit;
    rounded within 3x the Cramér-Rao bound where that is below 20 %. Equal rows have equal rounding
    errors: each different row counts once in that bound.
    """
    held = True
    for name, result in fitted_models():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hat = np.asarray(result.get_hat_matrix_diag(observed=False))
        A, x = np.asarray(result.model.exog), np.asarray(result.params)
        trials = getattr(result.model, "n_trials", 1.0)
        prior = np.broadcast_to(np.asarray(trials, dtype=float), hat.shape)
        weighting = as_weighting(result.model.family)
        given = {"weighting": weighting, "prior_weights": None if np.ptp(prior) == 0 else prior}
        if weighting.kind == "power":
            given["offset"] = np.zeros(len(A))
        forward = levinv.LeverageMap(A, **given)
        start = time.perf_counter()
        found = levinv.invert_scores(A, None, hat, rng=0, **given)
        took = time.perf_counter() - start
        jacobian = forward.jacobian(x)
        limit = information_limit(jacobian, hat, x, found.null_space)
        error = least_error(found, x)
        good = found.success and error <= max(1e-7, 100 * limit) and took <= 2
        line = (f"{name:26} {A.shape!s:12} error {error:.1e} limit {limit:.1e} null "
                f"{found.null_space.shape[1]} alternatives {len(found.alternatives)} {took:.2f} s"
                f"{'' if good else ' *'} |")
        held &= good
        deviations = np.asarray(result.bse)
        different = np.unique(np.column_stack([A, prior]), axis=0, return_index=True)[1]
        for decimals in (6, 4, 3):
            noise = 10.0 ** -decimals / np.sqrt(12)
            counted = within = 0
            for seed in range(20):
                moved = x + deviations * np.random.default_rng(seed).standard_normal(len(x))
                try:
                    scores = forward.scores(moved)
                except ValueError:
                    continue
                expected = bound(forward.jacobian(moved)[different] / noise, found.null_space)
                if expected > 0.2 * np.linalg.norm(moved):
                    continue
                rounded = levinv.invert_scores(A, None, scores.round(decimals), decimals=decimals,
                                               rng=0, **given)
                counted += 1
                within += least_error(rounded, moved) * np.linalg.norm(moved) <= 3 * expected
            line += f" {decimals}: {within}/{counted}"
            held &= within >= 0.95 * counted
        print(line, flush=True)
    return held


def sides(args):
    """`unique` of logistic models against an enumeration of all sides, n <= 10."""
    generous = cautious = count = 0
    for seed in range(args.cases if args.cases != 300 else 500):
        rng = np.random.default_rng([seed, 15])
        d = int(rng.integers(1, 4))
        n = int(rng.integers(d + 1, 11))
        A = rng.integers(-2, 3, (n, d)).astype(float) if seed % 2 else rng.standard_normal((n, d))
        if np.linalg.matrix_rank(A) < d:
            continue
        x = rng.standard_normal(d)
        offset = rng.standard_normal(n) if seed % 3 else None
        forward = levinv.LeverageMap(A, weighting="binomial", offset=offset)
        scores = forward.scores(x)
        found = levinv.invert_scores(A, None, scores, weighting="binomial", offset=offset, rng=0)
        if not found.success:
            continue
        count += 1
        several = len(solutions(A, np.zeros(n) if offset is None else offset, scores, x)) > 1
        free = bool(found.null_space.shape[1])
        generous += found.unique and several
        cautious += not found.unique and not several and not free
        if args.verbose and (found.unique == several) and not free:
            print(f"  seed {seed} {A.shape} offset {offset is not None} unique {found.unique} "
                  f"several {several}")
    print(f"{count} cases: unique wrongly True {generous}, wrongly False {cautious}")
    return not generous and cautious <= 0.02 * count


def solutions(A, offset, scores, x):
    """All x found for all sides of all rows at 400 levels, each polished by least squares."""
    from scipy.optimize import least_squares

    forward = levinv.LeverageMap(A, weighting="binomial", offset=offset)
    eta = A @ x + offset
    log_weight = -np.abs(eta) - 2 * np.log1p(np.exp(-np.abs(eta)))
    fall = log_weight.max() - log_weight
    pinv = np.linalg.pinv(A)
    found = [x]
    gaps = np.geomspace(1e-8, 30, 400)
    half = [(fall + gap) + 2 * np.log1p(np.sqrt(-np.expm1(-fall - gap))) for gap in gaps]
    for signs in itertools.product([-1.0, 1.0], repeat=len(A)):
        wanted = np.array(half) * signs - offset
        rest = np.linalg.norm(wanted - wanted @ pinv.T @ A.T, axis=1)
        rest /= np.linalg.norm(wanted + offset, axis=1)
        padded = np.concatenate([[np.inf], rest, [np.inf]])
        for i in np.flatnonzero((rest <= padded[:-2]) & (rest <= padded[2:]) & (rest < 0.05)):
            start = pinv @ wanted[i]
            fitted = least_squares(lambda v: forward.scores(v) - scores, start, xtol=1e-15,
                                   ftol=1e-15, gtol=1e-15, max_nfev=50)
            if (np.abs(fitted.fun).max() < 1e-11
                    and all(np.linalg.norm(fitted.x - y) > 1e-5 * np.linalg.norm(x)
                            for y in found)):
                found.append(fitted.x)
    return found
