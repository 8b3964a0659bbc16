from levinv._typing import Floats

lanes: int

def one_pass(A: Floats, values: Floats, slack: bool, out: Floats, condition: Floats,
             log_det: Floats | None, target: Floats | None, product: Floats | None) -> None: ...
def limit_tiles(version: int) -> None: ...
