"""The audit in words: for the person who decides whether the scores are published."""
from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from levinv._json import plain
from levinv.auditing.limits import GIVEN_AWAY, LARGEST_DEPARTURE, LARGEST_MISS, as_predicted

if TYPE_CHECKING:
    from levinv.auditing.report import AuditReport

WIDTH = 92
TARGETS = (0.01, 0.1, 0.5)
SHOWN_COEFFICIENTS, SHOWN_ROWS = 30, 10


def verdict(report: AuditReport) -> str:
    """What the audit comes to. The first sentence, in capitals, is one of four."""
    known = np.flatnonzero(report.given_away)
    d, errors = len(report.x), report.relative_errors
    names = listed([report.names[j] for j in known])
    bounded = errors.min() > GIVEN_AWAY and not len(known)      # a bound holds at any noise
    if not report.prediction_holds and len(known) < d and not bounded:
        said = ("IN DOUBT. At this much noise the prediction does not hold. The attack that was "
                "run found " + (f"{len(known)} of {d} coefficients to within 10 % ({names})"
                            if len(known) else "no coefficient to within 10 %")
                + "; another one may find more.")
    elif len(known) == d and report.unique:
        said = (f"GIVEN AWAY. Whoever has A and b finds x from these scores, {_all(d)} to within "
                "10 %.")
    elif len(known) and not report.unique and not report.null_space.shape[1]:
        said = (f"PARTLY GIVEN AWAY. A few x have these scores, which differ in the signs of "
                f"A x - b; of the right one {len(known)} of {d} coefficients are known to within "
                "10 %.")
    elif len(known):
        said = (f"PARTLY GIVEN AWAY. Whoever has A and b finds {len(known)} of {d} coefficients "
                f"to within 10 %: {names}.")
    elif np.isfinite(errors).any():
        best = int(np.argmin(errors))
        said = (f"NOT GIVEN AWAY to within 10 %. The coefficient best known "
                f"({shortened(report.names[best])}) has a standard error of "
                f"{percent(errors[best])}.")
    else:
        said = "NOT GIVEN AWAY. The scores do not determine any coefficient."
    subject = "It" if said.startswith("IN DOUBT") else "An attack was run: it"
    return " ".join([said, *_attack(report, subject), *_data_alone(report)])


def _all(d: int) -> str:
    return "its one coefficient" if d == 1 else f"all {d} coefficients"


def _attack(report: AuditReport, subject: str) -> Iterator[str]:
    if not np.isfinite(report.recovered_error):
        return
    missed = (f" missed x by {percent(report.recovered_error)}, where "
              f"{percent(report.predicted_error)} is predicted.")
    if report.prediction_holds and not as_predicted(report.recovered_error,
                                                    report.predicted_error):
        missed = f" found another one, {percent(report.recovered_error)} away."
    yield subject + ("" if report.attack.success else " did not match the scores, and") + missed


def _data_alone(report: AuditReport) -> Iterator[str]:
    """A caution, where scores are not what gives x away."""
    if report.least_squares_error <= min(max(report.predicted_error, 1e-9), GIVEN_AWAY):
        yield ("But A and b tell as much without any scores: least squares misses x by "
               f"{percent(report.least_squares_error)}.")


def published(report: AuditReport) -> str:
    """How the scores are published."""
    how = report.published
    if how.exact:
        return "exact, to double precision"
    if how.decimals is not None:
        s = "" if how.decimals == 1 else "s"
        return f"rounded to {how.decimals} decimal{s} (noise of {how.noise:.1e})"
    if isinstance(how.noise, np.ndarray):
        return f"with noise of {how.noise.min():.1e} to {how.noise.max():.1e}"
    return f"with noise of {how.noise:.1e}"


def facts(report: AuditReport) -> list[tuple[str, str]]:
    """Pairs of what and how it stands."""
    n, d = len(report.scores), len(report.x)
    signs = ", the signs of A x - b" if report.signs_known else ""
    secret = "x" if report.signs_known else "x, nor any sign of A x - b"
    moving = report.null_space.shape[1]
    if report.unique:
        determined = "by exact scores uniquely"
    elif moving:
        determined = (f"up to {moving} direction{'s' if moving > 1 else ''} in which x can move "
                      "with every score unchanged")
    elif not report.decided:
        determined = "in a way that arithmetic could not decide: the scores at x are too inaccurate"
    else:
        determined = "up to a choice: other signs of A x - b fit the scores as well"
    prediction = ("holds" if report.prediction_holds
                  else "does NOT hold: too much noise, or rounding coarser than most scores")
    return [
        ("published", f"{n} leverage scores of diag(1/(A x - b)) A, {published(report)}"),
        ("the attacker has", f"A ({n} x {d}), b{signs}, and knows how the scores were made and "
                             "rounded"),
        ("and has not", f"{secret}; nothing else is known of x beforehand"),
        ("without scores", "least squares of b on A misses x by "
                           f"{percent(report.least_squares_error)}"),
        ("x is determined", determined),
        ("linear prediction", f"{prediction} (departure {report.departure:.1g}, at most "
                              f"{LARGEST_DEPARTURE}; error of the attack at most {LARGEST_MISS:g} "
                              "times the one predicted)"),
        ("attack", f"{report.attack.message} It misses x by {percent(report.recovered_error)}, "
                   f"predicted {percent(report.predicted_error)}"),
    ]


MEANING = """\
Standard errors are the best that any unbiased estimate of x can reach from these scores (the \
Cramér-Rao bound): an attacker's estimate lies within one standard error of the truth in about two \
cases of three, within two in nineteen of twenty. An error of 10 % means: a tenth of the \
coefficient's own size (of a coefficient of 0: of one that moves A x by as much as the slacks \
are). A coefficient that is "not determined" can take any value without any \
score changing. All this is to first order in the noise, and supposes that its errors are \
independent; with very many rows, the intervals that rounded scores stand for tell somewhat more \
than noise of that size. Somebody who knows something of x beforehand needs less. Errors of x as a \
whole count each coefficient by its share in A x (times the root mean square of its column)."""


BEYOND = """\
Where the prediction fails it still is a bound, but out of reach for attacks without other \
knowledge of x: less noise may do. Audit the scores at that precision, and go by the attack."""


def coefficients(report: AuditReport) -> list[tuple[str, ...]]:
    """Rows of a table: name, x, standard error, relative error, what the attack found, its error in
    standard errors.
    """
    found = report.recovered_x - report.x
    return [(report.names[j], f"{report.x[j]:.6g}", *_error(report, j),
             f"{report.recovered_x[j]:.6g}",
             percent(abs(found[j]) / report.sizes[j])) for j in range(len(report.x))]


def _error(report: AuditReport, j: int) -> tuple[str, str]:
    if not np.isfinite(report.standard_errors[j]):
        return "not determined", ""
    return (f"{report.standard_errors[j]:.2g}",
            percent(report.relative_errors[j]))


def levels(report: AuditReport) -> list[tuple[str, ...]]:
    """Rows of a table: target, decimals, noise, whether the prediction holds there."""
    rows: list[tuple[str, ...]] = []
    for target in TARGETS:
        noise, decimals = report.safe_noise(target), report.safe_decimals(target)
        reaches = noise == 0 or (math.isfinite(noise)
                                 and report.departure_at(noise) <= LARGEST_DEPARTURE)
        rows.append((percent(target),
                     "none is safe" if decimals is None else
                     "exact is safe" if math.isinf(decimals) else f"{decimals}",
                     f"{noise:.2g}" if math.isfinite(noise) else "none is safe",
                     "holds" if reaches else "fails"))
    return rows


def influential(report: AuditReport, most: int = SHOWN_ROWS) -> list[tuple[str, ...]]:
    """Rows of a table: label, influence; the largest first."""
    order = np.argsort(-report.row_influence, kind="stable")[:most]
    return [(report.row_label(row), f"{report.row_influence[row]:.3f}") for row in order.tolist()]


def influence_sentence(report: AuditReport) -> str:
    """How much the rows shown make up."""
    total = report.row_influence.sum()
    if total == 0:
        return "No row's score tells anything of x."
    top = np.sort(report.row_influence)[::-1][:SHOWN_ROWS].sum()
    return (f"The first {min(SHOWN_ROWS, len(report.scores))} of {len(report.scores)} rows hold "
            f"{top / total:.0%} of what the scores tell.")


def text(report: AuditReport) -> str:
    """The report for a terminal."""
    table, safe = coefficients(report), levels(report)
    lines = [_filled(verdict(report)), ""]
    lines += [_filled(f"{what + ':':<19}{how}", 19 * " ")
              for what, how in facts(report)]
    lines += ["", *_table(("coefficient", "x", "standard error", "relative", "attack found",
                           "off by"), table[:SHOWN_COEFFICIENTS])]
    if len(table) > SHOWN_COEFFICIENTS:
        lines.append(f"... and {len(table) - SHOWN_COEFFICIENTS} more")
    lines += ["", "To keep every coefficient's standard error above",
              *_table(("", "decimals at most", "or noise at least", "prediction"), safe),
              *([_filled(BEYOND)] if any(row[-1] == "fails" for row in safe) else []),
              "", "Rows whose scores give most away (influence, at most 1)",
              *_table(("row", "influence"), influential(report)),
              _filled(influence_sentence(report)),
              "", _filled(MEANING)]
    return "\n".join(line.rstrip() for line in lines)


def _filled(sentences: str, indent: str = "") -> str:
    """Lines that do not part a figure from its per cent sign."""
    return textwrap.fill(sentences.replace(" %", "\xa0%"), WIDTH,
                         subsequent_indent=indent).replace("\xa0", " ")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [heads, *([shortened(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  " + "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width)
                             for place, (cell, width) in enumerate(zip(row, widths, strict=True)))
            for row in cells]


def shortened(label: str, most: int = 24) -> str:
    """A label of moderate length."""
    return label if len(label) <= most else label[:most - 1] + "…"


def listed(names: Iterable[str], most: int = 6) -> str:
    """Some names of many."""
    names = [shortened(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def percent(fraction: float) -> str:
    """A relative error, readable over many orders of magnitude."""
    if not np.isfinite(fraction):
        return "any amount"
    if fraction == 0:
        return "0 %"
    if fraction < 1e-5:
        return f"{100 * fraction:.0e} %"
    return f"{float(f'{100 * fraction:.2g}'):g} %" if fraction < 10 else f"{100 * fraction:.0e} %"


def as_dict(report: AuditReport) -> dict[str, Any]:
    """Plain numbers, strings, lists and dicts; None for what is not finite."""
    figures: dict[str, Any] = plain({
        "verdict": report.verdict, "published": published(report),
        "decimals": report.published.decimals, "noise": report.published.noise,
        "rows": len(report.scores), "names": report.names,
        "unique": report.unique, "null_space": report.null_space,
        "x": report.x, "standard_errors": report.standard_errors,
        "relative_errors": report.relative_errors, "given_away": report.given_away,
        "predicted_error": report.predicted_error,
        "departure": report.departure, "prediction_holds": report.prediction_holds,
        "recovered_x": report.recovered_x, "recovered_error": report.recovered_error,
        "attack": {"success": report.attack.success, "unique": report.attack.unique,
                   "message": report.attack.message},
        "least_squares_x": report.least_squares_x,
        "least_squares_error": report.least_squares_error,
        "singular_values": report.singular_values, "row_influence": report.row_influence,
        "row_labels": report.row_labels,
        "safe": [{"target": target, "noise": report.safe_noise(target),
                  "decimals": report.safe_decimals(target)} for target in TARGETS]})
    return figures
