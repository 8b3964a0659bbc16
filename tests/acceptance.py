"""What the inversion promises, measured: one command for each claim, exit status 1 where it does
not hold.

    python tests/acceptance.py signs          unknown signs, random designs
    python tests/acceptance.py unique         `unique` against enumeration of all signs
    python tests/acceptance.py regression     real regressions, exact and rounded scores
    python tests/acceptance.py netlib DIR     linear programs as .npz files (CSR parts and b),
                                              --rescale: badly scaled on top
    python tests/acceptance.py gradient DIR   barrier gradients: random polytopes, the same
                                              linear programs
    python tests/acceptance.py local          the methods that need a starting point
    python tests/acceptance.py sparse [DIR]   sparse against dense: time, memory, and the same
                                              linear programs
    python tests/acceptance.py sketch         approximate scores of very many columns
    python tests/acceptance.py mapped         a matrix in a file: time and memory
    python tests/acceptance.py cluster        a Dask array on worker processes: time
    python tests/acceptance.py audit          attacks on rounded scores against what the audit
                                              predicts
    python tests/acceptance.py models         hat values of random generalised linear models
    python tests/acceptance.py fitted         hat values of regressions fitted by statsmodels
    python tests/acceptance.py sides          `unique` of logistic models against enumeration
    python tests/acceptance.py noise          rounded scores: every x that they allow
    python tests/acceptance.py intervals      rounded scores: errors of x, by least squares and at
                                              the centre of the intervals
    python tests/acceptance.py speed          small calls of models against the weights 1/s²
    python tests/acceptance.py large          200 000 rows: time, in that of the scores, and memory
    python tests/acceptance.py regressions    a slowdown planted in a copy: does
                                              benchmarks/regressions.py see it?
"""
import argparse
import sys

from acceptance_rooms.audit import audit
from acceptance_rooms.cluster import cluster
from acceptance_rooms.gradient import gradient
from acceptance_rooms.intervals import intervals
from acceptance_rooms.large import large
from acceptance_rooms.local import local
from acceptance_rooms.mapped import mapped
from acceptance_rooms.models import fitted, models, sides
from acceptance_rooms.noise import noise
from acceptance_rooms.real import netlib, regression
from acceptance_rooms.regressions import regressions
from acceptance_rooms.signs import signs, unique
from acceptance_rooms.sketch import sketch
from acceptance_rooms.sparse import sparse
from acceptance_rooms.speed import speed


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for claim in (signs, unique, regression, netlib, gradient, local, large, sparse, sketch,
                  mapped, cluster, audit, models, fitted, sides, noise, intervals,
                  speed, regressions):
        command = commands.add_parser(claim.__name__, help=claim.__doc__.replace("%", "%%"))
        command.set_defaults(run=claim)
        command.add_argument("-v", "--verbose", action="store_true")
        command.add_argument("--repeats", type=int, default=5)
        command.add_argument("--cases", type=int, default=300)
        if claim is netlib:
            command.add_argument("--rescale", action="store_true",
                                 help="rows and columns over six orders of magnitude")
        if claim in (netlib, gradient):
            command.add_argument("directory")
        if claim is sparse:
            command.add_argument("directory", nargs="?")
    args = parser.parse_args()
    held = args.run(args)
    sys.exit(0 if held is None or held else 1)         # None: a report without a claim


if __name__ == "__main__":
    main()
