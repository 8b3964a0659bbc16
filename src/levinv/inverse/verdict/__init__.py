"""The verdict on the x found.

Is it a solution: ``acceptance``. Are there others: ``sides``, ``alternatives``. Which scores are
wrong: ``outliers``. Which directions of x are free, and how accurate is it: ``uncertainty``. The
result: ``messages``, ``report``.
"""
