"""Calls leave no memory behind; ``python tests/leaks.py`` makes a hundred times as many."""
import os
import subprocess
import sys

import pytest

import leaks


@pytest.mark.skipif(not hasattr(leaks.LIBRARY, "mallinfo2") or "asan" in
                    os.environ.get("LD_PRELOAD", ""), reason="memory is not counted")
def test_a_thousand_calls_leave_no_memory_behind():
    done = subprocess.run([sys.executable, leaks.__file__, "1000", str(1 << 16)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
