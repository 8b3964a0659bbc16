"""One small problem by the compiled kernel (:mod:`levinv._kernels.many`).

The kernel solves exact problems in which no decision is doubtful. The evidence for its x is that of
every inversion: stage 4 and the verdict compute it from this x.
"""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from levinv._tolerances import BATCH_WORK, SIGN_RANK
from levinv._typing import Floats
from levinv.forward.projection import project
from levinv.inverse.compiled import compiled_weighting, fits_kernel, kernel
from levinv.inverse.result import InversionResult, Progress
from levinv.inverse.values import (
    Found,
    MagnitudeWork,
    Presolved,
    Problem,
    Recovered,
    SignCandidate,
    SignSearch,
)


@dataclass(frozen=True, eq=False)
class KernelSolution:
    """x of a small exact problem, and what the kernel says of stages 1 to 3."""

    x: Floats                     # (d,)
    fun: float
    unique: bool
    mirrored: bool                # whether -x, and no other, has these scores, too
    iterations: int
    records: list[float]


def solve_compiled(problem: Problem, progress: Progress) -> KernelSolution | None:
    """The solution by the kernel; None if it leaves the problem to the general stages.

    It is not asked where a caller wants to see or to limit the iterations.
    """
    model, (n, d) = problem.model, problem.rows.shape
    if (not problem.exact or progress.callback is not None or progress.maxiter is not None
            or problem.x0 is not None or problem.rows.small is None or not fits_kernel(n, d)
            or n * d * d > BATCH_WORK):
        return None
    weighting = compiled_weighting(model.weighting, model.log_prior is not None)
    if weighting is None:
        return None
    A, b, scores = (np.ascontiguousarray(array)[None] for array in
                    (problem.rows.small, problem.b, problem.scores))
    signs, log_prior = (None if vector is None else np.ascontiguousarray(vector)[None]
                        for vector in (problem.known_signs, model.log_prior))
    x, fun, records = np.zeros((1, d)), np.zeros(1), np.zeros((1, kernel.RECORDS))
    iterations, solved = np.zeros(1, dtype=np.intp), np.zeros(1, dtype=np.uint8)
    seed = progress.rng.integers(2 ** 64, size=1, dtype=np.uint64)
    kernel.invert(A, b, scores, signs, None, log_prior, seed, *weighting, problem.tol, np.inf,
                  False, x, fun, iterations, solved, records)
    if not solved[0]:
        return None
    return KernelSolution(x[0], float(fun[0]), bool(solved[0] == 1), bool(solved[0] == 2),
                          int(iterations[0]), records[0].tolist())


def at_once(problem: Problem, solution: KernelSolution,
            rest: Callable[[], InversionResult]) -> InversionResult:
    """The result at the kernel's x; ``rest()`` has what is computed when it is first read."""
    model, x = problem.model, solution.x
    slack, d = problem.slack(x), len(x)
    scores = project(problem.rows, model.magnitude(slack), None, None).scores
    return InversionResult.with_rest(
        rest, x=x, fun=solution.fun, scores=scores, slack=slack, signs=model.side(slack),
        success=True, status=0, unique=solution.unique,
        alternatives=-x[None] if solution.mirrored else np.zeros((0, d)),
        null_space=np.zeros((d, 0)))


def records_of(presolved: Presolved, solution: KernelSolution) -> Found:
    """The records of stages 1 to 3 in the general stages' terms.

    Log weights have the mean 0: the scale of the slack is its geometric mean.
    """
    iterations, error, starts, misfit, of_magnitudes = solution.records
    problem, x = presolved.problem, solution.x
    recovered, signs, levels = None, None, None
    if problem.model.is_power:
        slack = problem.slack(x)
        scale = np.exp(np.mean(np.log(np.abs(slack)), keepdims=True))
        recovered = Recovered(x, np.where(presolved.range.inside, np.nan, scale), of_magnitudes)
        if problem.known_signs is None:
            found = SignCandidate(np.where(slack < 0, -1.0, 1.0), misfit, int(starts), True)
            signs = (SignSearch(misfit, int(starts), starts=(found,)),)
    else:
        levels = (SignSearch(misfit, int(starts)),)
    alone = (problem.known_signs is None and problem.model.weighting.even
             and problem.rows.shape[1] < SIGN_RANK)
    return Found(magnitude_work=MagnitudeWork(int(iterations), 0, error), recovered=recovered,
                 signs=signs, levels=levels, alone=alone)
