"""Nasty input of every kind, and a judge of the answers.

``inputs`` makes seeded problems (``problem``) of several kinds (``kinds``), ``draws`` the further
arguments of a call. ``calls`` puts both to the library; ``forward``, ``inversions``, ``huge`` and
``garbage`` judge the answers by the rules of ``judge``, against ``truth``, which computes with as
many digits as the input needs. ``frozen`` writes cases to files and reads them. ``run`` is the
long command,

    python -m tests.torture --cases 20000 --seed 0 --workers 2

and ``test_torture`` runs a small part of it with the suite.
"""
