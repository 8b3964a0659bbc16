from levinv._typing import Floats

def best_points(matrix: Floats, offset: Floats, scores: Floats, weight: Floats,
                log_prior: Floats | None, kind: int, parameters: Floats, parts: Floats,
                capacity: int) -> tuple[Floats, Floats]: ...
def descend(matrix: Floats, offset: Floats, scores: Floats, weight: Floats,
            log_prior: Floats | None, kind: int, parameters: Floats, y: Floats, misfit: Floats,
            limit: float, hopeless: float, in_cell: bool) -> None: ...
def sign_changes(matrix: Floats, offset: Floats, scores: Floats, weight: Floats,
                 log_prior: Floats | None, kind: int, parameters: Floats, y: Floats,
                 limit: float) -> tuple[Floats, int]: ...
