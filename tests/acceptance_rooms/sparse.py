"""What is promised of sparse A, measured: a command of acceptance.py, and the process in which
memory is measured.
"""
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import scipy.sparse

import levinv

SHAPE, ENTRIES = (200_000, 300), 6
FASTER, COPIES = 8.0, 10.0


def sparse(args):
    """200 000 x 300, six entries a row: scores at least 8 times as fast as dense where one pass
    will do, in memory of at most 10 times the matrix and d²; linear programs: scores to 1e-9,
    inversion the same.
    """
    rng = np.random.default_rng(3)
    columns = np.argsort(rng.random((SHAPE[0], SHAPE[1])), axis=1)[:, :ENTRIES].copy()
    A = scipy.sparse.csr_array(
        (rng.standard_normal(columns.size), columns.ravel(),
         np.arange(0, columns.size + 1, ENTRIES)), shape=SHAPE)
    A.sort_indices()
    held = faster(A, rng, args.repeats)
    held &= memory(A)
    if args.directory is not None:
        for path in sorted(pathlib.Path(args.directory).glob("*.npz")):
            held &= program(path, args.repeats)
    return held


def faster(A, rng, repeats):
    dense, held, n = A.toarray(), True, A.shape[0]
    for name, given, least in (
            ("plain", {}, FASTER), ("slack", {"slack": rng.uniform(0.5, 2.0, n)}, FASTER),
            # κ beyond the reach of one pass: the second one takes n d², sparse or not
            ("slack near 0", {"slack": rng.exponential(size=n)}, 1.0)):
        times, found = ([], []), [None, None]
        for _ in range(repeats):
            for which, matrix in enumerate((A, dense)):
                start = time.perf_counter()
                found[which] = levinv.leverage_scores(matrix, **given)
                times[which].append(time.perf_counter() - start)
        ratio = np.median(times[1]) / np.median(times[0])
        difference = np.abs(found[0] - found[1]).max()
        held &= bool(ratio >= least and difference <= 1e-9)
        print(f"scores, {name:12} {1e3 * np.median(times[0]):.1f} ms, "
              f"{ratio:.1f}x as fast as dense, difference {difference:.1e}", flush=True)
    return held


def memory(A):
    own = A.data.nbytes + A.indices.nbytes + A.indptr.nbytes
    with tempfile.TemporaryDirectory() as directory:
        for name in ("data", "indices", "indptr"):
            np.save(pathlib.Path(directory) / f"{name}.npy", getattr(A, name))
        grown = int(subprocess.run([sys.executable, "-P", __file__, directory], check=True,
                                   capture_output=True, text=True).stdout)
    allowed = COPIES * own + 8 * SHAPE[1] ** 2
    print(f"memory {(own + grown) / 2 ** 20:.0f} MiB with the matrix, which takes "
          f"{own / 2 ** 20:.0f}: {(own + grown) / own:.1f} times; {allowed / 2 ** 20:.0f} allowed")
    return own + grown <= allowed


def program(path, repeats):
    """One linear program, random x, signs known."""
    A, b = linear_program(path)
    dense, held = A.toarray(), True
    worst_score = worst_x = 0.0
    for seed in range(repeats):
        x = np.random.default_rng([seed, 7]).standard_normal(A.shape[1])
        slack = dense @ x - b
        c = levinv.leverage_scores(dense, slack=slack)
        for given in ({}, {"slack": slack}):
            worst_score = max(worst_score, np.abs(levinv.leverage_scores(A, **given)
                                                  - levinv.leverage_scores(dense, **given)).max())
        first, second = (levinv.invert_scores(matrix, b, c, signs=np.where(slack < 0, -1, 1), rng=0)
                         for matrix in (A, dense))
        null = second.null_space
        same = (first.success == second.success and first.unique == second.unique
                and first.null_space.shape == null.shape
                and np.linalg.norm(first.null_space - null @ (null.T @ first.null_space)) <= 1e-8)
        difference = first.x - second.x
        difference -= null @ (null.T @ difference)
        worst_x = max(worst_x, np.linalg.norm(difference) / np.linalg.norm(x))
        held &= bool(same)
    held &= bool(worst_score <= 1e-9 and worst_x <= 1e-6)
    print(f"{path.stem:9} {A.shape!s:11} scores {worst_score:.1e} x {worst_x:.1e} "
          f"{'same' if held else 'DIFFERENT'}", flush=True)
    return held


def linear_program(path):
    """A in CSR, and b."""
    with np.load(path) as parts:
        A = scipy.sparse.csr_array((parts["data"], parts["indices"], parts["indptr"]),
                                   shape=parts["shape"])
        return A, parts["b"]


def dense_program(path):
    """A in full, and b."""
    A, b = linear_program(path)
    return A.toarray(), b


def peak():
    """The most memory this process has held, in bytes."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise OSError("/proc/self/status does not tell the peak of memory")


def grown(directory):
    """How far the scores of the matrix in a directory raise it."""
    levinv.leverage_scores(scipy.sparse.eye_array(9, 3, format="csr"))
    A = scipy.sparse.csr_array(
        tuple(np.load(pathlib.Path(directory) / f"{name}.npy")
              for name in ("data", "indices", "indptr")), shape=SHAPE)
    before = peak()
    levinv.leverage_scores(A)
    return peak() - before


if __name__ == "__main__":
    print(grown(sys.argv[1]))
