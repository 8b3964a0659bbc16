"""levinv audit: what leverage scores would give away, from files."""
import argparse
import dataclasses
import json
from typing import Any

import numpy as np

from levinv.auditing.audit import audit
from levinv.auditing.report import AuditReport
from levinv.cli import files
from levinv.cli.inputs import data_of, data_weighting, fitted_of, inputs_of, model_of
from levinv.cli.status import ExitStatus, InputError, input_errors
from levinv.weighting.protocol import Weighting

NOTHING = ("NOT GIVEN AWAY. The hat values of {name} depend on the design and on known weights "
           "alone: they give nothing of the coefficients away.")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Run the sub-command."""
    if arguments.html is not None:
        files.check_target(arguments.html, force=arguments.force, page=True)
    report = _of_data(arguments) if arguments.response is not None else _of_files(arguments)
    if isinstance(report, Weighting):
        _print_nothing(arguments, report)
        return ExitStatus.SUCCESS
    if arguments.html is not None:
        files.write_page(arguments.html, report.to_html(), force=arguments.force)
    if arguments.json:
        print(json.dumps({"command": "audit", **report.to_dict(), "output": arguments.html},
                         allow_nan=False))
    else:
        print(report.to_text())
        if arguments.html is not None:
            print(f"\nwritten to {arguments.html}")
    return ExitStatus.SUCCESS


def _of_files(arguments: argparse.Namespace) -> AuditReport | Weighting:
    """The report on coefficients in a file; the weighting, if the scores do not depend on them."""
    inputs = inputs_of(arguments)
    model = model_of(arguments, inputs)
    weighting = model["weighting"]
    x = inputs.vector(arguments.x, "x", of_rows=False)
    if weighting is not None and weighting.kind == "constant":
        assert isinstance(weighting, Weighting)
        return weighting
    signs = inputs.signs(arguments.signs)
    return _report(arguments, inputs.table.numbers, inputs.table.labels, x=x, signs=signs,
                   names=inputs.table.columns, **model)


def _of_data(arguments: argparse.Namespace) -> AuditReport | Weighting:
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
    return _report(arguments, design, labels, x=model.params, weighting=weighting, offset=offset,
                   prior_weights=prior, names=model.names,
                   signs=files.NAMED_SIGNS.get(arguments.signs))


def _report(arguments: argparse.Namespace, A: Any, labels: list[str] | None,
            **given: Any) -> AuditReport:
    with input_errors():
        report = audit(A, noise=arguments.noise, decimals=arguments.decimals, **given)
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
