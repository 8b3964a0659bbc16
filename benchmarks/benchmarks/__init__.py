"""Time, memory and accuracy of levinv, and of what a user would write with NumPy and SciPy.

Run these commands in the folder of asv.conf.json. `--quick` is a smoke test: its times mean
nothing.

    asv check --python=same
    asv run --quick --python=same --set-commit-hash $(git rev-parse HEAD)
    asv continuous HEAD~1 HEAD
"""
import os

from . import environment

for _name in environment.limits():      # before NumPy loads BLAS
    del os.environ[_name]
