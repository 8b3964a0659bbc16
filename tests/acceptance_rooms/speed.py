"""Times of small calls and of one large inversion, in units that a busy machine does not change."""
import time

import numpy as np

import levinv

MILLISECOND = 1e-3


def best(call, repeats=7):
    """The least mean time of a call, in seconds."""
    call()
    began = time.perf_counter()
    call()
    count = max(1, int(0.02 / max(time.perf_counter() - began, 1e-7)))
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        for _ in range(count):
            call()
        times.append((time.perf_counter() - began) / count)
    return min(times)


def speed(args):
    """A 60 x 8 logit inversion <= 3 ms, in invert_many >= 3000 a second; scores and two products
    with the Jacobian <= 1.15 times those of the weights 1/s²; 200 000 x 40 <= 120 evaluations.
    """
    return all([_inversion(), _many(), _products(), _large(args.verbose)])


def _problem(n, d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal(d)


def _inversion():
    A, b, x = _problem(60, 8)
    inverse_square = levinv.LeverageMap(A, b).scores(x)
    logit = levinv.LeverageMap(A, weighting="binomial").scores(x)
    papers = best(lambda: levinv.invert_scores(A, b, inverse_square, rng=0))
    model = best(lambda: levinv.invert_scores(A, None, logit, weighting="binomial", rng=0))
    print(f"inversion 60 x 8: 1/s² {papers / MILLISECOND:.2f} ms, logit "
          f"{model / MILLISECOND:.2f} ms", flush=True)
    return model <= 3.0 * MILLISECOND


def _many():
    rng = np.random.default_rng(0)
    A, x = rng.standard_normal((300, 60, 8)), rng.standard_normal((300, 8))
    scores = np.array([levinv.LeverageMap(one, weighting="binomial").scores(y)
                       for one, y in zip(A, x, strict=True)])
    rate = 300 / best(lambda: levinv.invert_many(A, None, scores, weighting="binomial", rng=0,
                                                 workers=1), 3)
    print(f"invert_many 60 x 8 logit: {rate:.0f} a second", flush=True)
    return rate >= 3000


def _products():
    held = True
    for n, d in ((100, 5), (2000, 20), (20000, 50)):
        A, b, x = _problem(n, d)
        # no slack near zero, whose row would be eliminated
        b = A @ x - np.where(b < 0, -1.0, 1.0) * (0.5 + np.abs(b))
        points, v, y = [x, 1.001 * x, 0.999 * x], np.ones(d), np.ones(n)
        times = []
        for weighting in (None, "binomial"):
            forward = levinv.LeverageMap(A, b, weighting=weighting)

            def work(forward=forward, points=points, v=v, y=y):
                for point in points:
                    forward.scores(point)
                    forward.jvp(point, v)
                    forward.vjp(point, y)

            times.append(best(work) / len(points))
        ratio = times[1] / times[0]
        held &= ratio <= 1.15
        print(f"scores and two products {n} x {d}: 1/s² {1e6 * times[0]:.1f} µs, logit "
              f"{1e6 * times[1]:.1f} µs, {ratio:.2f} times", flush=True)
    return held


def _large(verbose):
    A, _, x = _problem(200_000, 40)
    held = True
    for offset in (None, np.random.default_rng(1).standard_normal(len(A))):
        forward = levinv.LeverageMap(A, weighting="binomial", offset=offset)
        scores = forward.scores(x / 6.0)
        points = iter(x / 6.0 * (1.0 + 1e-3 * i) for i in range(1, 1000))
        one = best(lambda forward=forward, points=points: forward.scores(next(points)), 3)
        began = time.perf_counter()
        found = levinv.invert_scores(A, None, scores, weighting="binomial", offset=offset, rng=0)
        taken = time.perf_counter() - began
        held &= found.success and taken <= 120.0 * one
        print(f"inversion 200 000 x 40 logit, {'no ' if offset is None else ''}offset: "
              f"{taken:.2f} s, {taken / one:.0f} times an evaluation", flush=True)
        if verbose:
            print(found.message)
    return held
