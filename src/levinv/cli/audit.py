"""levinv audit: what leverage scores would give away, from files."""
import argparse
import json
import sys

from levinv.auditing.audit import audit
from levinv.cli import files
from levinv.cli.progress import Progress
from levinv.cli.status import ExitStatus, input_errors
from levinv.cli.weighting import model_of

INPUTS = ("A", "b", "x", "offset", "prior_weights", "signs")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Run the sub-command."""
    if arguments.html is not None:
        files.check_target(arguments.html, force=arguments.force, page=True)
    A = files.read_matrix(arguments.A)
    model = model_of(arguments)
    x = files.read_vector(arguments.x)
    signs = files.read_signs(arguments.signs)
    progress = Progress(sys.stderr.isatty() and not arguments.json)
    with progress, input_errors():
        report = audit(A, x=x, noise=arguments.noise, decimals=arguments.decimals, signs=signs,
                       names=files.column_names(arguments.A), callback=progress, **model)
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
