"""Real regressions and linear programs."""
import pathlib
import time

import numpy as np

import levinv
import limits
from acceptance_rooms.sparse import dense_program
from designs import regression_sets


def regression(args):
    """Exact to 1e-8; rounded within 3x the Cramér-Rao bound where the bound is below 20 %."""
    within = cases = 0
    exact = True
    for name, A, b in regression_sets():
        x = np.linalg.lstsq(A, b, rcond=None)[0]
        c = levinv.LeverageMap(A, b).scores(x)
        result = levinv.invert_scores(A, b, c, rng=0)
        exact &= limits.relative_error(result.x, x) <= 1e-8
        unit = np.linalg.norm(A, axis=0) / np.linalg.norm(A @ x)   # error in the scale of fitted
                                                                   # values
        line = (f"{name:10} {A.shape!s:10} exact {limits.relative_error(result.x, x):.1e} (scaled "
                f"{limits.relative_error(unit * result.x, unit * x):.1e}) unique {result.unique} |")
        for decimals in (8, 6, 5, 4, 3):
            noise = 10.0 ** -decimals / np.sqrt(12)
            start = time.perf_counter()
            rounded = levinv.invert_scores(A, b, c.round(decimals), noise=noise, rng=0)
            took = time.perf_counter() - start
            bound = np.linalg.norm(limits.bound_at(A, b, x, noise)) / np.linalg.norm(x)
            error = limits.relative_error(rounded.x, x)
            counted = bound < 0.2
            cases += counted
            within += counted and error <= 3 * bound
            line += (f" {decimals}: {error:.1e}/{bound:.1e}{'' if counted else '-'}"
                     f"{'' if error <= 3 * bound else '*'} {took:.1f}s")
        print(line, flush=True)
    print(f"within 3x the Cramér-Rao bound: {within} of {cases} ({100 * within / cases:.1f} %)")
    return exact and within >= 0.95 * cases


def netlib(args):
    """Known signs, random x: scores to 1e-8, x to the larger of 1e-6 and 100x the information
    limit.
    """
    held = True
    for path in sorted(pathlib.Path(args.directory).glob("*.npz")):
        A, b = program = dense_program(path)
        good = 0
        worst = worst_ratio = slowest = 0.0
        notes = set()
        for seed in range(args.repeats):
            rng = np.random.default_rng([seed, 7])
            x = rng.standard_normal(A.shape[1])
            if args.rescale:
                rows = 10.0 ** rng.uniform(-3, 3, len(b))
                columns = 10.0 ** rng.uniform(-3, 3, len(x))
                A, b, x = program[0] * rows[:, None] * columns, program[1] * rows, x / columns
            slack = A @ x - b
            c = levinv.LeverageMap(A, b).scores(x)
            start = time.perf_counter()
            result = levinv.invert_scores(A, b, c, signs=np.where(slack < 0, -1, 1), rng=0)
            slowest = max(slowest, time.perf_counter() - start)
            error = limits.relative_error(result.x, x, result.null_space)
            null = limits.exact_null_dimension(A, b, x)
            limit = limits.information_limit(A, b, x, c, null) / np.linalg.norm(x)
            fit = np.abs(result.scores - c).max()
            ok = (fit <= 1e-8 and error <= max(1e-6, 100 * limit)
                  and result.null_space.shape[1] == null)
            good += ok
            worst = max(worst, error)
            worst_ratio = max(worst_ratio, error / limit)
            if not ok:
                notes.add(f"seed {seed}: fit {fit:.1e} error {error:.1e} limit {limit:.1e} "
                          f"null {result.null_space.shape[1]}/{null} {result.message}")
        print(f"{path.stem:9} {A.shape!s:11} {good}/{args.repeats} worst error {worst:.1e} "
              f"({worst_ratio:.1f}x the limit) null {null} unique {result.unique} slowest "
              f"{slowest:.2f} s", flush=True)
        for note in sorted(notes):
            print("   ", note)
        held &= good == args.repeats
    return held
