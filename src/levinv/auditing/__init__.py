"""What published leverage scores give away about x.

``audit`` is the front: it checks the arguments, predicts errors (``sensitivity``, and ``rounding``
for rounded scores) and runs an attack. ``figures`` holds the results and quantities derived from
them, ``render`` writes them as text and HTML, and ``report`` joins ``figures`` and ``render`` in
AuditReport.
"""
