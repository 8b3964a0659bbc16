#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox"]
# ///
"""What is checked before a commit is merged, each by a word: ``nox -s tests``.

lint, types, docs, tests, wheel, benchmarks, regressions; ``nox`` alone runs the first four. What
stands after ``--`` is handed to pytest, asv or ruff.
"""

import pathlib
import shutil
import zipfile

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"

SOURCES = {".c", ".h", ".pxd", ".pyx"}
PUBLIC = {"src/levinv/cython_api.pxd"}  # other compiled code needs it
OF_THE_REPOSITORY = (".ci/", ".git", ".pre-commit", ".readthedocs")  # not in the sdist
LARGEST_WHEEL = 3 << 20
# What a wheel can break: compiled modules, the command line, data and metadata.
INSTALLED = [
    "barrier",
    "cli",
    "cython_api",
    "demo",
    "invert_scores",
    "kernels",
    "leverage_map",
    "leverage_scores",
    "many",
    "package",
    "real_data",
    "score_loss",
    "sides",
    "sparse",
    "threads",
]


@nox.session
def lint(session):
    """Style and conventions."""
    session.install(
        "ruff", "cython-lint", "codespell", "sp-repo-review[cli]", "validate-pyproject[all]"
    )
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check", "examples", "noxfile.py")
    session.run("cython-lint", "src", "examples")
    session.run("codespell")
    session.run("sp-repo-review", ".")


@nox.session
def types(session):
    """Are the types consistent, and those of the compiled modules?"""
    session.install(".[test]")
    session.run("python", "-m", "pytest", "tests/test_typing.py", *session.posargs)


@nox.session
def docs(session):
    """The documentation, from nothing, into docs/_build/html."""
    session.install(".[docs]")
    session.run(
        "python",
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-E",
        "-a",
        "docs",
        "docs/_build/html",
        *session.posargs,
    )


@nox.session
def tests(session):
    """The suite, against levinv as it is installed."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(default=False)
def wheel(session):
    """A source distribution and the wheel built from it: what is in them; then ``installed``."""
    session.install("build", "check-wheel-contents", "twine")
    dist = pathlib.Path(session.create_tmp(), "dist")
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist), env={"CFLAGS": "-Werror"})
    session.run("twine", "check", "--strict", *map(str, dist.iterdir()))
    (built,) = dist.glob("*.whl")
    session.run("check-wheel-contents", str(built))
    if built.stat().st_size > LARGEST_WHEEL:
        session.error(f"the wheel has {built.stat().st_size} bytes, more than {LARGEST_WHEEL}")

    tracked = set(session.run("git", "ls-files", external=True, silent=True).splitlines())
    (archive,) = dist.glob("*.tar.gz")
    shutil.unpack_archive(archive, dist)
    unpacked = dist / archive.name.removesuffix(".tar.gz")
    _same(
        session,
        "the sdist",
        {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
        - {"PKG-INFO"},
        {name for name in tracked if not name.startswith(OF_THE_REPOSITORY)} | {".gitignore"},
    )
    _same(
        session,
        "the wheel",
        {
            name
            for name in zipfile.ZipFile(built).namelist()
            if name.startswith("levinv/") and pathlib.Path(name).suffix not in (".so", ".pyd")
        },
        {
            name.removeprefix("src/")
            for name in tracked
            if name.startswith("src/")
            and (name in PUBLIC or pathlib.Path(name).suffix not in SOURCES)
        },
    )
    session.notify("installed", [str(built.resolve()), str(unpacked.resolve())])


@nox.session(default=False)
def installed(session):
    """Rooms of an unpacked sdist against a wheel: ``nox -s installed -- WHEEL DIRECTORY``."""
    built, unpacked = session.posargs
    session.install(f"{built}[test]")
    session.chdir(unpacked)  # whose package is in src, out of reach
    session.run("python", "-c", "import levinv; assert 'site-packages' in levinv.__file__")
    rooms = [f"tests/test_{room}.py" for room in INSTALLED]
    session.run("python", "-m", "pytest", *rooms)


@nox.session(default=False)
def benchmarks(session):
    """Do they run? Their figures mean nothing."""
    session.install(".[benchmark]")
    session.env["HOME"] = session.create_tmp()  # asv describes the machine in a file there
    session.chdir("benchmarks")
    session.run("asv", "machine", "--yes")
    session.run("asv", "check", "--python=same")
    # Those without parameters and the smallest sizes of the others; --quick runs each once.
    session.run(
        "asv",
        "run",
        "--quick",
        "--python=same",
        "--show-stderr",
        *(
            session.posargs
            or [
                "--bench",
                "^[^(]*$",
                "--bench",
                r"\((10|60|100)[,)]",
                "--bench",
                "memory.Hessian",
                "--bench",
                r"(2000, 5|2000, 10|5, 120|'condition 10')\)",
            ]
        ),
    )
    session.run("python", "compare.py", "--quick", "scores 100x5", "hessian 2000x20")


@nox.session(default=False)
def regressions(session):
    """Is HEAD slower than its base? ``nox -s regressions -- main``; some ten minutes."""
    session.install("asv>=0.6.4", "virtualenv>=20")
    session.env["HOME"] = session.create_tmp()
    session.chdir("benchmarks")
    session.run("asv", "machine", "--yes")
    session.run("python", "regressions.py", *session.posargs)


def _same(session, what, found, expected):
    if found != expected:
        session.error(f"{what} lacks {sorted(expected - found)} and has {sorted(found - expected)}")


if __name__ == "__main__":
    nox.main()
