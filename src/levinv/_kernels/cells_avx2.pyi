from levinv._kernels.cells import best_points as best_points
from levinv._kernels.cells import descend as descend
