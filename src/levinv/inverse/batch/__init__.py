"""Many small problems of one size.

``problems`` checks the input, ``invert_many`` is the public function. It calls a compiled kernel
(``levinv._kernels.many``), which runs all stages of one problem after another, and passes the
problems that the kernel does not solve to ``levinv.invert_scores``.
"""
