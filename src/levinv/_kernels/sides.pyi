from levinv._typing import Floats

def sign_vectors(matrix: Floats, tolerance: Floats, most: int, trials: int,
                 shown: int) -> tuple[Floats, int]: ...
