"""Imports in a new interpreter: levinv imports the parts of a call when it is first asked for."""


def timeraw_import_scores():
    return "from levinv import leverage_scores"


def timeraw_import_all():
    return "from levinv import *"


def timeraw_import_dependencies():
    """What of it is NumPy and SciPy."""
    return "import numpy, scipy.linalg, scipy.optimize, threadpoolctl"
