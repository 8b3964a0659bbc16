"""levinv audit: what leverage scores would give away, from files."""
import argparse
import json

from levinv.auditing.audit import audit
from levinv.cli import files
from levinv.cli.status import ExitStatus, input_errors
from levinv.cli.weighting import model_of


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Run the sub-command."""
    if arguments.html is not None:
        files.check_target(arguments.html, force=arguments.force, page=True)
    A = files.read_matrix(arguments.A)
    model = model_of(arguments)
    x = files.read_vector(arguments.x)
    signs = files.read_signs(arguments.signs)
    with input_errors():
        report = audit(A, x=x, noise=arguments.noise, decimals=arguments.decimals, signs=signs,
                       names=files.column_names(arguments.A), **model)
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
