"""Nasty input of every kind, and a judge of what comes back.

``inputs`` makes seeded cases, ``calls`` puts them to the library, ``judge`` compares with
``truth``, which computes with as many digits as the input asks for; ``run`` is the long command,

    python -m tests.torture --cases 20000 --seed 0 --workers 2

and ``test_torture`` the short part of it.
"""
