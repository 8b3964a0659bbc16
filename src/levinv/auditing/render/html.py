"""The report as one page of HTML: page.html holds the page, this module fills in its parts.

Everything that comes from outside (names of columns, labels of rows) is escaped.
"""
import datetime
import html as escaping
import importlib.metadata
import importlib.resources
import io
import string
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from levinv import plot
from levinv.auditing.figures import AuditFigures, Level
from levinv.auditing.render import text
from levinv.auditing.render.words import words

SHOWN_COEFFICIENTS = 200
SIZE = 4.6, 3.2                    # inches: letters stay readable on a phone's width
SMALLEST_HEIGHT, HEIGHT_OF_LINE = 2.4, 0.24
DESCRIBED = {
    plot.error_against_decimals: "Error of {x} against the number of decimals in the {scores}",
    plot.coefficients: "Relative error of each coefficient",
    plot.row_influence: "Rows whose {scores} reveal most",
    plot.singular_values: "Singular values of the Jacobian",
}
CSS_CLASSES = {Level.GIVEN_AWAY: "unsafe", Level.PARTLY_GIVEN_AWAY: "doubtful",
               Level.IN_DOUBT: "doubtful", Level.NOT_GIVEN_AWAY: "safe"}
NOISY = ("The attacker's interval reaches two standard errors to either side of what the attack "
         "found.")
CERTAIN = ("The attacker's interval holds the coefficient for certain, to first order: with no "
           "value outside do all {scores} round to those published.")
WITHOUT = ("<p class=\"note\">There is no picture here, since matplotlib is not installed "
           "(<code>pip install \"levinv[plot]\"</code>); the tables hold the same figures.</p>")


def html(figures: AuditFigures, inputs: Mapping[str, str]) -> str:
    """The whole page; ``inputs`` are named at its end."""
    template = importlib.resources.files(__package__).joinpath("page.html")
    heading, verdict = text.verdict_parts(figures)
    return string.Template(template.read_text(encoding="utf-8")).substitute(
        kind=_escaped(heading), level=CSS_CLASSES[figures.level],
        verdict=_escaped(verdict), meaning=_escaped(text.meaning(figures)),
        facts="\n".join(f"<dt>{_escaped(label)}</dt><dd>{_escaped(fact)}</dd>"
                        for label, fact in text.facts(figures)),
        decimals=_table(("decimals", "predicted", "attack", "prediction"), [
            (str(at["decimals"]), text.percent(at["predicted_error"], brief=True),
             text.percent(at["recovered_error"], brief=True),
             "holds" if at["prediction_holds"] else "fails")
            for at in figures.decimals_attacked]),
        levels=_table(("every predicted error above", "decimals at most", "or noise at least",
                       "prediction"), text.levels(figures)),
        interval=_escaped(text.filled(NOISY if figures.published.decimals is None else CERTAIN,
                                      figures)),
        beyond=_escaped(text.filled(text.BEYOND, figures)), coefficients=_coefficients(figures),
        influence=_table(("row", "influence"), text.influential(figures, plot.ROWS)),
        influence_sentence=_escaped(text.influence_sentence(figures)),
        values=_values(figures), made=_made(inputs), **{name: _escaped(word) for name, word in
                                    vars(words(figures)).items()}, **_pictures(figures))


def _coefficients(figures: AuditFigures) -> str:
    rows = []
    for j, cells in enumerate(text.coefficients(figures)[:SHOWN_COEFFICIENTS]):
        least, most = figures.recovered_x[j] + np.array([-2.0, 2.0]) * figures.predicted_errors[j]
        if figures.published.decimals is not None:
            least, most = figures.intervals[j]
        interval = f"{least:.6g} to {most:.6g}" if np.isfinite(most - least) else "any value"
        rows.append((*cells, interval))
    more = len(figures.x) - len(rows)
    return (_table((*text.heads(figures), "attacker's interval"), rows)
            + (f"<p>… and {more} more.</p>" if more else ""))


def _made(inputs: Mapping[str, str]) -> str:
    """When, with which version and from what the page was made."""
    today = datetime.date.today().isoformat()
    lines = [("date", f"<time datetime=\"{today}\">{today}</time>"),
             ("made by", f"levinv {_escaped(importlib.metadata.version('levinv'))}"),
             *((_escaped(name), _escaped(value)) for name, value in inputs.items())]
    return "\n".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in lines)


def _values(figures: AuditFigures) -> str:
    values, said_of = figures.singular_values, words(figures)
    if not len(values):
        return f"The {said_of.scores} do not change with {said_of.x}."
    return (f"{len(values)} directions of {said_of.x} show in the {said_of.scores}, with singular "
            f"values from {values[0]:.2g} to {values[-1]:.2g}; "
            f"{int(np.count_nonzero(values < 1))} of them are below 1.")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    line = "<tr>{}</tr>".format
    head = line("".join(f"<th scope=\"col\">{_escaped(cell)}</th>" for cell in heads))
    body = "\n".join(line(f"<th scope=\"row\">{_escaped(first)}</th>"
                          + "".join(f"<td>{_escaped(cell)}</td>" for cell in rest))
                     for first, *rest in rows)
    return (f"<div class=\"wide\"><table><thead>{head}</thead>\n<tbody>\n{body}\n</tbody></table>"
            "</div>")


def _escaped(content: object) -> str:
    return escaping.escape(str(content))


def _pictures(figures: AuditFigures) -> dict[str, str]:
    """The pictures as SVG, by the name of their place in the page."""
    try:
        from matplotlib import style
        from matplotlib.figure import Figure
    except ImportError:
        return {f"picture_of_{draw.__name__}": WITHOUT for draw in DESCRIBED}
    pictures = {}
    for draw, described in DESCRIBED.items():
        # Letters stay text. The ids of parts are the same in every run and differ between pictures.
        with style.context({"svg.fonttype": "none", "svg.hashsalt": draw.__name__,
                            "font.family": "sans-serif", "font.size": 9.5}, after_reset=True):
            width, height = SIZE
            if draw is plot.coefficients:
                lines = min(len(figures.x), plot.COEFFICIENTS)
                height = max(SMALLEST_HEIGHT, 1.0 + HEIGHT_OF_LINE * lines)
            figure = Figure(figsize=(width, height), layout="constrained")
            draw(figures, figure.add_subplot())
            out = io.StringIO()
            figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
        svg = out.getvalue()
        label = f"<svg role=\"img\" aria-label=\"{_escaped(text.filled(described, figures))}\" "
        svg = svg[svg.index("<svg "):].replace("<svg ", label, 1)
        pictures[f"picture_of_{draw.__name__}"] = f"<figure>{svg}</figure>"
    return pictures
