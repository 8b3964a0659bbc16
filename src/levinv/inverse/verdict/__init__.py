"""What is said of the x found.

Is it a solution: ``rounding``, ``acceptance``. Is it the only one: ``null_space``, ``sign_flips``.
Which rows are wrong: ``outliers``, ``outlier_refit``. How well is it known: ``uncertainty``. The
result: ``evidence``, ``messages``, ``report``.
"""
