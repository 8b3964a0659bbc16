"""The verdict on the x found.

Is it a solution: ``rounding``, ``acceptance``. Is it the only one: ``null_space``, ``sign_flips``.
Which scores are wrong: ``outliers``, ``outlier_refit``. How accurate is it: ``uncertainty``. The
result: ``evidence``, ``messages``, ``report``.
"""
