"""Whether memory is left behind by calls: exit status 1 where it grows by a mebibyte or more.

    python tests/leaks.py [CALLS]    default 100000, mixed small ones, refused ones among them; two
                                     minutes

Two figures after a warm-up and at the end, Linux with glibc only: what the C library has handed out
and not got back (kernels' workspaces, large arrays), and the process's anonymous memory, in which
everything else shows.
"""
import ctypes
import gc
import itertools
import sys

import numpy as np
import scipy.sparse

import levinv

LIMIT = 1 << 20
LIBRARY = ctypes.CDLL(None) if sys.platform == "linux" else None


class _Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
                 "fordblks", "keepcost")]


def handed_out():
    """Bytes that malloc has handed out and not got back."""
    mallinfo = LIBRARY.mallinfo2
    mallinfo.restype = _Mallinfo
    found = mallinfo()
    return found.uordblks + found.hblkhd


def anonymous():
    """Bytes of the process's memory that no file stands behind."""
    with open("/proc/self/smaps_rollup") as lines:
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))


def refused(call):
    """A call that must end in ValueError or TypeError."""
    def attempt():
        try:
            call()
        except (ValueError, TypeError):
            return
        raise AssertionError("accepted")
    return attempt


def mixed_calls():
    """Small calls as users make them in loops; inversions, which take longer, one in ten rounds."""
    rng = np.random.default_rng(0)
    A, b, x = rng.standard_normal((40, 4)), rng.standard_normal(40), rng.standard_normal(4)
    slack, weights, stack = A @ x - b, rng.random(40), rng.standard_normal((5, 40, 4))
    sparse = scipy.sparse.random_array((60, 5), density=0.5, rng=0, format="csr")
    beyond = scipy.sparse.csr_array((2, 9))
    beyond.data, beyond.indices, beyond.indptr = np.ones(1), np.array([9]), np.array([0, 0, 1])
    leverage = levinv.LeverageMap(A, b)
    scores = leverage.scores(x)
    loss = levinv.ScoreLoss(A, b, scores, ridge=0.1)
    barrier = levinv.VolumetricBarrier(A, b)
    gradient = levinv.GradientLoss(A, b, barrier.grad(x))
    points = itertools.cycle(rng.standard_normal((7, 4)))       # none the one before
    bad = np.where(np.arange(40) == 7, np.nan, b)
    common = [
        lambda: levinv.leverage_scores(A),
        lambda: levinv.leverage_scores(A, slack=slack),
        lambda: levinv.leverage_scores(np.asfortranarray(A), weights=weights),
        lambda: levinv.leverage_scores(A, method="qr"),
        lambda: levinv.leverage_scores(stack),
        lambda: levinv.leverage_scores(stack, workers=2),
        lambda: levinv.leverage_scores(sparse),
        lambda: levinv.LeverageMap(A, b).scores(x),
        lambda: leverage.jacobian(next(points)),
        lambda: leverage.jvp(next(points), x),
        lambda: leverage.vjp(next(points), b),
        lambda: loss.fun_and_grad(next(points)),
        lambda: loss.hess(next(points)),
        lambda: loss.hess_terms(next(points), row=3),
        lambda: loss.hessp(next(points), x),
        lambda: barrier.fun(next(points)),
        lambda: barrier.hess(next(points)),
        lambda: gradient.fun_and_grad(next(points)),
        lambda: gradient.hess(next(points)),
        lambda: levinv.invert_many(A, [b, b], [scores, scores], rng=0),
        refused(lambda: levinv.LeverageMap(A, bad)),
        refused(lambda: levinv.leverage_scores(A, slack=slack[1:])),
        refused(lambda: levinv.leverage_scores(A, workers=0)),
        refused(lambda: levinv.leverage_scores(A + 1j)),
        refused(lambda: levinv.leverage_scores(beyond)),
        refused(lambda: levinv.invert_many(A, [b], [scores + 1.0])),
        refused(lambda: loss.hess(b)),
    ]
    inversions = [
        lambda: levinv.invert_scores(A, b, scores, rng=0),
        lambda: levinv.invert_scores(A, b, scores, signs=np.sign(slack)),
        lambda: levinv.invert_scores(A, b, scores.round(4), noise=1e-4 / 12 ** 0.5, rng=0),
        lambda: levinv.forster_weights(A),
        lambda: levinv.invert_gradient(A, b, barrier.grad(x), signs=np.sign(slack)),
        refused(lambda: levinv.invert_scores(A, b, scores[1:])),
    ]
    return common * 10 + inversions


def growth(count):
    """Bytes by which the two figures grow over so many calls."""
    calls = mixed_calls()

    def run(count):
        for call in itertools.islice(itertools.cycle(calls), count):
            call()
        gc.collect()
        return np.array([handed_out(), anonymous()])

    before = run(max(2 * len(calls), count // 10))
    return run(count) - before


def main(count=100_000, limit=LIMIT):
    in_use, in_all = growth(int(count))
    print(f"{count} calls: handed out {in_use:+d} bytes, anonymous memory {in_all:+d} bytes")
    return int(in_use >= int(limit) or in_all >= LIMIT)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
