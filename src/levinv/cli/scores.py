"""levinv scores: leverage scores of a matrix in a file."""
import argparse
import sys
import time

import numpy as np

from levinv import _validate, storage
from levinv._typing import Floats
from levinv.cli.files import STANDARD, check_target, write_vector
from levinv.cli.inputs import data_of, data_weighting, fitted_of, inputs_of
from levinv.cli.status import ExitStatus, InputError, input_errors
from levinv.cli.tables import Table
from levinv.cli.weighting import weighting_of
from levinv.forward.leverage import leverage_scores
from levinv.forward.leverage_map import LeverageMap
from levinv.models.hat_values import scores_of
from levinv.weighting.protocol import Weighting


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Run the sub-command."""
    weighting = weighting_of(arguments)
    _check_options(arguments, weighting)
    check_target(arguments.output, force=arguments.force)
    scores, table, seconds = (_of_files(arguments, weighting) if arguments.response is None
                              else _of_fit(arguments))
    write_vector(arguments.output, scores, force=arguments.force, labels=table.labels,
                 index=table.index, name="score")
    if not arguments.quiet:
        largest = int(np.argmax(scores))
        place = (f"{largest} (counted from 0)" if table.labels is None
                 else repr(table.labels[largest]))
        output = "standard output" if arguments.output == STANDARD else arguments.output
        print(f"{len(scores)} leverage scores, sum {scores.sum():.6g}, largest "
              f"{scores[largest]:.6g} in row {place}, {seconds:.2g} s\nwritten to {output}",
              file=sys.stderr if arguments.output == STANDARD else sys.stdout)
    return ExitStatus.SUCCESS


def _check_options(arguments: argparse.Namespace, weighting: Weighting | None) -> None:
    if arguments.response is not None:
        data_weighting(arguments)
        if arguments.x is not None or arguments.b is not None:
            raise InputError("--x and --b must not be given with --response, whose regression is "
                             "fitted")
    elif weighting is None:
        if (arguments.b is None) != (arguments.x is None):
            raise InputError("--b and --x belong together: the slack is A x - b")
        for name in ("offset", "prior_weights"):
            if getattr(arguments, name) is not None:
                raise InputError(f"--{name.replace('_', '-')} needs --weighting")
    elif arguments.x is None:
        raise InputError("--weighting needs --x, or --response")
    if weighting is not None and not (
            arguments.slack is arguments.weights is arguments.rtol is arguments.seed is None
            and arguments.method == "auto"):
        raise InputError("--slack, --weights, --method, --rtol and --seed must not be given with "
                         "--weighting")


def _of_fit(arguments: argparse.Namespace) -> tuple[Floats, Table, float]:
    """The hat values of a regression that is fitted to data; the table; the time it takes."""
    data = data_of(arguments, arguments.response)
    start = time.perf_counter()
    model = fitted_of(arguments, data)
    with input_errors():
        scores = scores_of(model)
    return scores, data.design, time.perf_counter() - start


def _of_files(arguments: argparse.Namespace, weighting: Weighting | None
              ) -> tuple[Floats, Table, float]:
    """The scores of a matrix; its table; the time it takes."""
    inputs = inputs_of(arguments)
    A = inputs.table.numbers
    start = time.perf_counter()
    slack, weights, b, offset, prior = (inputs.vector(getattr(arguments, name), name) for name in (
        "slack", "weights", "b", "offset", "prior_weights"))
    x = inputs.vector(arguments.x, "x", of_rows=False)
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
    return scores, inputs.table, time.perf_counter() - start
