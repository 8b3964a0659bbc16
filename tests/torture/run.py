"""The long command: cases in worker processes that are killed and replaced when one hangs or dies.

    python -m tests.torture --cases 20000 --seed 0 --workers 2
    python -m tests.torture --seed 0 --only 1234             one case again, here
    python -m tests.torture --seed 0 --only 1234 --freeze NAME
                                                             and into tests/regressions/NAME.json
"""
import argparse
import collections
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import sys
import time

SECONDS = 60.0              # from which a case is taken to hang; of many rows
SECONDS_HUGE = 240.0
VERDICTS = "right", "refused", "reported", "failed"
SLOW = 20.0                 # seconds of processor time that are too many


def work(pipe, seed):
    """Cases by index, until there is none."""
    from .calls import one

    while (index := pipe.recv()) is not None:
        start = time.process_time()
        pipe.send((*one(seed, index), time.process_time() - start))


class Worker:
    """A process and the case it is at."""

    def __init__(self, seed):
        self.seed = seed
        self._start()

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=work, args=(other, self.seed), daemon=True)
        self.process.start()
        other.close()
        self.index = None

    def give(self, index):
        self.index, self.since = index, time.monotonic()
        self.pipe.send(index)

    def result(self):
        """The outcome, or one of a crash; the process is then another one."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            out = ("?",), "?", "failed", f"crash, exit code {self.process.exitcode}", 0.0
            self._start()
            return out

    def overdue(self, huge):
        """Whether the case takes too long; then the process is replaced."""
        allowed = SECONDS_HUGE if huge else SECONDS
        if self.index is None or time.monotonic() - self.since < allowed:
            return False
        self.process.kill()
        self.process.join()
        self._start()
        return True


def run(cases, seed, workers, first=0, report=print):
    """Outcomes ((kinds, call, verdict, note, seconds) by index)."""
    from .calls import CALLS, case_call

    queue = collections.deque(range(first, first + cases))
    pool, outcomes, again = [Worker(seed) for _ in range(workers)], {}, set()

    def settle(index, outcome):
        if outcome[4] > SLOW and outcome[1] != "huge n":
            outcome = (*outcome[:2], "failed", f"slow: {outcome[4]:.0f} s", outcome[4])
        outcomes[index] = outcome
        if outcome[2] == "failed":
            report(f"case {index} (--seed {seed} --only {index}): {outcome[1]} "
                   f"{', '.join(outcome[0])}: {outcome[3]}")

    while len(outcomes) < cases:
        for worker in pool:
            if worker.index is None and queue:
                worker.give(queue.popleft())
        ready = multiprocessing.connection.wait([w.pipe for w in pool if w.index is not None], 1.0)
        for worker in pool:
            index = worker.index
            if index is None:
                continue
            if worker.pipe in ready:
                worker.index = None
                settle(index, worker.result())
            elif worker.overdue(case_call(seed, index) == "huge n"):
                if index in again:
                    settle(index, (("?",), case_call(seed, index), "failed", "hang", SECONDS))
                else:                       # a machine that is busy with other work is no hang
                    again.add(index)
                    queue.append(index)
    for worker in pool:
        worker.pipe.send(None)
    assert set(CALLS) >= {outcome[1] for outcome in outcomes.values()} - {"?"}
    return outcomes


def table(outcomes):
    """Counts by call and by kind as lines of Markdown."""
    lines = []
    for title, names_of in (("call", lambda o: (o[1],)), ("kind", lambda o: o[0])):
        counts = collections.Counter()
        for outcome in outcomes.values():
            for name in names_of(outcome):
                counts[name, outcome[2]] += 1
                counts[name, "cases"] += 1
        lines += ["", f"| {title} | cases | {' | '.join(VERDICTS)} |", "|---|" + "---|" * 5]
        for name in sorted({name for name, _ in counts}):
            lines.append(f"| {name} | " + " | ".join(str(counts[name, v])
                                                     for v in ("cases", *VERDICTS)) + " |")
    return lines


def freeze(seed, index, name, wrong):
    """Write a case to tests/regressions/NAME.json."""
    from . import frozen
    from .calls import case

    directory = pathlib.Path(__file__).resolve().parents[1] / "regressions"
    frozen.save(directory / f"{name}.json", case(seed, index), wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", type=int, help="one case, in this process")
    parser.add_argument("--freeze", metavar="NAME", help="write the case of --only to a file")
    args = parser.parse_args()
    if args.freeze is not None and args.only is None:
        parser.error("--freeze needs --only")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if args.only is not None:
        from .calls import one

        outcome = one(args.seed, args.only)
        print(*outcome, sep="\n")
        if args.freeze is not None:
            freeze(args.seed, args.only, args.freeze, outcome[3])
        sys.exit(outcome[2] == "failed")
    start = time.monotonic()
    outcomes = run(args.cases, args.seed, args.workers, args.first,
                   report=lambda line: print(line, flush=True))
    slowest = max(outcomes, key=lambda index: outcomes[index][4])
    count = collections.Counter(outcome[2] for outcome in outcomes.values())
    print(f"{args.cases} cases from {args.first}, seed {args.seed}, "
          f"{time.monotonic() - start:.0f} s, slowest "
          f"{outcomes[slowest][4]:.1f} s (case {slowest}, {outcomes[slowest][1]}): "
          + ", ".join(f"{name} {count[name]}" for name in VERDICTS))
    print("\n".join(table(outcomes)))
    sys.exit(count["failed"] > 0)
