"""The tables of the comparison, in Markdown."""
import dataclasses

from benchmarks import environment

from . import machine


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    seconds: float
    error: float | None


def seconds(value):
    unit, scale = next(((unit, scale) for unit, scale in (("s", 1.0), ("ms", 1e-3))
                        if value >= scale), ("µs", 1e-6))
    return f"{value / scale:.3g} {unit}"


def table(head, rows, words):
    """A table in Markdown: the first ``words`` columns hold words, the others numbers."""
    lines = [head, ["---"] * words + ["---:"] * (len(head) - words), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def work_table(work, kind, threads, rows, floor, extras):
    """The section of one work: heading, rows from the fastest to the slowest, floor, extras."""
    base = next((row.seconds for row in rows if row.name == kind.base), None)
    lines = [[row.name, seconds(row.seconds), f"{row.seconds / base:.2f}" if base else "–",
              "–" if row.error is None else f"{row.error:.2g}"]
             for row in sorted(rows, key=lambda row: row.seconds)]
    if floor:
        lines.append(["floor", seconds(floor), f"{floor / base:.2f}" if base else "–", "–"])
    out = (f"## {kind.title}: {work.n} x {work.d}, {threads} thread{'s' * (threads > 1)}\n\n"
           + table([work.kind, "time", f"ratio to {kind.base}", kind.measure], lines, 1))
    for name, (value, unit) in extras.items():
        out += f"\n{name[0].upper()}{name[1:]}: {value:.2f} {unit}.\n"
    return out


def promise_table(judged):
    """The table of promises; ``judged`` holds (promise, ratio) for the works that were run."""
    rows = [[promise.work, promise.text, promise.bound,
             "not measured" if ratio is None else "yes" if promise.holds(ratio) else "NO",
             "–" if ratio is None else f"{ratio:.3g}"]
            for promise, ratio in judged]
    head = ["work", "quantity", "promised", "holds", "measured"]
    return "## Promises\n\n" + table(head, rows, 4)


def introduction(command, rates, peers, notes):
    """Machine, versions and method; ``rates`` maps a number of threads to the rate of dgemm.

    Refuses while variables limit BLAS.
    """
    if environment.limits():
        raise RuntimeError(f"{', '.join(environment.limits())} must not be set: they limit BLAS")
    speeds = ", ".join(f"{rate / 1e9:.1f} Gflop/s on {threads} thread{'s' * (threads > 1)}"
                       for threads, rate in rates.items())
    return f"""# levinv beside other libraries

Written by `{command}`.

- Machine: {machine.processor()}, {machine.cores()} cores. `dgemm` of 1500 x 1500 in the same run:
  {speeds}.
- {", ".join(machine.versions(peer.distribution for peer in peers))}.
- BLAS, with all instructions of the processor: {"; ".join(machine.blas())}.
- Times are medians of interleaved repeats. All libraries run in one process, on the same cores and
  with the same number of threads. The time to compile, and to move data to a library's own arrays,
  is not counted.
- The floor is the time of 2 n d² flops (Hessian: 2 n d³) at the rate of `dgemm`.
- Scores are compared with 50-digit values if n d² is at most a million, otherwise with Householder
  QR. The Hessian and the gradient are compared with a formula in NumPy. A recovered x is compared
  with the true x.
""" + "".join(f"- {note}\n" for note in notes)
