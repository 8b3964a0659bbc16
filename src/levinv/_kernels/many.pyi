import numpy as np
import numpy.typing as npt

from levinv._typing import Floats, Integers

RECORDS: int

def has_avx2() -> bool: ...
def invert(A: Floats, b: Floats, scores: Floats, signs: Floats | None, noise: Floats | None,
           log_prior: Floats | None, seeds: npt.NDArray[np.uint64], kind: int, parameters: Floats,
           table: Floats, tol: float, most: float, compared: bool, x: Floats, fun: Floats,
           nit: Integers, solved: npt.NDArray[np.uint8], records: Floats) -> None: ...
def weights(A: Floats, scores: Floats, tol: float, out: Floats) -> float: ...
def stages(A: Floats, b: Floats, scores: Floats, signs: Floats | None, noise: Floats | None,
           seed: int, tol: float, kind: int = ..., parameters: Floats | None = ...,
           table: Floats | None = ...) -> dict[str, Floats]: ...
