"""Many small problems of one size.

``problems`` checks the input, ``invert_many`` is the front. It calls the compiled route
(``levinv._kernels.many``), which does all stages of one problem after another, and hands what that
leaves open to ``levinv.invert_scores``.
"""
