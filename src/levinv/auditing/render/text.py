"""The audit in words, for the person who decides whether the scores are published."""
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from levinv._json import plain
from levinv._screen import WIDTH, aligned
from levinv._tolerances import EPS, GIVEN_AWAY, LARGEST_DEPARTURE, SIGNIFICANT
from levinv.auditing.figures import AuditFigures, Level, as_predicted
from levinv.auditing.render.words import choice, known, published, signs, words

LABEL_WIDTH = 24                                # of facts
SHOWN_COEFFICIENTS, SHOWN_ROWS = 30, 10
TARGETS = (0.01, 0.1, 0.5)
SMALLEST_SAID, LARGEST_SAID = 1e-5, 10.0        # errors that are stated as numbers
AS_THEY_ARE = (                                 # attributes that as_dict copies
    "weighting", "names", "unique", "null_space", "alternatives", "x", "standard_errors",
    "predicted_errors", "half_widths", "relative_errors", "given_away", "predicted_error",
    "departure", "prediction_holds", "recovered_x", "recovered_error", "least_squares_x",
    "least_squares_error", "singular_values", "row_influence", "row_labels")

NOISE = """\
The standard errors are the Cramér-Rao bound: with independent normal errors, no unbiased estimate \
of {x} from these {scores} has smaller ones. An attacker's estimate lies within one standard error \
of the truth in about two cases of three, and within two in nineteen of twenty."""

ROUNDING = """\
A rounded {score} is off by at most half a unit. The predicted error of a coefficient is the \
smaller of two. One is how far it can move to either side of a centre, within an ellipsoid in \
which every {score} stays the same when rounded: from these alone, nobody can tell the points \
inside it apart. The other is the standard error for normal errors of the same size (Cramér-Rao \
bound). The error of an attack is typically one to two times as large as predicted."""

MEANING = """\
An error of 10 % is a tenth of the coefficient's own size. For a coefficient of 0 the size is the \
one that moves {predictor} by as much as {predictors} are. A coefficient that is "not determined" \
can take any value without any {score} changing. The prediction holds to first order in the \
errors of the {scores}. An attacker who knows something of {x} beforehand gets closer. The error \
of {x} as a whole counts each coefficient by its share in {predictor} (times the root mean square \
of its column)."""

BEYOND = """\
The bound can prove that {scores} are safe, but not that they are not: where the prediction fails, \
no attack without other knowledge of {x} need come close to the bound, and less noise may be \
enough. Audit the {scores} at that precision, and judge by the error of the attack."""
NONE = "none is safe by the bound"

SETTLED = ("A single fact settles the choice, such as the sign of one coefficient (an intercept "
           "below zero: the event is rare).")
FACTOR = ("up to one common factor. A single fact settles the factor, such as the mean of the "
          "responses.")


def filled(template: str, figures: AuditFigures) -> str:
    """A template in the words of this report."""
    return template.format_map(vars(words(figures)))


def meaning(figures: AuditFigures) -> str:
    """What the figures mean."""
    return filled(f"{NOISE if figures.published.decimals is None else ROUNDING} {MEANING}", figures)


def error_name(figures: AuditFigures) -> str:
    """What the errors of coefficients are."""
    return "standard error" if figures.published.decimals is None else "predicted error"


def heads(figures: AuditFigures) -> tuple[str, ...]:
    """The heads of the table of coefficients."""
    return ("coefficient", words(figures).value, error_name(figures), "relative", "attack found",
            "off by")


def verdict(figures: AuditFigures) -> str:
    """The conclusion of the audit."""
    return ". ".join(verdict_parts(figures))


def verdict_parts(figures: AuditFigures) -> tuple[str, str]:
    """The level in capitals, and the sentences that explain it."""
    level, errors, said_of = figures.level, figures.relative_errors, words(figures)
    heading = level.upper()
    if level is Level.IN_DOUBT:
        said = _doubt(figures)
    elif level in (Level.GIVEN_AWAY, Level.PARTLY_GIVEN_AWAY):
        if figures.up_to_signs:
            heading += f" {choice(figures)}"
        said = _given_away(figures)
    elif np.isfinite(errors).any():
        best = int(np.argmin(errors))
        heading += " to within 10 %"
        said = (f"The coefficient best known ({shortened(figures.names[best])}) has a "
                f"{error_name(figures)} of {percent(errors[best])}.")
    else:
        said = f"The {said_of.scores} do not determine any coefficient."
    missed, predicted = figures.recovered_error, figures.predicted_error
    if level is not Level.IN_DOUBT and np.isfinite(missed):
        said += " An attack was run: it"
        if figures.prediction_holds and not as_predicted(missed, predicted):
            other = "other coefficients" if figures.setting.regression else "another x"
            said += f" found {other}, {percent(missed)} away."
        else:
            said += ("" if figures.attack.success else f" did not match the {said_of.scores}, and")
            said += (f" missed {said_of.x} by {percent(missed)}, where {percent(predicted)} is "
                     "predicted.")
    if not figures.setting.regression and (
            figures.least_squares_error <= min(max(predicted, math.sqrt(EPS)), GIVEN_AWAY)):
        said += (" Note: A and b alone reveal as much. Ordinary least squares is already within "
                 f"{percent(figures.least_squares_error)} of x.")
    return heading, said


def _doubt(figures: AuditFigures) -> str:
    """What is known if the prediction fails: what the bound leaves open, and what was found.

    The bound is a lower limit of errors, reached only where the prediction holds. So it can prove
    that scores are safe, but not that they are not. Only an attack that succeeds proves that.
    """
    said_of, d = words(figures), len(figures.x)
    if figures.departure > LARGEST_DEPARTURE:
        reason = "The noise is too large for the prediction"
    elif not figures.attack.success:
        reason = f"The attack did not match the {said_of.scores}"
    else:
        reason = "The attack does worse than predicted"
    possible = int(np.count_nonzero(figures.relative_errors <= GIVEN_AWAY))
    found = (f"found {_found(figures)} to within 10 % ({_names(figures)})"
             if figures.given_away.any() else "found no coefficient to within 10 %")
    missed = (f", and missed {said_of.x} by {percent(figures.recovered_error)}"
              if np.isfinite(figures.recovered_error) else "")
    limit = (f"A better attack may find up to {possible} of {d}, by the bound of "
             f"{percent(figures.predicted_error)}."
             if possible > np.count_nonzero(figures.given_away) else
             "By the bound, no attack finds more of them but by chance.")
    without = (f" Ordinary least squares, without the scores, misses x by only "
               f"{percent(figures.least_squares_error)}." if not figures.setting.regression
               and figures.least_squares_error < figures.recovered_error else "")
    return (f"{reason}, so it is not known how much of {said_of.x} can be found. The attack that "
            f"was run {found}{missed}. {limit}{without}")


def _given_away(figures: AuditFigures) -> str:
    """The sentences of the verdict if something is given away."""
    d, holds = len(figures.x), words(figures).holds
    regression, found = figures.setting.regression, _found(figures)
    every = "its one coefficient" if d == 1 else f"all {d} coefficients"
    if figures.level is Level.GIVEN_AWAY:
        if not regression:
            return f"Whoever has {holds} finds x from these scores, {every} to within 10 %."
        said = f"Whoever has {holds} finds {every}, to within 10 %, from the {published(figures)}."
        return said.replace("its one", "the one") + (f" {SETTLED}" if figures.up_to_signs else "")
    if figures.ratios_given_away:
        return f"Whoever has {holds} finds the coefficients to within 10 % {FACTOR}"
    if figures.up_to_signs:
        return f"Whoever has {holds} finds {found} to within 10 %: {_names(figures)}. {SETTLED}"
    if figures.unique or figures.null_space.shape[1]:
        return f"Whoever has {holds} finds {found} to within 10 %: {_names(figures)}."
    few = ("A few vectors of coefficients have these hat values" if regression
           else "A few x have these scores, which differ in the signs of A x - b")
    return f"{few}; for the right one {found} are known to within 10 %."


def _found(figures: AuditFigures) -> str:
    return f"{np.count_nonzero(figures.given_away)} of {len(figures.x)} coefficients"


def _names(figures: AuditFigures) -> str:
    return listed([figures.names[j] for j in np.flatnonzero(figures.given_away)])


def publication(figures: AuditFigures) -> str:
    """How the scores are published."""
    how = figures.published
    if how.exact:
        return "exact, to double precision"
    if how.decimals is not None:
        s = "" if how.decimals == 1 else "s"
        return f"rounded to {how.decimals} decimal{s} (noise of {how.noise:.1e})"
    if isinstance(how.noise, np.ndarray):
        return f"with noise of {how.noise.min():.1e} to {how.noise.max():.1e}"
    return f"with noise of {how.noise:.1e}"


def facts(figures: AuditFigures) -> list[tuple[str, str]]:
    """Pairs of a label and the text under it."""
    said_of, regression = words(figures), figures.setting.regression
    prediction = ("holds" if figures.prediction_holds
                  else "does NOT hold: too much noise, or rounding coarser than most "
                  f"{said_of.scores}")
    which = f", {signs(figures)}" if figures.signs_known else ""
    secret = f"{said_of.x}, any response" if regression else "x"
    if not figures.signs_known and (figures.up_to_signs or not regression):
        secret += (" or the sign of any linear predictor" if regression
                   else " or any sign of A x - b")
    right = ""
    if figures.up_to_signs:
        right = f", with the right {'sign' if 'sign' in choice(figures) else 'choice'},"
    others = len(figures.attack.alternatives)
    if others and not figures.up_to_signs:
        right += f", with the nearest of {others + 1} x that explain the {said_of.scores},"
    return [
        ("published", f"{len(figures.scores)} {published(figures)}, {publication(figures)}"),
        ("attacker knows", f"{known(figures)}{which}, and how the {said_of.scores} were made and "
                           "rounded"),
        ("attacker does not know", f"{secret}, or anything else about "
                                   + ("the model" if regression else "x")),
        *([] if regression else [("without scores", "least squares of b on A misses x by "
                                  f"{percent(figures.least_squares_error)}")]),
        ("determined" if regression else "x is determined", _determined(figures)),
        ("linear prediction", f"{prediction} (departure {figures.departure:.1g}, at most "
                              f"{LARGEST_DEPARTURE}; error of the attack at most {SIGNIFICANT:g} "
                              "times the predicted one)"),
        ("attack", f"{figures.attack.message} It misses {said_of.x}{right} by "
                   f"{percent(figures.recovered_error)}, predicted "
                   f"{percent(figures.predicted_error)}"),
    ]


def _determined(figures: AuditFigures) -> str:
    moving, said_of = figures.null_space.shape[1], words(figures)
    if figures.unique:
        return f"uniquely, by exact {said_of.scores}"
    if said_of.scores == "hat values" and math.isfinite(figures.direction_error):
        return ("up to one common factor, which no hat value shows; for the right factor the "
                f"{error_name(figures)} is {percent(figures.direction_error)}")
    if moving:
        return (f"up to {moving} direction{'s' if moving > 1 else ''} in which {said_of.x} can "
                f"move with every {said_of.score} unchanged")
    if not figures.decided:
        return f"undecided: the {said_of.scores} at {said_of.x} are too inaccurate to tell"
    if figures.up_to_signs:
        return f"{choice(figures)}, which no {said_of.score} shows"
    if figures.setting.regression:
        return "up to a choice: other coefficients fit the hat values as well"
    return "up to a choice: other signs of A x - b fit the scores as well"


def coefficients(figures: AuditFigures) -> list[tuple[str, ...]]:
    """Rows of the table with these ``heads``."""
    columns = (figures.names, figures.x, figures.predicted_errors, figures.relative_errors,
               figures.recovered_x, np.abs(figures.recovered_x - figures.x) / figures.sizes)
    return [(name, f"{x:.6g}",
             *((f"{error:.2g}", percent(relative, brief=True)) if np.isfinite(error) else
               ("not determined", "")),
             f"{found:.6g}", percent(missed, brief=True))
            for name, x, error, relative, found, missed in zip(*columns, strict=True)]


def levels(figures: AuditFigures) -> list[tuple[str, ...]]:
    """Rows of a table: target, decimals, noise, whether the prediction holds there."""
    rows: list[tuple[str, ...]] = []
    for target in TARGETS:
        noise, decimals = figures.safe_noise(target), figures.safe_decimals(target)
        reaches = noise == 0 or (math.isfinite(noise)
                                 and figures.departure_at(noise) <= LARGEST_DEPARTURE)
        rows.append((percent(target),
                     NONE if decimals is None else
                     "exact is safe" if math.isinf(decimals) else f"{decimals}",
                     f"{noise:.2g}" if math.isfinite(noise) else NONE,
                     "holds" if reaches else "fails"))
    return rows


def influential(figures: AuditFigures, most: int = SHOWN_ROWS) -> list[tuple[str, ...]]:
    """Rows of a table: label, influence; the largest first."""
    order = np.argsort(-figures.row_influence, kind="stable")[:most]
    return [(figures.row_label(row), f"{figures.row_influence[row]:.3f}") for row in order.tolist()]


def influence_sentence(figures: AuditFigures) -> str:
    """A sentence on the share of the rows that are shown."""
    total = figures.row_influence.sum()
    if total == 0:
        return f"No row's {words(figures).score} reveals anything of {words(figures).x}."
    top = np.sort(figures.row_influence)[::-1][:SHOWN_ROWS].sum()
    return (f"The first {min(SHOWN_ROWS, len(figures.scores))} of {len(figures.scores)} rows hold "
            f"{top / total:.0%} of what the {words(figures).scores} reveal.")


def text(figures: AuditFigures) -> str:
    """The report for a terminal."""
    table, safe = coefficients(figures), levels(figures)
    lines = [_filled(verdict(figures)), ""]
    lines += [_filled(f"{label + ':':<{LABEL_WIDTH}}{fact}", LABEL_WIDTH * " ")
              for label, fact in facts(figures)]
    lines += ["", *_table(heads(figures), table[:SHOWN_COEFFICIENTS])]
    if len(table) > SHOWN_COEFFICIENTS:
        lines.append(f"... and {len(table) - SHOWN_COEFFICIENTS} more")
    beyond = any(row[-1] == "fails" for row in safe)
    lines += ["", "To keep every coefficient's predicted error above",
              *aligned(("", "decimals at most", "or noise at least", "prediction"), safe),
              *([_filled(filled(BEYOND, figures))] if beyond else []),
              "", f"Rows whose {words(figures).scores} give most away (influence, at most 1)",
              *_table(("row", "influence"), influential(figures)),
              _filled(influence_sentence(figures)),
              "", _filled(meaning(figures))]
    return "\n".join(line.rstrip() for line in lines)


def _filled(sentences: str, indent: str = "") -> str:
    """The sentences broken into lines, never between a number and its per cent sign."""
    return textwrap.fill(sentences.replace(" %", "\xa0%"), WIDTH,
                         subsequent_indent=indent).replace("\xa0", " ")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return aligned(heads, [[shortened(cell) for cell in row] for row in rows])


def shortened(label: str, most: int = 24) -> str:
    """A label of moderate length."""
    return label if len(label) <= most else label[:most - 1] + "…"


def listed(names: Iterable[str], most: int = 6) -> str:
    """Some names of many."""
    names = [shortened(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def percent(fraction: float, brief: bool = False) -> str:
    """A relative error without powers of ten, ``brief`` in a narrow table."""
    if not np.isfinite(fraction):
        return "any amount"
    if fraction < SMALLEST_SAID:             # which of rounding errors is exactly 0 is chance
        return f"{'<' if brief else 'less than'} {100 * SMALLEST_SAID:g} %"
    if fraction > LARGEST_SAID:
        return f"{'>' if brief else 'more than'} {100 * LARGEST_SAID:g} %"
    return f"{float(f'{100 * fraction:.2g}'):g} %"


def as_dict(figures: AuditFigures) -> dict[str, Any]:
    """Plain numbers, strings, lists and dicts; None replaces inf and NaN."""
    numbers: dict[str, Any] = plain({
        "verdict": verdict(figures), "published": publication(figures),
        "decimals": figures.published.decimals, "noise": figures.published.noise,
        "rows": len(figures.scores), **{name: getattr(figures, name) for name in AS_THEY_ARE},
        "attack": {name: figures.attack[name] for name in ("success", "unique", "message")},
        "safe": [{"target": target, "noise": figures.safe_noise(target),
                  "decimals": figures.safe_decimals(target)} for target in TARGETS]})
    return numbers
