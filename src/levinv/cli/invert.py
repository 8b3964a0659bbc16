"""levinv invert: x from leverage scores in files."""
import argparse
import json
import math
import sys
import time
from typing import Any

import numpy as np

from levinv._json import plain
from levinv._noise import rounding_noise
from levinv.cli.files import STANDARD, check_target, write_vector
from levinv.cli.inputs import Inputs, data_of, data_weighting, inputs_of, layout_of, model_of
from levinv.cli.progress import Progress
from levinv.cli.status import ExitStatus, in_options, input_errors
from levinv.inverse.invert_scores import invert_scores
from levinv.inverse.result import InversionResult
from levinv.inverse.shown import ambiguity, fit_test

SHOWN = 20      # coefficients in the summary; the output file and --json hold them all
REPORTED = ("success", "unique", "status", "message", "x", "standard_errors", "null_space",
            "alternatives", "fun", "condition", "nit", "nfev", "evidence")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Run the sub-command."""
    check_target(arguments.output, force=arguments.force)
    inputs, scores, model = _given(arguments)
    A, names, b = inputs.table.numbers, inputs.table.columns, model.pop("b")
    x0, coefficient_signs = (inputs.vector(getattr(arguments, name), name, of_rows=False)
                             for name in ("x0", "coefficient_signs"))
    signs = inputs.signs(arguments.signs)
    noise = arguments.noise if arguments.decimals is None else rounding_noise(arguments.decimals)
    start = time.perf_counter()
    with Progress(sys.stderr.isatty()
                  and not (arguments.quiet or arguments.json)) as progress, input_errors():
        result = invert_scores(
            A, b, scores, **model, signs=signs, noise=noise,
            tol=arguments.tol, x0=x0, coefficient_signs=coefficient_signs,
            method=arguments.method, maxiter=arguments.maxiter, rng=arguments.seed,
            callback=progress)
    seconds = time.perf_counter() - start
    if result.success:
        write_vector(arguments.output, result.x, force=arguments.force, labels=names, name="x")
    standard = arguments.output == STANDARD
    written = None if not result.success else "standard output" if standard else arguments.output
    error = float(np.abs(result.scores - scores).max())
    if arguments.json:
        # without vectors of length n: residuals and signs follow from x
        print(json.dumps(plain({
            "command": "invert", **{name: result[name] for name in REPORTED}, "noise": noise,
            "message": in_options(result.message), "names": names, "score_error": error,
            "seconds": seconds, "output": written}), allow_nan=False))
    elif not arguments.quiet:
        print(summary(result, error, noise, seconds, written, names),
              file=sys.stderr if standard else sys.stdout)
    return ExitStatus.SUCCESS if result.success else ExitStatus.NO_SOLUTION


def _given(arguments: argparse.Namespace) -> tuple[Inputs, Any, dict[str, Any]]:
    """A, the scores, and the arguments of the library that describe the model."""
    if arguments.data is None:
        inputs = inputs_of(arguments)
        return inputs, inputs.vector(arguments.scores, "scores"), model_of(arguments, inputs)
    weighting = data_weighting(arguments)
    data = data_of(arguments, arguments.data)
    model = {"weighting": weighting, "b": None, "offset": data.offset,
             "prior_weights": data.prior_weights}
    return Inputs(data.path, data.design, layout_of(arguments)), data.target, model


def summary(result: InversionResult, error: float, noise: float | None, seconds: float,
            written: str | None, names: list[str] | None = None) -> str:
    """The result for people."""
    x, errors = result.x, result.standard_errors
    names = names or [f"x[{j}]" for j in range(len(x))]
    width = max(8, *(len(name) for name in names[:SHOWN]))
    lines = [f"{'solved' if result.success else 'no solution'}: {in_options(result.message)}",
             f"largest score error {error:.1e}, {result.nit} iterations, "
             f"{seconds:.2g} s"]
    if result.success:
        lines.append("unique: " + ("yes" if result.unique else f"no, {ambiguity(result)}"))
    lines += _checked(result.evidence)
    column = "coefficient" if result.success else "closest found"
    lines += ["", f"{'':>{width}}  {column:>16}"
                  + ("  standard error" if noise is not None else "")]
    for j in range(min(len(x), SHOWN)):
        line = f"{names[j]:>{width}}  {x[j]:>16.9g}"
        if not math.isfinite(errors[j]):
            line += "  not determined"
        elif noise is not None:
            line += f"  {errors[j]:>14.2g}"
        lines.append(line)
    if len(x) > SHOWN:
        lines.append(f"{'...':>{width}}  {len(x) - SHOWN} more")
    lines += ["", f"written to {written}" if written else "nothing written"]
    return "\n".join(lines)


def _checked(evidence: dict[str, Any]) -> list[str]:
    """Lines on the checks behind the answer, if there were any."""
    if "fit" not in evidence:
        return []
    fit, rank, jacobian = (evidence[name] for name in ("fit", "rank_decision", "jacobian_decision"))
    lines = [f"fit of {fit['rows']} rows: {fit_test(evidence)}",
             f"rank of A: {evidence['rank']}, {_gap(rank)}; of the Jacobian: {jacobian['rank']}, "
             f"{_gap(jacobian)}"]
    if evidence["outliers"]:
        lines.append("outliers in rows " + ", ".join(map(str, evidence["outliers"])))
    sides = evidence.get("sides") or []
    if sides and all(part["complete"] for part in sides):
        others = sum(part["others"] for part in sides)
        lines.append(f"signs: all {sum(part['sign_vectors'] for part in sides)} vectors compared, "
                     f"{others or 'no'} other{'s' * (others > 1)} fit{'s' * (others <= 1)}")
    elif "signs" in evidence:
        starts = sum(len(part.get("misfits", ())) for part in evidence["signs"])
        if starts:
            same = sum(part["same_signs"] for part in evidence["signs"] if "misfits" in part)
            lines.append(f"signs: found by {same} of {starts} starts")
    return lines


def _gap(decision: dict[str, Any]) -> str:
    kept, dropped = decision["kept"], decision["dropped"]
    return (f"pivots {'-' if kept is None else format(kept, '.1e')} kept, "
            f"{'none' if dropped is None else format(dropped, '.1e')} dropped")
