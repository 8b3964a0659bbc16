"""`import levinv` in a new interpreter."""


def timeraw_import_levinv():
    return "import levinv"


def timeraw_import_dependencies():
    """What of it is NumPy and SciPy."""
    return "import numpy, scipy.linalg, scipy.optimize, threadpoolctl"
