"""Compare levinv with other libraries.

    python benchmarks/compare.py                        everything
    python benchmarks/compare.py --quick "scores 20"    works whose name contains "scores 20"
    python benchmarks/compare.py sweep                  scores over shapes, orders and threads
    python benchmarks/compare.py --check                exit status 1 if a promise does not hold
    python benchmarks/compare.py --write docs/comparison.md

To install the other libraries: python -m pip install ".[peers]". Missing libraries are left out.
The program starts itself again without variables that limit the instructions of BLAS.
comparison/works.py defines the works, comparison/peers.py the calls of the other libraries and
comparison/promises.py the promises.
"""
import argparse
import pathlib
import shlex
import sys

import numpy as np
import threadpoolctl

from comparison import machine, report, sweep, timing
from comparison.peers import PEERS
from comparison.promises import PROMISES
from comparison.works import KINDS, WORKS

DGEMM = "dgemm"


def prepare(kind, problem):
    """The calls of levinv and of the peers by name, and notes on missing libraries."""
    makers = KINDS[kind].calls | {peer.name: peer.calls[kind] for peer in PEERS
                                  if kind in peer.calls}
    calls, notes = {}, []
    for name, make in makers.items():
        try:
            calls[name] = make(problem)
        except ImportError as error:
            notes.append(f"{name} left out ({error}).")
    return calls, notes


def judge(calls, kind, known):
    """Call each once and return its error by name, if the answer is known."""
    errors = {}
    for name, call in calls.items():
        found = call()
        answer = known.get(name) if isinstance(known, dict) else known
        if answer is not None and name != DGEMM:
            errors[name] = kind.error(found, answer)
    return errors


def run(work, threads, budget, fewest):
    """Return measured values by name, the table, notes, and the rate of dgemm."""
    kind = KINDS[work.kind]
    with machine.pinned(threads):
        problem = kind.problem(work.n, work.d)
        problem.threads = threads
        calls, notes = prepare(work.kind, problem)
        calls[DGEMM] = timing.square_product()
        with threadpoolctl.threadpool_limits(threads):
            machine.check_threads(threads)
            errors = judge(calls, kind, kind.known(problem))
            alone = {} if threads == 1 else timing.medians({DGEMM: calls.pop(DGEMM)}, 1, 1.0, 3)
            took = timing.medians(calls, threads, budget, fewest) | alone
        extras = kind.extras(work.n, work.d) if kind.extras else {}
    rate = timing.DGEMM_FLOPS / took.pop(DGEMM)
    rows = [report.Row(name, value / kind.per, errors.get(name)) for name, value in took.items()]
    values = {row.name: row.seconds for row in rows}
    values |= {f"{name}: {kind.measure}": error for name, error in errors.items()}
    values |= {name: value for name, (value, _) in extras.items()}
    if kind.flops:
        values["floor"] = kind.flops(work.n, work.d) / rate
    return values, report.work_table(work, kind, threads, rows, values.get("floor"), extras), \
        notes, rate


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", nargs="*", metavar="work", help="works whose name contains this")
    parser.add_argument("--quick", action="store_true", help="few repeats")
    parser.add_argument("--check", action="store_true",
                        help="exit status 1 if a promise does not hold")
    parser.add_argument("--threads", type=int, default=1, help="for every library (default 1)")
    parser.add_argument("--write", type=pathlib.Path, metavar="FILE", help="write Markdown to FILE")
    arguments = parser.parse_args()
    machine.run_without_limits()
    swept = not arguments.works or "sweep" in arguments.works
    chosen = [work for work in WORKS if not arguments.works
              or any(part in work.name for part in arguments.works)]
    if arguments.threads < 1:
        parser.error(f"--threads must be at least 1, got {arguments.threads}")
    if not chosen and not swept:
        parser.error(f"no such work; there are sweep, {', '.join(work.name for work in WORKS)}")
    budget, fewest = (1.0, 3) if arguments.quick else (8.0, 5)

    print("\n".join(machine.blas()))
    measured, tables, notes, rates, lines = {}, [], [], {}, []
    for work in chosen:
        threads = work.threads or arguments.threads
        if threads > machine.cores():
            notes.append(f"{work.name} left out: it needs {threads} cores.")
            continue
        measured[work.name], text, missing, rate = run(work, threads, budget, fewest)
        print(text, flush=True)
        tables.append(text)
        notes += missing
        rates.setdefault(threads, []).append(rate)
    if swept:
        lines = sweep.measure_all([threads for threads in (1, 2) if threads <= machine.cores()],
                                  budget / 4, 3)
        for line in lines:
            rates.setdefault(line.threads, []).append(line.rate)
        tables.append(sweep.table(lines))
        print(tables[-1])
    names = {work.name for work in chosen}
    judged = [(promise, promise.ratio(measured.get(promise.work, {}))) for promise in PROMISES
              if promise.work in names]
    promises = report.promise_table(judged) if judged else ""
    notes = list(dict.fromkeys(notes))
    print("\n".join([promises, *notes]))
    if arguments.write:
        command = shlex.join(["python", "benchmarks/compare.py", *sys.argv[1:]])
        rates = {threads: float(np.median(found)) for threads, found in rates.items()}
        arguments.write.write_text(
            "\n".join([report.introduction(command, rates, PEERS, notes), promises, *tables]),
            encoding="utf-8")
    broken = not all(line.holds for line in lines) or any(
        ratio is not None and not promise.holds(ratio) for promise, ratio in judged)
    sys.exit(1 if arguments.check and broken else 0)


if __name__ == "__main__":
    main()
