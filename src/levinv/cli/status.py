"""How a run ends: the exit statuses, and what counts as bad input."""
import contextlib
import enum
import re
from collections.abc import Iterator


class ExitStatus(enum.IntEnum):
    """The exit statuses of ``levinv``."""

    SUCCESS = 0
    NO_SOLUTION = 1
    BAD_INPUT = 2
    INTERNAL_ERROR = 70      # EX_SOFTWARE; Python's 1 for an uncaught exception means no solution
    INTERRUPTED = 130        # 128 + SIGINT, as a shell reports it
    BROKEN_PIPE = 141        # 128 + SIGPIPE


EXPLAINED = f"""\
exit status:
  {ExitStatus.SUCCESS:<4} success
  {ExitStatus.NO_SOLUTION:<4} no solution: the input is valid, but no x has these scores, or
       none was found
  {ExitStatus.BAD_INPUT:<4} bad input: a wrong option, a file that cannot be read or written,
       wrong shapes or values, or more than fits in memory
  {ExitStatus.INTERNAL_ERROR:<4} an error in levinv itself
  {ExitStatus.INTERRUPTED:<4} interrupted (Ctrl-C)
"""


OPTIONS = (            # what the library's messages say of its arguments; an option for each
    (r"give decimals=(\d+)", r"give --decimals \1"),
    (r"give noise=np\.spacing\(np\.float32\(scores\)\) / 12\*\*0\.5", "give --noise 1.7e-8"),
    (r"try options=\{'restarts': \.\.\.\}, or give noise", "try another --seed, or give noise"),
    (r" \(or give noise, large in these? rows?\)| \(or give noise, large in this row\)", ""),
    (r"or give (?:this|these) rows? a larger noise", "or give a larger --noise"),
    (r"give noise\b", "give --decimals or --noise"),
)


class InputError(Exception):
    """Bad input. The message is one line and names the file, option or argument."""


@contextlib.contextmanager
def input_errors() -> Iterator[None]:
    """Raise InputError if the library refuses an argument."""
    try:
        yield
    except (ValueError, TypeError) as error:
        # Subclasses, such as LinAlgError, come from a failure inside the library.
        if type(error) not in (ValueError, TypeError):
            raise
        raise InputError(in_options(" ".join(str(error).split()))) from error


def in_options(message: str) -> str:
    """A message of the library with the options of the command line in place of its arguments."""
    for argument, option in OPTIONS:
        message = re.sub(argument, option, message)
    return message
