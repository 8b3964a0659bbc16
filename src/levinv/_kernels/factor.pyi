import numpy as np
import numpy.typing as npt

from levinv._typing import Floats

def triangular_inverse_factor(gram: Floats) -> tuple[Floats, float]: ...
def gram_inverse_factor(gram: Floats, tolerance: float) -> tuple[Floats, int, float]: ...
def pivoted_qr(
    matrix: Floats
) -> tuple[Floats, npt.NDArray[np.int32] | npt.NDArray[np.int64], int]: ...
