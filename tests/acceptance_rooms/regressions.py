"""A slowdown planted in a copy of the repository: is it caught, and nothing else?"""
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = r"scores\.Time\.time_levinv\(\((100|2000), "


def regressions(args):
    """benchmarks/regressions.py names a call that sums 3000 more numbers and ends with status 1."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "copy")
        subprocess.run(["git", "clone", "--quiet", ROOT, copy], check=True)
        front = copy / "src/levinv/forward/leverage.py"
        text = front.read_text(encoding="utf-8")
        planted, count = re.subn(r"(\n        one, condition = np\.empty[^\n]*\n)",
                                 r"\1        sum(range(3000))\n", text)
        front.write_text(planted, encoding="utf-8")
        for command in (["config", "user.name", "levinv"], ["config", "user.email", "levinv@"],
                        ["commit", "--quiet", "--all", "--message", "A slowdown"]):
            subprocess.run(["git", *command], cwd=copy, check=True)
        benchmarks = copy / "benchmarks"
        subprocess.run(["asv", "machine", "--yes"], cwd=benchmarks, check=True,
                       stdout=subprocess.DEVNULL)
        found = subprocess.run(
            [sys.executable, "regressions.py", "HEAD~1", "HEAD", "--bench", BENCH],
            cwd=benchmarks, check=False, text=True, stdout=subprocess.PIPE)
        print(found.stdout.splitlines()[-1])
        return count == 1 and found.returncode == 1 and "time_levinv((100, 5))" in found.stdout
