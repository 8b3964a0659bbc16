"""Many small problems of one size.

``invert_many`` checks the input and calls a compiled kernel
(``levinv._kernels.many``), which runs all stages of one problem after another, and passes the
problems that the kernel does not solve to ``levinv.invert_scores``.
"""
