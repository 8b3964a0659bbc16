"""How a run ends: the exit statuses, and what counts as bad input."""
from __future__ import annotations

import contextlib
from collections.abc import Iterator

SUCCESS = 0
NO_SOLUTION = 1
BAD_INPUT = 2
INTERNAL_ERROR = 70      # EX_SOFTWARE; Python's own 1 for an uncaught exception would read as "no
                         # solution"
INTERRUPTED = 130        # 128 + SIGINT, as a shell reports it
BROKEN_PIPE = 141        # 128 + SIGPIPE

EXPLAINED = f"""\
exit status:
  {SUCCESS:<4} success
  {NO_SOLUTION:<4} no solution: the input is valid, but no x has these scores, or none was found
  {BAD_INPUT:<4} bad input: a wrong option, a file that cannot be read or written, wrong shapes or
       values, more than fits in memory
  {INTERNAL_ERROR:<4} an error in levinv itself
  {INTERRUPTED:<4} interrupted (Ctrl-C)
"""


class InputError(Exception):
    """Bad input. The message is one line and names the file, option or argument."""


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn the library's refusal of an argument into InputError."""
    try:
        yield
    except (ValueError, TypeError) as error:
        # Subclasses, such as LinAlgError, are no refusals of the library's door but failures behind
        # it.
        if type(error) not in (ValueError, TypeError):
            raise
        raise InputError(" ".join(str(error).split())) from error
