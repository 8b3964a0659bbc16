"""levinv scores: leverage scores of a matrix in a file."""
import argparse
import time

import numpy as np

from levinv import _validate, storage
from levinv.cli.files import check_target, read_matrix, read_vector, write_vector
from levinv.cli.status import ExitStatus, InputError, input_errors
from levinv.cli.weighting import weighting_of
from levinv.forward.leverage import leverage_scores
from levinv.forward.leverage_map import LeverageMap


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Run the sub-command."""
    weighting = weighting_of(arguments)
    if weighting is None:
        if (arguments.b is None) != (arguments.x is None):
            raise InputError("--b and --x belong together: the slack is A x - b")
        for name in ("offset", "prior_weights"):
            if getattr(arguments, name) is not None:
                raise InputError(f"--{name.replace('_', '-')} needs --weighting")
    elif arguments.x is None:
        raise InputError("--weighting needs --x")
    elif not (arguments.slack is arguments.weights is arguments.rtol is arguments.seed is None
              and arguments.method == "auto"):
        raise InputError("--slack, --weights, --method, --rtol and --seed must not be given with "
                         "--weighting")
    check_target(arguments.output, force=arguments.force)
    A = read_matrix(arguments.A)
    start = time.perf_counter()
    slack, weights, b, x, offset, prior = (
        None if path is None else read_vector(path) for path in (
            arguments.slack, arguments.weights, arguments.b, arguments.x, arguments.offset,
            arguments.prior_weights))
    with input_errors():
        if weighting is not None and x is not None:
            scores = LeverageMap(A, b, weighting=weighting, offset=offset,
                                 prior_weights=prior).scores(x)
        elif b is not None and x is not None:
            A = _validate.matrix(A, "A", sparse=True)
            x = _validate.vector(x, "x", A.shape[1], "column of A")
            b = _validate.vector(b, "b", A.shape[0], "row of A")
            slack = storage.of(A).matvec(x) - b
        if weighting is None:
            scores = leverage_scores(A, slack=slack, weights=weights, method=arguments.method,
                                     rtol=arguments.rtol, rng=arguments.seed)
    seconds = time.perf_counter() - start
    write_vector(arguments.output, scores, force=arguments.force)
    if not arguments.quiet:
        largest = int(np.argmax(scores))
        print(f"{len(scores)} leverage scores, sum {scores.sum():.6g}, largest "
              f"{scores[largest]:.6g} in row {largest} (counted from 0), {seconds:.2g} s\nwritten "
              f"to {arguments.output}")
    return ExitStatus.SUCCESS
