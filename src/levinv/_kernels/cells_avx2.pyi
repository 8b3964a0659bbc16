from levinv._kernels.cells import best_points as best_points
from levinv._kernels.cells import descend as descend
from levinv._kernels.cells import misfits as misfits
from levinv._kernels.cells import sign_changes as sign_changes
