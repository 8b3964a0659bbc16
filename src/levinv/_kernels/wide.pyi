from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from levinv._typing import Floats

_Optional: TypeAlias = Floats | None
_Order: TypeAlias = npt.NDArray[np.intp] | None

def leading_entries(matrix: Floats) -> npt.NDArray[np.intp]: ...
def folded(form: Floats) -> Floats: ...
def image(A: Floats, scale: _Optional, order: _Order, transform: _Optional, triangular: bool,
          out: Floats) -> None: ...
def strip(u: Floats, v: Floats, first: int, last: int, out: Floats) -> None: ...
def quad(A: Floats, scale: _Optional, order: _Order, transform: _Optional, triangular: bool,
         form: _Optional, out: Floats) -> None: ...
