"""The machine, the versions of the libraries, BLAS, and the cores that a measurement may use."""
import contextlib
import importlib.metadata
import os
import pathlib
import platform
import sys

import threadpoolctl

from benchmarks import environment

LIBRARIES = ("levinv", "numpy", "scipy")
STATUS = pathlib.Path("/proc/self/status")


def run_without_limits():
    """Start this program again, in its place, if variables limit the instructions of BLAS."""
    limits = environment.limits()
    if limits:
        print(f"Without {', '.join(limits)}, which limit BLAS:", file=sys.stderr, flush=True)
        os.execve(sys.executable, [sys.executable, *sys.argv], environment.without_limits())


def blas():
    """What each BLAS in this process is: owner, name, version and kernel."""
    found = []
    for pool in threadpoolctl.threadpool_info():
        if pool["user_api"] == "blas":
            owner = pathlib.Path(pool["filepath"]).parent.name.removesuffix(".libs")
            found.append(f"{owner}: {pool['internal_api']} {pool['version']} "
                         f"({pool.get('architecture', 'kernel unknown')})")
    return found


def check_threads(threads):
    """Refuse to compare libraries that have different numbers of threads."""
    for pool in threadpoolctl.threadpool_info():
        if pool["user_api"] == "blas" and pool["num_threads"] != threads:
            raise RuntimeError(f"every library must have {threads} threads, {pool['filepath']} has "
                               f"{pool['num_threads']}")


def cores():
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@contextlib.contextmanager
def pinned(threads):
    """Run on the first ``threads`` of the allowed cores, if the system can pin processes."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def one_thread_a_core():
    """Keep the first allowed core for this thread and distribute the other threads over the rest.

    Some schedulers place all threads that have slept on one core and leave them there. Linux only.
    """
    tasks = pathlib.Path("/proc/self/task")
    if not tasks.exists():
        return
    first, *rest = sorted(os.sched_getaffinity(0))
    others = [int(task.name) for task in tasks.iterdir() if int(task.name) != os.getpid()]
    for i, task in enumerate(others):
        os.sched_setaffinity(task, {rest[i % len(rest)]} if rest else {first})
    os.sched_setaffinity(0, {first})


def processor():
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions(names):
    """"name version" of each distribution that is installed."""
    found = []
    for name in dict.fromkeys([*LIBRARIES, *names]):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return found


def resident(field):
    """VmRSS (memory now) or VmHWM (peak memory) of this process, in bytes. Linux only."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise ValueError(f"{STATUS} must have the field {field}")
