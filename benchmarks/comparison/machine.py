"""The machine, the versions of the libraries, and the cores that a measurement may use."""
import contextlib
import importlib.metadata
import os
import pathlib
import platform

LIBRARIES = ("levinv", "numpy", "scipy")
STATUS = pathlib.Path("/proc/self/status")


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
