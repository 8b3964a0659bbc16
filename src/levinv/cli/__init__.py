"""The command ``levinv``: its arguments, and how it ends.

Each sub-command is a module of this package: demo, scores, invert, audit. A module is imported when
its sub-command runs, so that --help and usage errors are fast. files.py and matrix_market.py read
and write vectors and matrices, progress.py shows progress, status.py holds the exit statuses.
"""
import argparse
import contextlib
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from levinv.cli.status import EXPLAINED, ExitStatus, InputError

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

FILES = """\
files:
  matrices and vectors are read from .npy, .npz (sparse, as scipy.sparse.save_npz writes it), .csv
  (commas, with or without names in the first line) and .mtx (Matrix Market). A vector may be stored
  as one row or one column. A matrix in .npy is not loaded and may be larger than memory. Output
  goes to .npy or .csv; it is written completely or not at all. Only --force overwrites a file.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status. Wrong usage raises SystemExit (status 2)."""
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser(any(_is_weighting(argument) for argument in given)).parse_args(given)
    try:
        with _warnings_in_one_line():
            command = importlib.import_module(f"levinv.cli.{arguments.command}")
            ended: ExitStatus = command.run(arguments)
        sys.stdout.flush()
        return ended
    except InputError as error:
        return _end(ExitStatus.BAD_INPUT, f"error: {error}")
    except MemoryError as error:
        return _end(ExitStatus.BAD_INPUT, f"error: more than fits in memory: {error}")
    except KeyboardInterrupt:
        return _end(ExitStatus.INTERRUPTED, "interrupted")
    except BrokenPipeError:
        # The reader has closed the pipe. Without this, flushing at exit would raise again.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.BROKEN_PIPE
    except Exception:
        traceback.print_exc()
        return _end(ExitStatus.INTERNAL_ERROR, "this is an error in levinv; please report it")


def _end(ended: ExitStatus, message: str) -> ExitStatus:
    print(f"levinv: {message}", file=sys.stderr)
    return ended


@contextlib.contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Show each warning as one line, without the source line that raised it."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(f"levinv: warning: {message}",
                                                         file=sys.stderr)
        yield


WITHOUT_B = "\n\nWith --weighting there is no argument b: {} --weighting binomial ..."


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"levinv {version('levinv')}")
        parser.exit()


def _is_weighting(argument: str) -> bool:
    return argument == "--weighting" or argument.startswith("--weighting=")


def _parser(weighted: bool = False) -> argparse.ArgumentParser:
    """The arguments. With a weighting, b is an option: argparse cannot leave out a positional
    argument that stands between others.
    """
    parser = _add_parser(
        argparse.ArgumentParser, prog="levinv",
        description="Leverage scores of a matrix, and the way back: find x from the leverage "
                    "scores\nof diag(1/(A x - b)) A, or the coefficients of a regression from its "
                    "hat values.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_scores(commands)
    _add_invert(commands, weighted)
    _add_audit(commands, weighted)
    return parser


def _add_demo(commands: Commands) -> None:
    add = _add_parser(
        commands.add_parser, "demo",
        help="recover a regression from its hat values, on real data",
        description="Recover the coefficients of a real logistic regression from the design and "
                    "the\nhat values only; then those of a linear model from the scores of rows "
                    "divided by\nresiduals. Exact, and rounded to a few decimals."
    ).add_argument
    add("--seed", type=count, default=0, help="seed of everything random (default 0)")
    add("--json", action="store_true", help="one JSON object on stdout instead of the table")


def _add_scores(commands: Commands) -> None:
    parser = _add_parser(
        commands.add_parser, "scores", help="leverage scores of a matrix",
        description="Leverage scores of A, of diag(1/slack) A, of diag(sqrt(weights)) A, of\n"
                    "diag(1/(A x - b)) A, or the hat values of a regression with coefficients x.")
    add, scale = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    add("A", help="n x d matrix")
    scale("--slack", metavar="FILE", help="divide each row by its slack")
    scale("--weights", metavar="FILE", help="multiply each row by the square root of its weight")
    scale("--b", metavar="FILE", help="with --x: the slack is A x - b")
    scale("--offset", metavar="FILE", help="with --x: the offset of the regression, -b")
    add("--x", metavar="FILE", help="with --b or --weighting")
    _add_weighting(parser)
    add("--method", choices=("auto", "cholesky", "qr", "sketch"), default="auto",
        help="cholesky is fastest, qr most accurate, sketch gives random estimates for a sparse A "
             "of very many columns (default auto: cholesky, or qr if accuracy needs it)")
    add("--rtol", type=float, metavar="R",
        help="with sketch: relative standard error (default 0.1)")
    add("--seed", type=count,
        help="with sketch: seed of the estimates (default: from the system)")
    _add_output(parser, "the scores")


def _add_invert(commands: Commands, weighted: bool) -> None:
    parser = _add_parser(
        commands.add_parser, "invert", help="find x from leverage scores",
        description="Find x such that diag(1/(A x - b)) A has the given leverage scores, or the "
                    "coefficients\nof a regression with the given hat values, and say whether it "
                    "is the only one. If there\nis no solution, no file is written."
                    + WITHOUT_B.format("levinv invert A scores"),
        more="--json:\n  numbers that are not finite, such as the standard error of a coefficient "
             "that the\n  scores do not determine, are null. \"alternatives\" holds other x that "
             "have these scores.\n")
    add, accuracy = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    add("A", help="n x d matrix")
    _add_response(parser, weighted)
    add("scores", help="vector of length n")
    _add_weighting(parser)
    add("--signs", metavar="positive|negative|FILE",
        help="signs of the slacks A x - b, if known: all equal, or a vector")
    add("--coefficient-signs", metavar="FILE",
        help="with --weighting: known signs of x, 0 where unknown")
    add("--x0", metavar="FILE", help="a first guess at x")
    accuracy("--noise", type=float, metavar="SD", help="standard deviation of the scores' error")
    accuracy("--decimals", type=count, metavar="K",
             help="the scores are rounded to K decimals: --noise 10**-K/sqrt(12)")
    add("--method", default="global", help="as in levinv.invert_scores (default global)")
    add("--tol", type=float, default=1e-8,
        help="largest score error of a solution, without noise (default 1e-8)")
    add("--maxiter", type=count, help="largest number of iterations of a stage")
    add("--seed", type=count, help="seed of the random starts (default: from the system)")
    add("--json", action="store_true", help="one JSON object on stdout instead of the summary")
    _add_output(parser, "x")


def _add_audit(commands: Commands, weighted: bool) -> None:
    parser = _add_parser(
        commands.add_parser, "audit", help="what published leverage scores give away",
        description="What the leverage scores of diag(1/(A x - b)) A, or the hat values of a "
                    "regression, reveal of\nx once they are published: the standard error of each "
                    "coefficient, the result of an\nattack, and how much rounding or noise "
                    "protects x. The exit status does not depend on\nwhat the audit finds."
                    + WITHOUT_B.format("levinv audit A x"),
        more="--json:\n  \"given_away\" says for each coefficient whether it is known to within "
             "10 %; numbers\n  that are not finite are null.\n")
    add, accuracy = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    add("A", help="n x d matrix; names in the first line of a .csv are kept")
    _add_response(parser, weighted)
    add("x", help="vector of length d that may have to stay secret")
    _add_weighting(parser)
    accuracy("--decimals", type=count, metavar="K",
             help="the scores are to be rounded to K decimals")
    accuracy("--noise", type=float, metavar="SD",
             help="standard deviation of the noise that is to be added to the scores")
    add("--signs", metavar="positive|negative|FILE",
        help="signs of the slacks A x - b, if an attacker knows them")
    add("--html", metavar="FILE",
        help="write the report as one HTML page, with pictures if matplotlib is installed")
    add("--force", action="store_true", help="overwrite an existing page")
    add("--json", action="store_true", help="one JSON object on stdout instead of the text")


def _add_response(parser: argparse.ArgumentParser, weighted: bool) -> None:
    """b, an argument of the weights 1/s²; with other weights it is an option, or an offset is."""
    add = parser.add_mutually_exclusive_group().add_argument
    if weighted:
        add("--b", metavar="FILE", help="vector of length n")
    else:
        parser.add_argument("b", help="vector of length n; left out with --weighting")
    add("--offset", metavar="FILE", help="with --weighting: the offset of the regression, -b")


def _add_weighting(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--weighting", metavar="FAMILY[:LINK]",
        help="a regression: binomial, poisson, gamma, gaussian, inverse-gaussian, "
             "negative-binomial or tweedie, with its canonical link or another one "
             "(binomial:probit); or power:Q for weights |A x - b|^-Q")
    add("--alpha", type=float, metavar="ALPHA", help="with negative-binomial (default 1)")
    add("--power", type=float, metavar="P", help="with tweedie: the variance is mean^P")
    add("--prior-weights", metavar="FILE",
        help="known factors of the weights, such as numbers of trials")


def _add_parser(add: Callable[..., argparse.ArgumentParser], *args: str, more: str = "",
                **kwargs: str) -> argparse.ArgumentParser:
    return add(*args, **kwargs, epilog="\n".join(filter(None, [more, FILES, EXPLAINED])),
               allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)


def _add_output(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", required=True,
                        help=f"where to write {what}: .npy or .csv")
    parser.add_argument("--force", action="store_true", help="overwrite an existing output file")
    parser.add_argument("-q", "--quiet", action="store_true", help="no summary and no progress")


def count(text: str) -> int:
    """A whole number of at least 0; argparse shows the name of this function in its errors."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {value}")
    return value
