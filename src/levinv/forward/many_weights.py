"""One matrix under many weights of its rows: calls of the kernel ``batch``, shared among threads.

The kernel serves well-conditioned problems of ordinary size. The callers compute the others one by
one, which also finds the errors to raise.
"""
from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from levinv._kernels import batch
from levinv._parallel import count, share
from levinv._tolerances import CHUNK_WORK, LONG, ONE_PASS_CONDITION, UNBLOCKED_COLUMNS
from levinv._typing import Booleans, Floats, MatrixLike


@dataclass(frozen=True)
class ManyWeights:
    """What the kernel computes for k weights of the rows. Entries of problems that it does not
    serve are useless.
    """

    condition: Floats                    # (k,) as in the kernel ``factor``; inf or nan: not served
    scores: Floats                       # (k, n)
    log_det: Floats | None = None        # (k,) log det Aᵀ diag(w) A
    product: Floats | None = None        # (k, n) (Q - diag(σ)) (σ - target)

    @property
    def served(self) -> Booleans:
        """(k,)"""
        served: Booleans = self.condition <= ONE_PASS_CONDITION
        return served


def serves(A: MatrixLike) -> bool:
    """Whether A is an array for the kernel; in a wider or longer one it would neither gain nor hear
    Ctrl-C.
    """
    return (type(A) is np.ndarray and A.shape[1] <= UNBLOCKED_COLUMNS
            and batch.lanes * A.size * A.shape[1] <= LONG)


def writes_into(out: Floats, *inputs: MatrixLike) -> bool:
    """Whether the kernel may write into an output while it reads the inputs."""
    return bool(out.flags.c_contiguous) and not any(
        np.may_share_memory(out, other) for other in inputs)


def evaluate(A: Floats, values: Floats, slack: bool, workers: int | None = None, *,
             out: Floats | None = None, determinants: bool = False,
             target: Floats | None = None) -> ManyWeights:
    """Scores for each of the rows of ``values`` (k, n), which are slacks or weights; into ``out``
    (k, n), if it is given, which must be contiguous.
    """
    k, n = values.shape
    values = np.ascontiguousarray(values)
    found = ManyWeights(np.empty(k), np.empty((k, n)) if out is None else out,
                        np.empty(k) if determinants else None,
                        None if target is None else np.empty((k, n)))

    def work(part: slice) -> None:
        batch.one_pass(A, values[part], slack, found.scores[part], found.condition[part],
                       None if found.log_det is None else found.log_det[part], target,
                       None if found.product is None else found.product[part])

    share(work, parts(k, A), count(workers, 4 * k * A.size * A.shape[1]))
    return found


def parts(k: int, A: MatrixLike) -> list[slice]:
    """Parts of k problems with A, for threads: each takes much longer than handing it over."""
    step = batch.lanes * max(1, CHUNK_WORK // (batch.lanes * A.size * A.shape[1]))
    return [slice(first, min(first + step, k)) for first in range(0, k, step)]


@contextlib.contextmanager
def numbered(name: str, i: int) -> Iterator[None]:
    """A context whose errors of an argument tell the index of the problem, too."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{error} ({name}[{i}])") from None
