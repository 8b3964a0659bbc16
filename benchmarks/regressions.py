"""Is this commit slower than its base?

    python benchmarks/regressions.py BASE [COMMIT] [--bench REGEX ...]

asv builds both commits and times the quick set, in turns. Benchmarks that are slower by FACTOR are
timed a second time, in more turns; those that are slower again are regressions: exit status 1.
"""
import argparse
import pathlib
import re
import subprocess
import sys

from benchmarks import environment

HERE = pathlib.Path(__file__).parent
FACTOR = "1.15"
ROUNDS, MORE_ROUNDS = "2", "6"
QUICK = [                               # what users call, at sizes that take milliseconds
    r"scores\.Time\.time_levinv(_slack|_column_major)?\(\((100|2000|20000), ",
    r"scores\.Many\.time_together\(\((100, 5|200, 20)\)",
    r"products\.Time\.time_(scores_at_a_new_point|jvp|vjp)",
    r"hessian\.Loss\.time_(fun_and_grad_at_a_new_point|hess)\(",
    r"gradient\.Derivatives\.time_barrier",
    r"inversion\.Invert\.time_invert\(\((60|2000), ",
    r"throughput\.Many\.time_invert_many",
    r"instructions\.Kernels",              # with Valgrind only
]
SLOWER = re.compile(r"^\|\s*\+\s*\|.*\|\s*([\w.]+(?:\(.*\))?)\s*\|\s*$", re.MULTILINE)


def compare(base, commit, patterns, rounds):
    """The names of the benchmarks that are slower at the commit; prints asv's table."""
    command = ["asv", "continuous", "--factor", FACTOR, "--interleave-rounds", "--show-stderr",
               "--attribute", f"rounds={rounds}"]
    for pattern in patterns:
        command += ["--bench", pattern]
    found = subprocess.run([*command, base, commit], cwd=HERE, text=True, check=False,
                           stdout=subprocess.PIPE, env=environment.without_limits())
    print(found.stdout, flush=True)
    slower = SLOWER.findall(found.stdout)
    if found.returncode not in (0, 1) or (found.returncode and not slower):
        sys.exit(f"asv continuous ended with status {found.returncode}")
    return slower


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", nargs="?", default="main")
    parser.add_argument("commit", nargs="?", default="HEAD")
    parser.add_argument("--bench", action="append", metavar="REGEX", help="in place of the set")
    arguments = parser.parse_args()
    slower = compare(arguments.base, arguments.commit, arguments.bench or QUICK, ROUNDS)
    if slower:
        print(f"A second look at {', '.join(slower)}:", flush=True)
        again = compare(arguments.base, arguments.commit,
                        [f"^{re.escape(name)}$" for name in slower], MORE_ROUNDS)
        slower = [name for name in slower if name in again]
    print(f"Slower than {arguments.base} by {FACTOR}: {', '.join(slower) or 'none'}.")
    sys.exit(1 if slower else 0)


if __name__ == "__main__":
    main()
