"""x from gradients of the volumetric barrier."""
import pathlib
import time

import numpy as np

import levinv
import limits
from acceptance_rooms.sparse import dense_program
from levinv import storage
from levinv.inverse.barrier_gradient.feasibility import interior_point


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
    x = interior_point(storage.of(A), b, np.ones(len(b)))[0]
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
    error = limits.relative_error(result.x, x)
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
