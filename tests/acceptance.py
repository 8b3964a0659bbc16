"""What the inversion promises, measured: one command for each claim, exit status 1 where it does
not hold.

    python tests/acceptance.py signs          unknown signs, random designs
    python tests/acceptance.py unique         `unique` against enumeration of all signs
    python tests/acceptance.py regression     real regressions, exact and rounded scores
    python tests/acceptance.py netlib DIR     linear programs as .npz files (CSR parts and b),
                                              --rescale: badly scaled on top
    python tests/acceptance.py gradient DIR   barrier gradients: random polytopes, the same
                                              linear programs
    python tests/acceptance.py local          the methods that need a starting point
    python tests/acceptance.py sparse [DIR]   sparse against dense: time, memory, and the same
                                              linear programs
    python tests/acceptance.py sketch         approximate scores of very many columns
    python tests/acceptance.py mapped         a matrix in a file: time and memory
    python tests/acceptance.py cluster        a Dask array on worker processes: time
    python tests/acceptance.py audit          attacks on rounded scores against what the audit
                                              predicts
    python tests/acceptance.py large          200 000 rows: time, in that of the scores, and memory
"""
import argparse
import concurrent.futures
import itertools
import multiprocessing
import pathlib
import sys
import time

import numpy as np

import levinv
import oracles
from acceptance_of_audit import audit
from acceptance_of_cluster import cluster
from acceptance_of_mapped import mapped
from acceptance_of_sketch import sketch
from acceptance_of_sparse import linear_program, sparse
from levinv import storage as rows
from levinv.inverse.barrier_gradient import feasibility as cell

# --- designs --------------------------------------------------------------------------------------

def gaussian(n, d, rng):
    return rng.standard_normal((n, d))


def cauchy(n, d, rng):
    return rng.standard_cauchy((n, d))


def scattered(n, d, rng):
    return rng.standard_normal((n, d)) * (rng.random((n, d)) < max(0.3, 3 / d))


def one_hot(n, d, rng):
    levels = max(2, d // 2)
    A = np.zeros((n, d))
    A[np.arange(n), rng.integers(0, levels, n)] = 1.0
    A[:, levels:] = rng.standard_normal((n, d - levels))
    return A


def polynomial(n, d, rng):
    return np.polynomial.chebyshev.chebvander(rng.uniform(-1, 1, n), d - 1)


def monomials(n, d, rng):
    """All monomials of low degree in a few variables, as a response-surface model has them."""
    variables = 1
    while len(exponents(variables, 3)) < d:
        variables += 1
    points = rng.uniform(-1, 1, (n, variables))
    return np.column_stack([np.prod(points ** np.array(e), axis=1)
                            for e in exponents(variables, 3)[:d]])


def exponents(variables, degree):
    everything = itertools.product(range(degree + 1), repeat=variables)
    return sorted((e for e in everything if sum(e) <= degree), key=lambda e: (sum(e), e))


DESIGNS = {f.__name__: f for f in (gaussian, cauchy, scattered, one_hot, polynomial, monomials)}


def relative_error(found, true, null_space=None):
    difference = found - true
    if null_space is not None and null_space.shape[1]:
        difference = difference - null_space @ (null_space.T @ difference)
    return np.linalg.norm(difference) / np.linalg.norm(true)


# --- claims ---------------------------------------------------------------------------------------

def signs(args):
    """>= 98 % recovered to 1e-5 where the sign rule says determined."""
    total = recovered = 0
    for name, design in DESIGNS.items():
        for d in (3, 5, 10, 20, 40):
            for ratio in (2.5, 3, 5, 10):
                count = determined = right = claimed = 0
                start = time.perf_counter()
                slowest = 0.0
                for seed in range(args.repeats):
                    rng = np.random.default_rng([seed, d, int(10 * ratio)])
                    n = int(np.ceil(ratio * d))
                    A, b, x = design(n, d, rng), rng.standard_normal(n), rng.standard_normal(d)
                    c = levinv.leverage_scores(A, slack=A @ x - b)
                    one = time.perf_counter()
                    result = levinv.invert_scores(A, b, c, rng=seed)
                    slowest = max(slowest, time.perf_counter() - one)
                    count += 1
                    if result.evidence["signs_determined"] and not result.null_space.shape[1]:
                        determined += 1
                        close = relative_error(result.x, x) < 1e-5
                        right += close
                        spread = np.linalg.norm(result.standard_errors) / np.linalg.norm(x)
                        claimed += (result.unique and not close
                                    and relative_error(result.x, x) > 10 * spread)
                total += determined
                recovered += right
                if args.verbose or right < determined or claimed:
                    print(f"{name:10} d={d:2} n/d={ratio:<4} determined {determined}/{count} "
                          f"recovered {right} beyond its standard errors {claimed} mean "
                          f"{(time.perf_counter() - start) / count:.3f} s "
                          f"slowest {slowest:.2f} s", flush=True)
    print(f"recovered {recovered} of {total} determined ({100 * recovered / total:.2f} %)")
    return recovered >= 0.98 * total


def unique(args):
    """`unique` against enumeration of all sign vectors, n <= 12: never True where it should not be;
    where x is none of "almost every" (integers throughout) False too often in 2 % at most.
    """
    held = True
    for integer in (False, True):
        count = generous = cautious = 0
        rng = np.random.default_rng(int(integer))
        while count < args.cases:
            A, b, x = sparse_integer_problem(rng, integer)
            slack = A @ x - b
            if (np.linalg.matrix_rank(A) < A.shape[1]
                    or np.any(np.abs(slack[A.any(axis=1)]) < 1e-3)):
                continue
            count += 1
            c = levinv.leverage_scores(A, slack=np.where(A.any(axis=1), slack, 1.0))
            result = levinv.invert_scores(A, b, c, rng=0)
            truth = oracles.unique_by_enumeration(A, b, x)
            generous += result.unique and not truth
            cautious += truth and not result.unique
            if result.unique != truth and args.verbose:
                print(f"case {count}: unique {result.unique}, enumeration {truth}, "
                      f"{result.message}", flush=True)
        print(f"{'integers throughout' if integer else 'b and x real'}: {count} cases, unique "
              f"wrongly True in {generous}, wrongly False in {cautious}", flush=True)
        held &= generous == 0 and cautious <= (0.02 * count if integer else 0)
    return held


def sparse_integer_problem(rng, integer):
    """A sparse integer design of at most 12 rows, a sparse response and x; ``integer``: these of
    small integers, too.
    """
    d = int(rng.integers(1, 5))
    n = int(rng.integers(max(d + 1, 2), 13))
    A = rng.integers(-3, 4, (n, d)) * (rng.random((n, d)) < rng.uniform(0.3, 1))
    keep = rng.random(n) < rng.uniform(0.2, 1)
    if integer:
        return (A.astype(float), rng.integers(-3, 4, n) * keep.astype(float),
                rng.integers(-3, 4, d).astype(float))
    return A.astype(float), rng.standard_normal(n) * keep, rng.standard_normal(d)


def regression_sets():
    """Real data: name, design with intercept, response. From statsmodels and scikit-learn."""
    import sklearn.datasets
    import statsmodels.api as sm

    def with_intercept(X):
        X = np.asarray(X, dtype=float)
        return np.column_stack([np.ones(len(X)), X])

    data = sklearn.datasets.load_diabetes(scaled=False)
    yield "diabetes", with_intercept(data.data), data.target
    data = sklearn.datasets.load_linnerud()
    yield "linnerud", with_intercept(data.data), data.target[:, 0]
    data = sklearn.datasets.load_iris()
    yield "iris", with_intercept(data.data[:, 1:]), data.data[:, 0]
    data = sklearn.datasets.load_wine()
    yield "wine", with_intercept(data.data[:, 1:]), data.data[:, 0]
    for name in ("longley", "stackloss", "scotland", "ccard", "statecrime", "star98", "engel",
                 "copper"):
        data = getattr(sm.datasets, name).load()
        response = np.asarray(data.endog, dtype=float)
        yield name, with_intercept(data.exog), response if response.ndim == 1 else response[:, 0]


def regression(args):
    """Exact to 1e-8; rounded within 3x the Cramér-Rao bound where the bound is below 20 %."""
    within = cases = 0
    exact = True
    for name, A, b in regression_sets():
        x = np.linalg.lstsq(A, b, rcond=None)[0]
        c = levinv.LeverageMap(A, b).scores(x)
        result = levinv.invert_scores(A, b, c, rng=0)
        exact &= relative_error(result.x, x) <= 1e-8
        unit = np.linalg.norm(A, axis=0) / np.linalg.norm(A @ x)   # error in the scale of fitted
                                                                   # values
        line = (f"{name:10} {A.shape!s:10} exact {relative_error(result.x, x):.1e} (scaled "
                f"{relative_error(unit * result.x, unit * x):.1e}) unique {result.unique} |")
        for decimals in (8, 6, 5, 4, 3):
            noise = 10.0 ** -decimals / np.sqrt(12)
            start = time.perf_counter()
            rounded = levinv.invert_scores(A, b, c.round(decimals), noise=noise, rng=0)
            took = time.perf_counter() - start
            bound = np.linalg.norm(bound_at(A, b, x, noise)) / np.linalg.norm(x)
            error = relative_error(rounded.x, x)
            counted = bound < 0.2
            cases += counted
            within += counted and error <= 3 * bound
            line += (f" {decimals}: {error:.1e}/{bound:.1e}{'' if counted else '-'}"
                     f"{'' if error <= 3 * bound else '*'} {took:.1f}s")
        print(line, flush=True)
    print(f"within 3x the Cramér-Rao bound: {within} of {cases} ({100 * within / cases:.1f} %)")
    return exact and within >= 0.95 * cases


def bound_at(A, b, x, noise):
    """Cramér-Rao standard errors of x, from the Jacobian at the true x."""
    scaled = np.linalg.norm(A, axis=0)
    J = levinv.LeverageMap(A, b).jacobian(x) / scaled
    return noise * np.sqrt(np.diag(np.linalg.inv(J.T @ J))) / scaled


def netlib(args):
    """Known signs, random x: scores to 1e-8, x to the larger of 1e-6 and 100x the information
    limit.
    """
    held = True
    for path in sorted(pathlib.Path(args.directory).glob("*.npz")):
        A, b = program = dense_program(path)
        good = 0
        worst = worst_ratio = slowest = 0.0
        notes = set()
        for seed in range(args.repeats):
            rng = np.random.default_rng([seed, 7])
            x = rng.standard_normal(A.shape[1])
            if args.rescale:
                rows = 10.0 ** rng.uniform(-3, 3, len(b))
                columns = 10.0 ** rng.uniform(-3, 3, len(x))
                A, b, x = program[0] * rows[:, None] * columns, program[1] * rows, x / columns
            slack = A @ x - b
            c = levinv.LeverageMap(A, b).scores(x)
            start = time.perf_counter()
            result = levinv.invert_scores(A, b, c, signs=np.where(slack < 0, -1, 1), rng=0)
            slowest = max(slowest, time.perf_counter() - start)
            error = relative_error(result.x, x, result.null_space)
            null = exact_null_dimension(A, b, x)
            limit = information_limit(A, b, x, c, null) / np.linalg.norm(x)
            fit = np.abs(result.scores - c).max()
            ok = (fit <= 1e-8 and error <= max(1e-6, 100 * limit)
                  and result.null_space.shape[1] == null)
            good += ok
            worst = max(worst, error)
            worst_ratio = max(worst_ratio, error / limit)
            if not ok:
                notes.add(f"seed {seed}: fit {fit:.1e} error {error:.1e} limit {limit:.1e} "
                          f"null {result.null_space.shape[1]}/{null} {result.message}")
        print(f"{path.stem:9} {A.shape!s:11} {good}/{args.repeats} worst error {worst:.1e} "
              f"({worst_ratio:.1f}x the limit) null {null} unique {result.unique} slowest "
              f"{slowest:.2f} s", flush=True)
        for note in sorted(notes):
            print("   ", note)
        held &= good == args.repeats
    return held


def exact_null_dimension(A, b, x):
    """Dimension of the null space of the exact linear system in (x, κ), one κ for each component:
    by SVD.
    """
    label = oracles.row_components(A)
    size = np.bincount(label[label >= 0])
    kept = (label >= 0) & (size[label] > 1)                # coloops tell nothing
    slack = A @ x - b
    columns = [np.where(label == c, slack, 0.0) for c in np.unique(label[kept])]
    system = np.column_stack([A, *columns])[kept] / np.abs(slack[kept])[:, None]
    system = system / np.where(np.linalg.norm(system, axis=0) > 0, np.linalg.norm(system, axis=0),
                               1.0)
    values = np.linalg.svd(system, compute_uv=False)
    return system.shape[1] - int((values > 1e-11 * values[0]).sum())


def information_limit(A, b, x, c, null):
    """Norm of the Cramér-Rao standard errors of rounding c to double, null space left out."""
    J = levinv.LeverageMap(A, b).jacobian(x) / (1.1e-16 * c)[:, None]
    J = J[np.isfinite(J).all(axis=1)]
    values = np.linalg.svd(J, compute_uv=False)
    return np.sqrt(np.sum(values[:len(values) - null] ** -2.0))


def gradient(args):
    """x to 1e-8 on random polytopes, to 1e-6 on the linear programs of which {A x > b} or {A x < b}
    has an interior.
    """
    held = True
    for method in ("newton", "approximate-newton", "least-squares"):
        for n, d in ((20, 2), (60, 5), (200, 10), (600, 20), (2000, 30)):
            runs = [one_gradient(*random_polytope(n, d, seed), method, 1e-8)
                    for seed in range(args.repeats)]
            held &= report_gradient(f"{method:18} {(n, d)!s:11}", runs)
        for path in sorted(pathlib.Path(args.directory).glob("*.npz")):
            A, b = dense_program(path)
            for side, name in ((1, "A x > b"), (-1, "A x < b")):
                points = [interior(side * A, side * b, np.random.default_rng([seed, 11]))
                          for seed in range(args.repeats)]
                if points[0] is None:
                    print(f"{method:18} {path.stem:9} {name} has no interior")
                    continue
                held &= report_gradient(
                    f"{method:18} {path.stem:9} {A.shape!s:11} {name}",
                    [one_gradient(A, b, x, method, 1e-6, side) for x in points])
    return held


def local(args):
    """Local methods, n = 60, d = 5: trust region from 0.1 away reaches x to 1e-7 in 75 %; gradient
    descent from 0.03 away lowers the loss by 1e3, in 90 % (else: another stationary point).
    """
    held = True
    for method, away in (("trust-region", 0.1), ("newton", 0.01), ("gradient-descent", 0.03)):
        falls, reached = [], 0
        count = 20 * args.repeats
        for seed in range(count):
            rng = np.random.default_rng(seed)
            A, b, x = rng.standard_normal((60, 5)), rng.standard_normal(60), rng.standard_normal(5)
            c = levinv.leverage_scores(A, slack=A @ x - b)
            direction = rng.standard_normal(5)
            x0 = x + away * direction / np.linalg.norm(direction)
            result = levinv.invert_scores(A, b, c, x0=x0, method=method)
            reached += np.linalg.norm(result.x - x) <= 1e-7
            falls.append(levinv.ScoreLoss(A, b, c).fun(x0) / max(result.fun, 1e-300))
        fell = int(np.count_nonzero(np.array(falls) >= 1e3))
        print(f"{method:16} from {away} away: x to 1e-7 in {reached} of {count}, "
              f"loss down by 1e3 in {fell}, at least by {min(falls):.1f}", flush=True)
        held &= reached >= 0.75 * count if method == "trust-region" else fell >= 0.9 * count
    return held


def dense_program(path):
    A, b = linear_program(path)
    return A.toarray(), b


def random_polytope(n, d, seed):
    """A box cut by random halfspaces and a point reached in it by hit-and-run."""
    rng = np.random.default_rng([seed, n])
    A = np.vstack([np.eye(d), -np.eye(d), rng.standard_normal((n - 2 * d, d))])
    b = -np.concatenate([np.ones(2 * d), np.sqrt(d) * np.abs(rng.standard_normal(n - 2 * d))])
    return A, b, hit_and_run(A, b, np.zeros(d), rng, 50)


def interior(A, b, rng):
    """A random point of {A x > b}: from the centre of the largest ball by hit-and-run; None without
    an interior.
    """
    x = cell.interior_point(rows.of(A), b, np.ones(len(b)))[0]
    return None if x is None else hit_and_run(A, b, x, rng, 50)


def hit_and_run(A, b, x, rng, steps):
    """Random chords, uniform in the limit: directions natural to the start; unbounded chords cut at
    10 times the slack.
    """
    R = np.linalg.qr(A / (A @ x - b)[:, None], mode="r")
    for _ in range(steps):
        direction = np.linalg.solve(R, rng.standard_normal(len(x)))
        change = A @ direction / (A @ x - b)
        longest, furthest = (1.0 / max(np.max(sign * change), 0.1 * np.max(np.abs(change)))
                             for sign in (-1.0, 1.0))
        x = x + rng.uniform(-furthest, longest) * direction
    return x


def one_gradient(A, b, x, method, allowed, side=1):
    g = levinv.VolumetricBarrier(A, b).grad(x)
    start = time.perf_counter()
    result = levinv.invert_gradient(A, b, g, signs=side, method=method, rng=0)
    seconds = time.perf_counter() - start
    error = relative_error(result.x, x)
    known = np.linalg.norm(result.standard_errors) / np.linalg.norm(x)
    steps = result.evidence.get("steps", [])
    products = max((step.get("cg_iterations", 0) for step in steps), default=0)
    return (error <= allowed, error, known, result.nit, products, seconds, result.success,
            result.message)


def report_gradient(name, runs):
    good, error, known, steps, products, seconds, success, _ = zip(*runs, strict=True)
    print(f"{name} {sum(good)}/{len(good)} success {sum(success)} worst error {max(error):.1e} "
          f"(limit {max(known):.1e}) steps {max(steps)} CG {max(products)} slowest "
          f"{max(seconds):.2f} s", flush=True)
    for run in runs:
        if not (run[0] and run[6]):
            print(f"    error {run[1]:.1e} limit {run[2]:.1e} steps {run[3]}: {run[7]}")
    return (all(good) and all(success)
            and (not name.startswith("newton") or (max(steps) <= 15 and max(products) <= 25)))


def large(args):
    """200 000 rows, d = 20 and 40, exponential slacks, random signs: x to 1e-7; signs known: at
    most 60 times the time of the scores and 3 copies of A; at most 15 times the time of 20 000
    rows.
    """
    held = True
    for d, known in ((20, True), (40, True), (20, False)):
        times = []
        for n in (20_000, 200_000):
            with concurrent.futures.ProcessPoolExecutor(      # a process each, for the peak memory
                    1, multiprocessing.get_context("spawn")) as pool:
                error, seconds, unit, copies, evidence = pool.submit(one_large, n, d,
                                                                     known).result()
            times.append(seconds)
            ratio = seconds / unit
            held &= error <= 1e-7 and (n < 200_000 or not known or (ratio <= 60 and copies <= 3))
            print(f"{n} x {d}, signs {'known' if known else 'unknown'}: error {error:.1e}, "
                  f"{seconds:.2f} s or {ratio:.1f} times the scores, peak memory {copies:.1f} "
                  f"copies of A; stage 1 {evidence['scaling']['iterations']} steps, "
                  f"{evidence['scaling']['products']} products, stage 4 "
                  f"{evidence['polish']['evaluations']} evaluations", flush=True)
        print(f"   10 times the rows, {times[1] / times[0]:.1f} times the time")
        held &= times[1] <= 15 * times[0]
    return held


def one_large(n, d, known):
    """Of inversions: error, median seconds, those of the scores between them, peak memory in copies
    of A, A itself included, and the evidence.
    """
    import resource  # of POSIX

    # all loaded
    levinv.invert_scores([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0.0, 0.0, 1.0], [0.5, 0.5, 1.0])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rng = np.random.default_rng(3)
    A, x = rng.standard_normal((n, d)), rng.standard_normal(d)
    slack = rng.exponential(size=n) * rng.choice([-1.0, 1.0], n)
    b = A @ x - slack
    seconds, unit = [], []
    for _ in range(3):
        for _ in range(7):
            start = time.perf_counter()
            c = levinv.leverage_scores(A, slack=slack)
            unit.append(time.perf_counter() - start)
        start = time.perf_counter()
        result = levinv.invert_scores(A, b, c, signs=np.sign(slack) if known else None, rng=0)
        seconds.append(time.perf_counter() - start)
    copies = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / A.nbytes
    return (relative_error(result.x, x), np.median(seconds), np.median(unit), copies,
            result.evidence)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for claim in (signs, unique, regression, netlib, gradient, local, large, sparse, sketch,
                  mapped, cluster, audit):
        command = commands.add_parser(claim.__name__, help=claim.__doc__.replace("%", "%%"))
        command.set_defaults(run=claim)
        command.add_argument("-v", "--verbose", action="store_true")
        command.add_argument("--repeats", type=int, default=5)
        command.add_argument("--cases", type=int, default=300)
        if claim is netlib:
            command.add_argument("--rescale", action="store_true",
                                 help="rows and columns over six orders of magnitude")
        if claim in (netlib, gradient):
            command.add_argument("directory")
        if claim is sparse:
            command.add_argument("directory", nargs="?")
    args = parser.parse_args()
    held = args.run(args)
    sys.exit(0 if held is None or held else 1)         # None: a report without a claim


if __name__ == "__main__":
    main()
