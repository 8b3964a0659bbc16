"""Time of imports in a new interpreter: levinv imports a function when it is first used."""


def timeraw_import_scores():
    return "from levinv import leverage_scores"


def timeraw_import_inversions():
    return "from levinv import audit, invert_gradient, invert_many, invert_scores"


def timeraw_import_dependencies():
    """The part of that time that NumPy and SciPy take."""
    return "import numpy, scipy.linalg, scipy.optimize, threadpoolctl"
