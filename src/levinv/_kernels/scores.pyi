from levinv._typing import Floats

def one_pass(A: Floats, values: Floats | None, weights: bool, greatest_condition: float,
             out: Floats, condition: Floats) -> None: ...
