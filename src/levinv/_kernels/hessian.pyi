from levinv._typing import Floats

def row_terms(
    U: Floats,
    B: Floats,
    scores: Floats,
    residual: Floats,
    first: int,
    last: int,
    out: Floats,
) -> None: ...
def short(
    U: Floats,
    B: Floats,
    UK: Floats,
    residual: Floats,
    square_diagonal: Floats,
    curvature_diagonal: Floats,
    out: Floats,
) -> None: ...
def tall(
    A: Floats,
    scale: Floats | None,
    transform: Floats | None,
    inverse_slack: Floats,
    forms: Floats,
    scores: Floats,
    residual: Floats,
    diagonal: Floats,
    out: Floats,
    cross: Floats,
) -> None: ...
