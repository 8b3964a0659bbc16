"""The compiled kernel for problems of small size (:mod:`levinv._kernels.many`): what it knows of
weightings, and stages 1 to 3 of one problem by it.

The kernel solves exact problems in which no decision is doubtful. Stage 4 and the verdict of one
problem stay those of every inversion, so its answer does not depend on the route.
"""
from __future__ import annotations

import functools
import math
from typing import TypeAlias

import numpy as np

from levinv._kernels.many import has_avx2
from levinv._tolerances import (
    BATCH_COLUMNS,
    BATCH_ROWS,
    BATCH_WORK,
    BRANCH_NODES,
    LEAST_GAP,
    SIGN_RANK,
    WEIGHT_RANGE,
)
from levinv._typing import Floats
from levinv.inverse.result import Progress
from levinv.inverse.values import (
    Found,
    MagnitudeWork,
    Presolved,
    Recovered,
    SignCandidate,
    SignSearch,
)
from levinv.weighting.peaked import Cauchit, Cloglog, Logit, Peaked, Probit
from levinv.weighting.protocol import INVERSE_SQUARE, Exponential, Power, Weighting

if has_avx2():
    from levinv._kernels import cells_avx2 as cells
    from levinv._kernels import many_avx2 as kernel
else:
    from levinv._kernels import cells  # type: ignore[no-redef]
    from levinv._kernels import many as kernel  # type: ignore[no-redef]  # the same, for any CPU

__all__ = ["Compiled", "cells", "compiled_weighting", "fits_kernel", "kernel", "recover_compiled"]

# What the kernel knows: its number of a kind is the place in this list, 0 the papers' 1/s².
COMPILED: tuple[type[Weighting], ...] = (Power, Exponential, Logit, Probit, Cloglog, Cauchit)

# the number of the kind, (parameter, mode, spacing) and the table of branches
Compiled: TypeAlias = tuple[int, Floats, Floats]


def compiled_weighting(weighting: Weighting, has_prior: bool = False) -> Compiled | None:
    """What the kernel is told of a weighting; None if it does not know it."""
    if type(weighting) not in COMPILED:
        return None
    kind, parameter = COMPILED.index(type(weighting)) + 1, 1.0
    mode, spacing, table = 0.0, 1.0, np.zeros((2, 2))
    if isinstance(weighting, Power):
        parameter = weighting.q
        if weighting is INVERSE_SQUARE and not has_prior:
            kind = 0
    elif isinstance(weighting, Exponential):
        parameter = weighting.rate
    elif isinstance(weighting, Peaked):
        mode = weighting.mode
        spacing, table = _table_of_branches(weighting)
        parameter = weighting.sign if isinstance(weighting, Cloglog) else parameter
    return kind, np.array([parameter, mode, spacing]), table


@functools.lru_cache(maxsize=len(COMPILED))
def _table_of_branches(weighting: Peaked) -> tuple[float, Floats]:
    log_gap, spacing = np.linspace(math.log(LEAST_GAP), math.log(WEIGHT_RANGE), BRANCH_NODES // 4,
                                   retstep=True)
    table = np.log(np.abs(np.array(weighting.branches(np.exp(log_gap))) - weighting.mode))
    table.flags.writeable = False
    return float(spacing), table


def fits_kernel(n: int, d: int) -> bool:
    """Whether the kernel takes problems of this shape."""
    return d <= BATCH_COLUMNS and d < n <= BATCH_ROWS


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
