"""Write the numbers of levinv/_tolerances.py as constants for Cython modules to cimport:

    python kernel_settings.py src/levinv/_tolerances.py OUT.pxd
"""
import runpy
import sys

table, out = sys.argv[1:]
constants = {name: value for name, value in runpy.run_path(table).items()
             if name.isupper() and isinstance(value, int | float) and not isinstance(value, bool)}
lines = ["# Generated from _tolerances.py by cmake/kernel_settings.py.",
         "cdef extern from *:", '    """']
lines += [f"    #define LEVINV_{name} ({value!r})" for name, value in constants.items()]
lines += ['    """']
for name, value in constants.items():
    kind = "double" if isinstance(value, float) else "Py_ssize_t"
    lines.append(f'    const {kind} {name} "LEVINV_{name}"')
with open(out, "w", encoding="utf-8") as file:
    file.write("\n".join(lines) + "\n")
