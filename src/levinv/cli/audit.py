"""levinv audit: what leverage scores would give away, from files."""
import argparse
import dataclasses
import json
import sys
from typing import Any

import numpy as np

from levinv.auditing.audit import audit
from levinv.auditing.report import AuditReport
from levinv.cli import files
from levinv.cli.inputs import data_of, data_weighting, fitted_of, inputs_of, model_of
from levinv.cli.progress import Progress
from levinv.cli.status import ExitStatus, InputError, input_errors
from levinv.weighting.protocol import Weighting

INPUTS = ("A", "b", "x", "response", "offset", "prior_weights", "weighting", "signs")
NOTHING = ("NOT GIVEN AWAY. The hat values of {name} depend on the design and on known weights "
           "alone: they give nothing of the coefficients away.")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Run the sub-command."""
    if arguments.html is not None:
        files.check_target(arguments.html, force=arguments.force, page=True)
    progress = Progress(sys.stderr.isatty() and not arguments.json)
    with progress:
        report = (_of_data(arguments, progress) if arguments.response is not None
                  else _of_files(arguments, progress))
    if isinstance(report, Weighting):
        _print_nothing(arguments, report)
        return ExitStatus.SUCCESS
    if not arguments.json:
        print(report.to_text(), flush=True)       # the page takes thirteen more attacks
    if arguments.html is not None:
        with progress:
            page = report.to_html(inputs=_inputs(arguments))
        files.write_page(arguments.html, page, force=arguments.force)
    if arguments.json:
        print(json.dumps({"command": "audit", **report.to_dict(), "output": arguments.html},
                         allow_nan=False))
    elif arguments.html is not None:
        print(f"\nwritten to {arguments.html}")
    return ExitStatus.SUCCESS


def _inputs(arguments: argparse.Namespace) -> dict[str, str]:
    """The arguments that name files, and what they name."""
    given = ((name, getattr(arguments, name, None)) for name in INPUTS)
    return {name.replace("_", " "): str(value) for name, value in given if value is not None}


def _of_files(arguments: argparse.Namespace, progress: Progress) -> AuditReport | Weighting:
    """The report on coefficients in a file; the weighting, if the scores do not depend on them."""
    inputs = inputs_of(arguments)
    model = model_of(arguments, inputs)
    weighting = model["weighting"]
    x = inputs.vector(arguments.x, "x", of_rows=False)
    if weighting is not None and weighting.kind == "constant":
        assert isinstance(weighting, Weighting)
        return weighting
    signs = inputs.signs(arguments.signs)
    return _report(arguments, progress, inputs.table.numbers, inputs.table.labels, x=x, signs=signs,
                   names=inputs.table.columns, **model)


def _of_data(arguments: argparse.Namespace, progress: Progress) -> AuditReport | Weighting:
    """The report on a regression that is fitted to data."""
    weighting = data_weighting(arguments)
    data = data_of(arguments, arguments.response)
    if weighting.kind == "constant":
        return weighting
    if arguments.signs is not None and arguments.signs not in files.NAMED_SIGNS:
        raise InputError("--signs must be positive or negative for a regression that is fitted")
    model = fitted_of(arguments, data)
    design, offset, prior, labels = model.design, model.offset, model.prior_weights, model.labels
    if prior is not None and not prior.all():               # their hat values are 0
        used = np.flatnonzero(prior)
        design, prior = design[used], prior[used]
        offset = None if offset is None else offset[used]
        labels = None if labels is None else [labels[row] for row in used]
    return _report(arguments, progress, design, labels, x=model.params, weighting=weighting,
                   offset=offset, prior_weights=prior, names=model.names,
                   signs=files.NAMED_SIGNS.get(arguments.signs))


def _report(arguments: argparse.Namespace, progress: Progress, A: Any,
            labels: list[str] | None, **given: Any) -> AuditReport:
    with input_errors():
        report = audit(A, noise=arguments.noise, decimals=arguments.decimals, callback=progress,
                       **given)
    return report if labels is None else dataclasses.replace(report, row_labels=labels)


def _print_nothing(arguments: argparse.Namespace, weighting: Weighting) -> None:
    said = NOTHING.format(name=weighting.name)
    if arguments.json:
        print(json.dumps({"command": "audit", "verdict": said, "weighting": weighting.name,
                          "output": None}))
        return
    print(said)
    if arguments.html is not None:
        print(f"\nnothing written to {arguments.html}")
