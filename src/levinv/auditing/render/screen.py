"""The report as ``print`` and a notebook show it: the verdict, and the coefficients known best."""
import numpy as np

from levinv._screen import Screen
from levinv.auditing.figures import AuditFigures
from levinv.auditing.render import text

SHOWN = 10
KNOWN_BEST = "... and {} coefficients that are known less well"


def screen(figures: AuditFigures) -> Screen:
    """At most a screen."""
    heading, verdict = text.verdict_parts(figures)
    table, order = text.coefficients(figures), np.arange(len(figures.x))
    if len(table) > SHOWN:
        order = np.argsort(figures.relative_errors, kind="stable")[:SHOWN]
    said = dict(text.facts(figures))
    return Screen(
        heading, [("verdict", verdict), *((label, said[label]) for label in
                                          ("published", "attacker knows"))],
        text.heads(figures),
        [tuple(text.shortened(cell) for cell in table[j]) for j in order.tolist()],
        KNOWN_BEST.format(len(table) - SHOWN) if len(table) > SHOWN else "",
        "The whole report: report.to_text(), as a page report.to_html(). The evidence: "
        "report.attack, and what it checked, report.attack.evidence.")
