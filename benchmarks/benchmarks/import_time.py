"""Imports in a new interpreter: levinv imports the parts of a call when it is first asked for."""


def timeraw_import_scores():
    return "from levinv import leverage_scores"


def timeraw_import_inversions():
    return "from levinv import audit, invert_gradient, invert_many, invert_scores"


def timeraw_import_dependencies():
    """What of it is NumPy and SciPy."""
    return "import numpy, scipy.linalg, scipy.optimize, threadpoolctl"
