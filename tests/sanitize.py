"""The suite with kernels that stop at memory errors and undefined behaviour, in one command.

    python tests/sanitize.py                            everything, about six minutes
    python tests/sanitize.py tests/test_invert_many.py  what pytest is told

Builds the extension with AddressSanitizer and UndefinedBehaviorSanitizer (GCC or Clang on Linux)
into an environment of its own, which takes all else from the one it is called in. A finding ends
the process it is made in, pytest or one that a test started; reports of all come at the end. Exit
status 0 if there are none and pytest has passed.
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).parent.parent


def environment(folder):
    """Its interpreter, and its folder of packages. What a path file names is on sys.path, but path
    files there are not obeyed: an editable levinv stays out.
    """
    venv.create(folder, with_pip=False)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = folder / "lib" / version / "site-packages"
    outer = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (packages / "outer.pth").write_text("\n".join(outer))
    return folder / "bin" / "python", packages


def runtime(name):
    """Path of a library of the compiler's."""
    compiler = os.environ.get("CC", "cc")
    found = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True,
                           check=True).stdout.strip()
    if not os.path.isabs(found):
        raise SystemExit(f"{compiler} has no {name}")
    return found


def main(arguments):
    with tempfile.TemporaryDirectory() as folder:
        python, packages = environment(pathlib.Path(folder))
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
                        "--target", packages, "-Ccmake.define.LEVINV_SANITIZE=ON",
                        "-Cinstall.strip=false", ROOT], check=True)
        reports = pathlib.Path(folder) / "reports"
        reports.mkdir()
        options = f"log_path={reports}/report:log_exe_name=0"
        settings = {
            # The interpreter itself is not built so. SciPy throws in C++, which is looked for when
            # AddressSanitizer starts.
            "LD_PRELOAD": " ".join(runtime(name) for name in ("libasan.so", "libstdc++.so")),
            # an interpreter frees little at its exit; a test asks for more memory than there is
            "ASAN_OPTIONS": (f"{options}:detect_leaks=0:detect_stack_use_after_return=1"
                             ":allocator_may_return_null=1"),
            "UBSAN_OPTIONS": f"{options}:print_stacktrace=1",
            "PYTHONMALLOC": "malloc",          # objects, too, stand between poisoned bytes
        }
        status = subprocess.run([python, "-m", "pytest", "-n0", *arguments], cwd=ROOT,
                                env=os.environ | settings, check=False).returncode
        found = [report.read_text() for report in sorted(reports.iterdir())]
        found = [text for text in found if "ERROR" in text or "runtime error" in text]
        print("", *found, f"{len(found)} reports of the sanitizers", sep="\n")
        return status or len(found) > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
