from levinv._typing import Floats

def gram(
    A: Floats,
    scale: Floats | None,
    transform: Floats | None,
    weights: Floats | None,
    out: Floats,
) -> None: ...
def quad(
    A: Floats,
    scale: Floats | None,
    transform: Floats | None,
    form: Floats | None,
    out: Floats,
) -> None: ...
def moments(
    A: Floats,
    scale: Floats | None,
    transform: Floats | None,
    Y: Floats,
    y_scale: Floats | None,
    out: Floats,
) -> None: ...
def contract(
    A: Floats,
    scale: Floats | None,
    transform: Floats | None,
    forms: Floats,
    out: Floats,
) -> None: ...
def squares(U: Floats, Y: Floats, out: Floats) -> None: ...
def all_finite(values: Floats) -> bool: ...
def limit_tiles(version: int) -> None: ...
def fail_allocation(which: int) -> int: ...
