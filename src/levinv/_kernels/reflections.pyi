from levinv._typing import Floats

def reflect(basis: Floats, magnitude: Floats, point: Floats, best_signs: Floats, best: float,
            tolerance: float, iterations: int, check_every: int) -> tuple[float, int]: ...
