"""The works: problems, levinv's calls, and the known answers for the errors."""
import concurrent.futures
import contextlib
import dataclasses
import itertools
import multiprocessing
import pathlib
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import scipy.linalg
import scipy.optimize
from scipy.special import expit

from benchmarks import problems, recipes
from levinv import (
    JeffreysPenalty,
    LeverageMap,
    ScoreLoss,
    invert_many,
    invert_scores,
    leverage_scores,
)

from . import calls, machine

EXACT = 10 ** 6         # largest n d² for which known scores have 50 digits
RECOVERED = 1e-6        # relative error of an x that counts as found
FIRTH_GTOL = 1e-9       # largest entry of the gradient at the end, for each row
FIRTH_XTOL = 1e-7       # largest change of a coefficient in the last step of Fisher scoring


@dataclasses.dataclass(frozen=True)
class Kind:
    title: str
    problem: Callable                   # (n, d) -> namespace
    calls: dict[str, Callable]          # name -> function of the problem -> call
    base: str                           # ratios are relative to this call
    known: Callable                     # problem -> the answer, or {name: answer}
    error: Callable                     # (found, answer) -> number
    measure: str                        # name of the error
    flops: Callable | None = None       # (n, d) -> flops of the floor
    per: int = 1                        # problems in one call
    extras: Callable | None = None      # (n, d) -> {name: (value, unit)}


@dataclasses.dataclass(frozen=True)
class Work:
    kind: str
    n: int
    d: int
    threads: int | None = None          # None: the number of the command line

    @property
    def name(self):
        return f"{self.kind} {self.n}x{self.d}"


def scores_problem(n, d):
    return SimpleNamespace(A=problems.design(n, d))


def loss_problem(n, d):
    A, b, scores, x = problems.loss(n, d)
    return SimpleNamespace(A=A, b=b, scores=scores, x=x)


def inversion_problem(count, n, d):
    made = [problems.inversion(n, d, seed) for seed in range(count)]
    return SimpleNamespace(many=[problem[:3] for problem in made],
                           x=np.array([problem[4] for problem in made]))


def large_problem(n, d):
    A, b, scores, signs, x = problems.inversion(n, d)
    return SimpleNamespace(A=A, b=b, scores=scores, signs=signs, x=x)


def known_scores(problem):
    """Scores to 50 digits if that takes seconds, otherwise by QR of the rows in reverse order."""
    n, d = problem.A.shape
    if n * d * d <= EXACT:
        return problems.known_scores(problem.A)
    return recipes.numpy_qr(problem.A[::-1])[::-1]


def known_hessian(problem):
    return problems.known_hessian(problem.A, problem.b, problem.scores, problem.x)


def known_gradient(problem):
    known = problems.known_gradient(problem.A, problem.b, problem.scores, problem.x)
    return dict.fromkeys(["grad, last x", "fun_and_grad, new x", "JAX inverse"], known)


def largest(found, known):
    return float(np.abs(np.asarray(found) - known).max())


def largest_relative(found, known):
    return largest(found, known) / float(np.abs(known).max())


def not_recovered(found, known):
    error = np.linalg.norm(found - known, axis=1) / np.linalg.norm(known, axis=1)
    return float(np.mean(~(error <= RECOVERED)))


def loss_call(problem, method, new, part=None):
    """A method of the loss: at x and another point alternately if ``new``, otherwise at x."""
    loss = ScoreLoss(problem.A, problem.b, problem.scores)
    points = itertools.cycle([problem.x, problem.x + 1e-9] if new else [problem.x])
    arguments = (problem.x,) if method == "hessp" else ()
    method = getattr(loss, method)
    if part is None:
        return lambda: method(next(points), *arguments)
    return lambda: method(next(points), *arguments)[part]


def firth_problem(n, d):
    A, y = problems.separated(n, d)
    return SimpleNamespace(A=A, y=y, gtol=FIRTH_GTOL * n, xtol=FIRTH_XTOL)


def firth_by_hessian(problem):
    """SciPy's trust-region Newton method with the exact Hessian of the penalty."""
    A, y = problem.A, problem.y

    def call():
        penalty = JeffreysPenalty(A, weighting="binomial")

        def fun_and_grad(x):
            eta = A @ x
            return (np.logaddexp(0.0, eta).sum() - y @ eta - penalty.fun(x),
                    A.T @ (expit(eta) - y) - penalty.grad(x))

        def hess(x):
            p = expit(A @ x)
            return A.T @ ((p * (1.0 - p))[:, None] * A) - penalty.hess(x)

        return scipy.optimize.minimize(
            fun_and_grad, np.zeros(A.shape[1]), jac=True, hess=hess, method="trust-exact",
            options={"gtol": problem.gtol}).x

    return call


def firth_by_scoring(problem):
    """Fisher scoring with the hat values of levinv."""
    A, y = problem.A, problem.y

    def call():
        hat_values, x = LeverageMap(A, weighting="binomial"), np.zeros(A.shape[1])
        while True:
            p = expit(A @ x)
            score = A.T @ (y - p + hat_values.scores(x) * (0.5 - p))
            step = scipy.linalg.solve(A.T @ ((p * (1.0 - p))[:, None] * A), score,
                                      assume_a="pos")
            x = x + step / max(1.0, np.abs(step).max() / problems.FIRTH_STEP)
            if np.abs(score).max() <= problem.gtol and np.abs(step).max() <= problem.xtol:
                return x

    return call


def scores_on_two(problem):
    def call():
        return leverage_scores(problem.A, workers=2)

    call()                              # starts the helper thread
    machine.one_thread_a_core()
    return call


def scores_at_slack(problem):
    slack = problem.A @ problem.x - problem.b
    return lambda: leverage_scores(problem.A, slack=slack, workers=problem.threads)


def invert_one_by_one(problem):
    return lambda: np.array([invert_scores(*given, rng=0).x for given in problem.many])


def invert_together(problem):
    A, b, scores = (np.array(part) for part in zip(*problem.many, strict=True))
    return lambda: invert_many(A, b, scores, rng=0, workers=problem.threads).x


def invert_known_signs(problem):
    return lambda: invert_scores(problem.A, problem.b, problem.scores, signs=problem.signs).x


def peak_copies(n, d):
    """Peak memory of an inversion with known signs, in copies of A, including A. Linux only."""
    if not machine.STATUS.exists():
        return {}
    # It runs in a new process, because this process may have had a larger peak before.
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return {"peak memory": (pool.submit(copies_of_one, n, d).result(), "copies of A")}


def copies_of_one(n, d):
    small = large_problem(3 * d, d)
    invert_known_signs(small)()         # loads all modules
    before = machine.resident("VmRSS")
    problem = large_problem(n, d)
    with contextlib.suppress(OSError):  # resets the peak, if allowed
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    invert_known_signs(problem)()
    return (machine.resident("VmHWM") - before) / problem.A.nbytes


KINDS = {
    "scores": Kind(
        "Leverage scores", scores_problem,
        {"levinv": lambda problem: lambda: leverage_scores(problem.A, workers=problem.threads)},
        "levinv", known_scores, largest, "largest error", lambda n, d: 2 * n * d ** 2),
    "workers": Kind(
        "Leverage scores, one worker and two", scores_problem,
        {"1 worker": lambda problem: lambda: leverage_scores(problem.A, workers=1),
         "2 workers": scores_on_two},
        "1 worker", known_scores, largest, "largest error", lambda n, d: 2 * n * d ** 2),
    "hessian": Kind(
        "Exact Hessian of the loss", loss_problem,
        {"levinv, new x": lambda problem: loss_call(problem, "hess", new=True),
         "levinv, last x": lambda problem: loss_call(problem, "hess", new=False)},
        "levinv, new x", known_hessian, largest_relative, "largest relative error",
        lambda n, d: 2 * n * d ** 3),
    "gradient": Kind(
        "Gradient of the loss and Hessian products, beside one evaluation of the scores",
        loss_problem,
        {"scores": scores_at_slack,
         "grad, last x": lambda problem: loss_call(problem, "grad", new=False),
         "fun_and_grad, new x": lambda problem: loss_call(problem, "fun_and_grad", True, 1),
         "hessp, last x": lambda problem: loss_call(problem, "hessp", new=False)},
        "scores", known_gradient, largest_relative, "largest relative error"),
    "firth": Kind(
        "Firth's logistic regression of separated data", firth_problem,
        {"levinv, exact Hessian": firth_by_hessian, "levinv, Fisher scoring": firth_by_scoring},
        "levinv, exact Hessian", lambda problem: problems.known_firth(problem.A, problem.y),
        largest_relative, "largest relative error"),
    "inversion": Kind(
        "Scores to x, signs unknown, no starting point: time of one",
        lambda n, d: inversion_problem(10, n, d), {"levinv": invert_one_by_one}, "levinv",
        lambda problem: problem.x, not_recovered, "not recovered", per=10),
    "many": Kind(
        "Many inversions in one call, signs unknown: time of one",
        lambda n, d: inversion_problem(400, n, d),
        {"invert_many": invert_together, "invert_scores": invert_one_by_one}, "invert_many",
        lambda problem: problem.x, not_recovered, "not recovered", per=400),
    "large": Kind(
        "Inversion at known signs beside one evaluation of the scores", large_problem,
        {"scores": scores_at_slack, "invert_scores": invert_known_signs}, "scores",
        lambda problem: {"invert_scores": problem.x}, largest_relative, "largest relative error",
        extras=peak_copies),
    "points": Kind(
        "Calls at a new x, and a product with the Jacobian at a known one", calls.point_problem,
        {"scores": calls.one_evaluation, "LeverageMap.scores, new x": calls.map_scores,
         "LeverageMap.jvp, last x": calls.map_product,
         "VolumetricBarrier value, gradient, Hessian, new x": calls.barrier_at_new_point},
        "scores", lambda problem: {}, largest, "largest error"),
    "slacks": Kind(
        "One A, 1000 slacks: time of one", calls.slacks_problem,
        {"levinv, one call": calls.slacks_together, "levinv, one by one": calls.slacks_one_by_one},
        "levinv, one call", calls.known_slack_scores, largest, "largest error", per=calls.SLACKS),
    "inverse": Kind(
        "Inversion beside one evaluation of the scores", calls.known_signs_problem,
        {"scores": calls.one_evaluation, "signs known": calls.invert_with_signs,
         "signs unknown": calls.invert_without_signs},
        "scores", lambda problem: dict.fromkeys(["signs known", "signs unknown"], problem.x),
        largest_relative, "largest relative error"),
    "forster": Kind(
        "Forster's transform, Tyler's estimator: weights with the scores d/n to 1e-10, t data",
        calls.forster_problem, {"levinv": calls.forster, "fixed point, NumPy": calls.fixed_point},
        "levinv", lambda problem: problem.A, calls.not_isotropic, "largest error of a score"),
}

WORKS = [
    Work("scores", 100, 5),
    Work("scores", 2000, 20),
    Work("scores", 20000, 50),
    Work("scores", 500000, 10),
    Work("scores", 20000, 200),
    Work("workers", 20000, 50, threads=2),
    Work("workers", 200000, 50, threads=2),
    Work("workers", 20000, 200, threads=2),
    Work("hessian", 2000, 20),
    Work("hessian", 2000, 50),
    Work("gradient", 20000, 50),
    Work("firth", 100, 5),
    Work("firth", 2000, 20),
    Work("firth", 20000, 50),
    Work("inversion", 60, 8),
    Work("many", 60, 8),
    Work("large", 200000, 40),
    Work("points", 100, 5),
    Work("points", 2000, 20),
    Work("slacks", 100, 5),
    Work("inverse", 60, 8),
    Work("inverse", 2000, 20),
    Work("inverse", 20000, 50),
    Work("forster", 200, 5),
    Work("forster", 2000, 10),
    Work("forster", 400, 100),
    Work("forster", 20000, 30),
]
