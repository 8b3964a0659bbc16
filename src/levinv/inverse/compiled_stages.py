"""Stages 1 to 3 of one small problem by the compiled kernel (:mod:`levinv._kernels.many`).

The kernel solves exact problems in which no decision is doubtful. Stage 4 and the verdict of one
problem stay those of every inversion, so its answer does not depend on the route.
"""
import numpy as np

from levinv._tolerances import BATCH_WORK, SIGN_RANK
from levinv._typing import Floats
from levinv.inverse.compiled import compiled_weighting, fits_kernel, kernel
from levinv.inverse.result import Progress
from levinv.inverse.values import (
    Found,
    MagnitudeWork,
    Presolved,
    Recovered,
    SignCandidate,
    SignSearch,
)


def recover_compiled(presolved: Presolved, progress: Progress) -> tuple[Floats, Found] | None:
    """x by the kernel and the records of stages 1 to 3; None if it leaves the problem to the
    general stages.

    It is not asked where the presolve left something out, or where a caller wants to see or to
    limit the iterations.
    """
    problem, reduced = presolved.problem, presolved.reduced
    model, (n, d) = problem.model, problem.rows.shape
    if (not problem.exact or progress.callback is not None or progress.maxiter is not None
            or problem.rows.small is None or not fits_kernel(n, d) or n * d * d > BATCH_WORK
            or reduced.count != 1 or reduced.left_out is not None or presolved.contradictions):
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
    progress.nit += int(iterations[0])
    return x[0], _records_of(presolved, x[0], records[0].tolist())


def _records_of(presolved: Presolved, x: Floats, records: list[float]) -> Found:
    """The records of stages 1 to 3 in the general stages' terms.

    Log weights have the mean 0: the scale of the slack is its geometric mean.
    """
    iterations, error, starts, misfit, of_magnitudes = records
    problem = presolved.problem
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
