"""Environment variables that hold BLAS to fewer instructions than the processor has.

BLAS reads them when it is loaded. A comparison under them is not fair: levinv's own kernels choose
their instructions themselves.
"""
import os

LIMITING = ("OPENBLAS_L2_SIZE", "BLIS_ARCH_TYPE", "MKL_ENABLE_INSTRUCTIONS",
            "MKL_DEBUG_CPU_TYPE")


def limits():
    """The variables in force that limit BLAS."""
    return sorted(name for name in os.environ
                  if name in LIMITING or name.endswith("_CORETYPE"))


def without_limits():
    """A copy of the environment without them."""
    return {name: value for name, value in os.environ.items() if name not in limits()}
