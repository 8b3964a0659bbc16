"""Cases in files: literal arrays, so that no change of the generator changes them.

``save`` writes a case, ``load`` reads it; what follows from the arrays (exact slacks and scores) is
computed anew. Numbers are written with the digits that give the same double again.
"""
import json

import numpy as np

from . import truth
from .calls import Case
from .problem import Problem

ARRAYS = "A", "b", "x", "wanted", "scores"
FLAGS = "kinds", "changed", "extreme", "sparse"


def save(path, case, wrong):
    """Write a case, with a sentence of what was wrong."""
    p = case.problem
    fields = {"wrong": wrong, "call": case.call}
    fields |= {name: getattr(p, name) for name in ARRAYS + FLAGS}
    fields["dtype"] = None if p.dtype is None else np.dtype(p.dtype).name
    fields["arguments"] = case.arguments
    lines = [f" {json.dumps(name)}: {json.dumps(value, default=_as_list, ensure_ascii=False)}"
             for name, value in fields.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def load(path):
    """The case in a file."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    arrays = {name: np.array(fields[name], dtype=float) for name in ARRAYS}
    p = Problem(**arrays, kinds=tuple(fields["kinds"]), changed=fields["changed"],
                extreme=fields["extreme"], sparse=fields["sparse"],
                dtype=None if fields["dtype"] is None else np.dtype(fields["dtype"]))
    p.slack = truth.slack(p.A, p.b, p.x)
    try:
        p.exact = truth.Exact(p.A, p.slack)
    except truth.UndefinedError:
        p.exact = None
    arguments = {name: np.array(value, dtype=float) if isinstance(value, list) else value
                 for name, value in fields["arguments"].items()}
    return Case(fields["call"], p, arguments)


def _as_list(value):
    return value.tolist()
