"""The command ``levinv``: its arguments, and how it ends.

Each sub-command is a module of this package: demo, scores, invert, audit. A module is imported when
its sub-command runs, so that --help and usage errors are fast. inputs.py reads what a sub-command
needs. files.py, delimited.py, parquet.py and matrix_market.py read and write files, tables.py says
what a table is, progress.py shows progress, status.py holds the exit statuses.
"""
import argparse
import contextlib
import enum
import importlib
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn, Self, TypeAlias

from levinv.cli.status import EXPLAINED, ExitStatus, InputError

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

FILES = """\
files:
  matrices and vectors are read from .npy, .csv or .tsv (each also with .gz), .npz (sparse, as
  scipy.sparse.save_npz writes it), .mtx (Matrix Market), and .parquet (needs pyarrow). A vector may
  be stored as one row or one column. A matrix in .npy is not loaded and may be larger than memory.
  Output goes to .npy or .csv; it is written completely or not at all. Only --force overwrites a
  file.
  The name - stands for a .csv at the standard input or output.

  The first line of a .csv may hold names. A first column without a name, as pandas and R write it,
  holds labels of the rows. A vector with labels (the coefficients as params.to_csv() writes them)
  is put in the order of the labels of A; labels that A has not are an error. Lines that begin with
  # are skipped. True is 1, False is 0. A missing value is an error that names its line and column.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status. Wrong usage raises SystemExit (status 2)."""
    given = sys.argv[1:] if argv is None else list(argv)
    parser = _parser(_Mode.of(given))
    if not given:
        parser.print_help(sys.stderr)
        parser.exit(ExitStatus.BAD_INPUT)
    arguments = parser.parse_args(given)
    _replace_what_a_stream_cannot_encode()
    try:
        with _warnings_in_one_line():
            _check_standard_input(arguments)
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


def _replace_what_a_stream_cannot_encode() -> None:
    """Write characters that the console or a redirected stream cannot encode as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


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


class _Mode(enum.Enum):
    """Which arguments are positional: argparse cannot leave out one that stands between others."""

    SLACK = enum.auto()            # A b x, of the weights 1/(A x - b)²
    WEIGHTED = enum.auto()         # A x: b is an option, and so is an offset
    DATA = enum.auto()             # A: all vectors are its columns

    @classmethod
    def of(cls, given: Sequence[str]) -> Self:
        """The mode of these arguments."""
        options = {argument.partition("=")[0] for argument in given}
        if options & {"--response", "--scores"}:
            return cls(cls.DATA)
        return cls(cls.WEIGHTED if options & {"--weighting", "--family"} else cls.SLACK)


def _check_standard_input(arguments: argparse.Namespace) -> None:
    read = [name for name, value in vars(arguments).items()
            if value == "-" and name not in ("output", "delimiter")]
    if len(read) > 1:
        raise InputError(f"{' and '.join(read)} cannot both be read from the standard input")


WITHOUT_B = "\n\nWith --weighting or --family there is no argument b: {} --family binomial ..."
OF_DATA = ("\nWith {} all comes from one file with names in its first line:\n{}\n"
           "The design is a column of ones and the other columns, or those of --columns.")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        column = {"levinv audit": "--response", "levinv invert": "--scores"}.get(self.prog)
        if column and message.startswith("the following arguments are required"):
            message += f" (of a regression on columns of A: {column} COLUMN --family FAMILY)"
        super().error(message)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"levinv {version('levinv')}")
        parser.exit()


def _parser(mode: _Mode = _Mode.SLACK) -> argparse.ArgumentParser:
    """The arguments of all sub-commands."""
    parser = _add_parser(
        _Parser, prog="levinv",
        description="Leverage scores of a matrix, and the way back: find x from the leverage "
                    "scores\nof diag(1/(A x - b)) A, or the coefficients of a regression from its "
                    "hat values.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_scores(commands)
    _add_invert(commands, mode)
    _add_audit(commands, mode)
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
                    "diag(1/(A x - b)) A, or the hat values of a regression with coefficients x."
                    + OF_DATA.format("--response", "levinv scores data.csv --response y --family "
                                     "binomial -o hat.csv"))
    add, scale = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    add("A", help="n x d matrix")
    scale("--slack", metavar="FILE", help="divide each row by its slack")
    scale("--weights", metavar="FILE", help="multiply each row by the square root of its weight")
    scale("--b", metavar="FILE", help="with --x: the slack is A x - b")
    scale("--offset", metavar="FILE", help="with --x: the offset of the regression, -b; with "
                                           "--response the name of a column")
    add("--x", metavar="FILE", help="with --b or --weighting")
    _add_fit(parser)
    _add_weighting(parser)
    add("--method", choices=("auto", "cholesky", "qr", "sketch"), default="auto",
        help="cholesky is fastest, qr most accurate, sketch gives random estimates for a sparse A "
             "of very many columns (default auto: cholesky, or qr if accuracy needs it)")
    add("--rtol", type=float, metavar="R",
        help="with sketch: relative standard error (default 0.1)")
    add("--seed", type=count,
        help="with sketch: seed of the estimates (default: from the system)")
    _add_table(parser)
    _add_output(parser, "the scores")


def _add_invert(commands: Commands, mode: _Mode) -> None:
    parser = _add_parser(
        commands.add_parser, "invert", help="find x from leverage scores",
        description="Find x such that diag(1/(A x - b)) A has the given leverage scores, or the "
                    "coefficients\nof a regression with the given hat values, and say whether it "
                    "is the only one. If there\nis no solution, no file is written."
                    + WITHOUT_B.format("levinv invert A scores")
                    + OF_DATA.format("--scores", "levinv invert data.csv --scores hat --family "
                                     "binomial -o x.csv"),
        more="--json:\n  numbers that are not finite, such as the standard error of a coefficient "
             "that the\n  scores do not determine, are null. \"alternatives\" holds other x that "
             "have these scores.\n")
    add, accuracy = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    add("A", help="n x d matrix")
    _add_b(parser, mode)
    if mode is not _Mode.DATA:
        add("scores", help="vector of length n")
    add("--scores", metavar="COLUMN", dest="data", help="the column of A that holds the scores")
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
    _add_table(parser)
    _add_output(parser, "x")


def _add_audit(commands: Commands, mode: _Mode) -> None:
    parser = _add_parser(
        commands.add_parser, "audit", help="what published leverage scores give away",
        description="What the leverage scores of diag(1/(A x - b)) A, or the hat values of a "
                    "regression, reveal of\nx once they are published: the standard error of each "
                    "coefficient, the result of an\nattack, and how much rounding or noise "
                    "protects x. The exit status does not depend on\nwhat the audit finds."
                    + WITHOUT_B.format("levinv audit A x")
                    + OF_DATA.format("--response", "levinv audit data.csv --response y --family "
                                     "binomial --decimals 4"),
        more="--json:\n  \"given_away\" says for each coefficient whether it is known to within "
             "10 %; numbers\n  that are not finite are null.\n")
    add, accuracy = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    add("A", help="n x d matrix; names in the first line of a .csv are kept")
    _add_b(parser, mode)
    if mode is not _Mode.DATA:
        add("x", help="vector of length d that may have to stay secret")
    _add_fit(parser)
    _add_weighting(parser)
    accuracy("--decimals", type=count, metavar="K",
             help="the scores are to be rounded to K decimals")
    accuracy("--noise", type=float, metavar="SD",
             help="standard deviation of the noise that is to be added to the scores")
    add("--signs", metavar="positive|negative|FILE",
        help="signs of the slacks A x - b, if an attacker knows them")
    add("--html", metavar="FILE",
        help="write the report as one HTML page, with pictures if matplotlib is installed")
    _add_table(parser)
    add("--force", action="store_true", help="overwrite an existing page")
    add("--json", action="store_true", help="one JSON object on stdout instead of the text")


def _add_b(parser: argparse.ArgumentParser, mode: _Mode) -> None:
    """b, an argument of the weights 1/s²; with other weights it is an option, or an offset is."""
    add = parser.add_mutually_exclusive_group().add_argument
    if mode is _Mode.WEIGHTED:
        add("--b", metavar="FILE", help="vector of length n")
    elif mode is _Mode.SLACK:
        parser.add_argument("b", help="vector of length n; left out with --weighting or --family")
    else:
        parser.set_defaults(b=None)
    add("--offset", metavar="FILE", help="with --weighting: the offset of the regression, -b; of "
                                         "one file of data the name of a column")


def _add_fit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--response", metavar="COLUMN",
                        help="the column of A that holds the response: levinv fits the regression "
                             "of --family to it")


def _add_table(parser: argparse.ArgumentParser) -> None:
    """How a table of text is read."""
    group = parser.add_argument_group("options of tables (.csv, .tsv, .parquet)")
    add, index = group.add_argument, group.add_mutually_exclusive_group().add_argument
    add("--columns", metavar="NAME,...", help="the columns of the design, in this order; a name "
        "that holds a comma in double quotes")
    add("--intercept", action=argparse.BooleanOptionalAction,
        help="a first column of ones in the design; with --response, and with scores in a column, "
             "it is there unless --no-intercept is given")
    add("--header", action=argparse.BooleanOptionalAction,
        help="the first line holds names, even if they are numbers; without either option it "
             "holds names if none of them is a number")
    index("--index", metavar="COLUMN",
          help="the column that holds the labels of the rows: its name, or its number from 1")
    index("--no-index", dest="index", action="store_false", default=None,
          help="no column holds labels")
    add("--delimiter", metavar="D", type=delimiter,
        help="what divides the columns: a character, tab or space (default: a comma, in .tsv a "
             "tab)")
    add("--decimal", choices=(".", ","), default=".", metavar="MARK",
        help="the decimal mark (default .)")


def _add_weighting(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--weighting", metavar="FAMILY[:LINK]",
        help="a regression: binomial, poisson, gamma, gaussian, inverse-gaussian, "
             "negative-binomial or tweedie, with its canonical link or another one "
             "(binomial:probit); or power:Q for weights |A x - b|^-Q")
    add("--family", metavar="FAMILY", help="the family of --weighting by itself")
    add("--link", metavar="LINK", help="with --family: its link (default: the canonical one)")
    add("--alpha", type=float, metavar="ALPHA", help="with negative-binomial (default 1)")
    add("--power", type=float, metavar="P", help="with tweedie: the variance is mean^P")
    add("--prior-weights", metavar="FILE",
        help="known factors of the weights, such as numbers of trials; of one file of data the "
             "name of a column")


def _add_parser(add: Callable[..., argparse.ArgumentParser], *args: str, more: str = "",
                **kwargs: str) -> argparse.ArgumentParser:
    return add(*args, **kwargs, epilog="\n".join(filter(None, [more, FILES, EXPLAINED])),
               allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)


def _add_output(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", required=True,
                        help=f"where to write {what}: .npy or .csv, with labels in .csv if A has "
                             "them")
    parser.add_argument("--force", action="store_true", help="overwrite an existing output file")
    parser.add_argument("-q", "--quiet", action="store_true", help="no summary and no progress")


def count(text: str) -> int:
    """A whole number of at least 0; argparse shows the name of this function in its errors."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {value}")
    return value


def delimiter(text: str) -> str:
    """A character, or the word for one; argparse shows the name of this function in its errors."""
    named = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}.get(text, text)
    if len(named) != 1 or named.isalnum() or named in '"#.-+\r\n':
        raise argparse.ArgumentTypeError(f"must be one character, tab or space, got {text!r}")
    return named
