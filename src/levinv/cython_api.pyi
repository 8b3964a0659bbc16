from typing import Any

from levinv._typing import Floats

__pyx_capi__: dict[str, Any]      # the functions, as capsules with their signatures

def barrier_at(A: Floats, b: Floats, x: Floats, heaviest: float, gradient: Floats,
               hessian: Floats) -> float: ...
