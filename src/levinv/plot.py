"""Pictures of an audit, each drawn into matplotlib axes that the caller has made.

matplotlib (``pip install "levinv[plot]"``) is needed to make the axes, not to import this module.
Each function takes an :class:`levinv.AuditReport` and an ``Axes``, draws, and returns the axes.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from levinv._tolerances import GIVEN_AWAY
from levinv.auditing.figures import AuditFigures
from levinv.auditing.render.text import shortened
from levinv.auditing.render.words import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PREDICTED, FOUND, AIM = "#0b5d8a", "#c2410c", "#6b7280"
ROWS, COEFFICIENTS = 15, 30     # largest numbers in one picture
LEAST = 1e-16                   # smaller relative errors are drawn here

__all__ = ["coefficients", "error_against_decimals", "row_influence", "singular_values"]


def error_against_decimals(report: AuditFigures, ax: Axes) -> Axes:
    """Relative error of x against the number of decimals in the scores.

    It shows the predicted error and the errors of attacks. The attacks take thirteen inversions,
    whose results the report keeps.

    Parameters
    ----------
    report : AuditReport
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import numpy as np
    >>> from levinv import audit, plot
    >>> A, b = np.split(np.random.default_rng(0).standard_normal((60, 4)), [3], axis=1)
    >>> report = audit(A, b.ravel(), [1.0, -2.0, 3.0], decimals=4)
    >>> ax = plot.error_against_decimals(report, Figure().add_subplot())
    >>> ax.get_xlabel()
    'decimals in the scores'
    """
    attacked = [at for at in report.decimals_attacked if np.isfinite(at["recovered_error"])]
    decimals = [at["decimals"] for at in attacked]
    if not attacked:
        ax.set_ylim(LEAST, 1.0)
    ax.semilogy(decimals, [max(at["predicted_error"], LEAST) for at in attacked],
                color=PREDICTED, label="predicted")
    for success, face in ((True, FOUND), (False, "none")):
        chosen = [at for at in attacked if at["success"] == success]
        if chosen:
            ax.semilogy([at["decimals"] for at in chosen],
                        [max(at["recovered_error"], LEAST) for at in chosen], "o", color=FOUND,
                        markerfacecolor=face,
                        label="attack" if success else
                        f"attack, {words(report).scores} not matched")
    if report.published.decimals is not None:
        ax.axvline(report.published.decimals, color=AIM, linestyle=":", label="as audited")
    ax.axhline(GIVEN_AWAY, color=AIM, linestyle="--", label="10 %")
    ax.set(xlabel=f"decimals in the {words(report).scores}",
           ylabel=f"relative error of {words(report).x}")
    return _finished(ax, legend=bool(attacked))


def coefficients(report: AuditFigures, ax: Axes) -> Axes:
    """Relative error of each coefficient.

    A bar spans one to two predicted errors, a dot is the error of the attack. The coefficients that
    are known best come first, at most 30 of them. Those that are not determined are left out.

    Parameters
    ----------
    report : AuditReport
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import numpy as np
    >>> from levinv import audit, plot
    >>> A, b = np.split(np.random.default_rng(0).standard_normal((60, 4)), [3], axis=1)
    >>> report = audit(A, b.ravel(), [1.0, -2.0, 3.0], decimals=4)
    >>> ax = plot.coefficients(report, Figure().add_subplot())
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['x[2]', 'x[1]', 'x[0]']
    """
    errors = report.relative_errors
    order = np.argsort(errors, kind="stable")
    order = order[np.isfinite(errors[order])][:COEFFICIENTS]
    places = np.arange(len(order))
    if len(order):
        bar = np.maximum(errors[order], LEAST)
        found = np.abs(report.recovered_x - report.x)[order] / report.sizes[order]
        ax.hlines(places, bar, 2.0 * bar, color=PREDICTED, linewidth=5, alpha=0.5,
                  label="1 to 2 predicted errors")
        ax.plot(np.maximum(found, LEAST), places, "o", color=FOUND, label="error of the attack")
        ax.set_xscale("log")
    ax.set_yticks(places, [_without_formula(report.names[j]) for j in order])
    ax.set_ylim(max(len(order), 1) - 0.5, -0.5)
    ax.axvline(GIVEN_AWAY, color=AIM, linestyle="--", label="10 %")
    ax.set(xlabel="relative error of the coefficient")
    return _finished(ax, legend=bool(len(order)))


def row_influence(report: AuditFigures, ax: Axes) -> Axes:
    """Influence of the rows whose scores reveal most, at most 15 of them.

    Parameters
    ----------
    report : AuditReport
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import numpy as np
    >>> from levinv import audit, plot
    >>> A, b = np.split(np.random.default_rng(0).standard_normal((60, 4)), [3], axis=1)
    >>> report = audit(A, b.ravel(), [1.0, -2.0, 3.0], decimals=4)
    >>> ax = plot.row_influence(report, Figure().add_subplot())
    >>> len(ax.patches)
    15
    """
    order = np.argsort(-report.row_influence, kind="stable")[:ROWS]
    places = np.arange(len(order))
    ax.barh(places, report.row_influence[order], color=PREDICTED)
    ax.set_yticks(places, [_without_formula(report.row_label(row)) for row in order.tolist()])
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.set(xlim=(0, 1), xlabel="influence", ylabel="row")
    return _finished(ax)


def singular_values(report: AuditFigures, ax: Axes) -> Axes:
    """Singular values of the whitened Jacobian.

    Directions of x whose value is below 1 are lost in the noise.

    Parameters
    ----------
    report : AuditReport
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import numpy as np
    >>> from levinv import audit, plot
    >>> A, b = np.split(np.random.default_rng(0).standard_normal((60, 4)), [3], axis=1)
    >>> report = audit(A, b.ravel(), [1.0, -2.0, 3.0], decimals=4)
    >>> ax = plot.singular_values(report, Figure().add_subplot())
    >>> len(ax.get_lines()[0].get_xdata())
    3
    """
    values = report.singular_values
    ax.plot(np.arange(1, len(values) + 1), values, "o-", color=PREDICTED)
    if not len(values):
        ax.set_ylim(0.1, 10.0)
    ax.set_yscale("log")
    ax.axhline(1.0, color=AIM, linestyle="--", label="lost in the noise below")
    ax.set(xlabel=f"direction of {words(report).x}", ylabel="noise levels per unit")
    ax.locator_params(axis="x", integer=True)
    return _finished(ax, legend=True)


def _finished(ax: Axes, legend: bool = False) -> Axes:
    ax.grid(True, alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    if legend:
        ax.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2,
                  frameon=False)                 # above the axes: covers no data
    return ax


def _without_formula(label: str) -> str:
    """A label that matplotlib does not read as a formula."""
    return shortened(label, 16).replace("$", r"\$")
