"""Time, memory and accuracy beside what a user would write with NumPy and SciPy.

From the folder of asv.conf.json (`--quick` is a smoke test: its times mean nothing):

    asv check --python=same
    asv run --quick --python=same --set-commit-hash $(git rev-parse HEAD)
    asv continuous HEAD~1 HEAD
"""
