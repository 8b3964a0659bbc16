"""What levinv promises about its speed.

Most promises are ratios of two measured values, so that they mean the same on every machine. A few
are absolute.
"""
import dataclasses

UNITS = {"1 s": 1.0, "1 µs": 1e-6, "1": 1.0}


@dataclasses.dataclass(frozen=True)
class Promise:
    """The promise that (least of ``above``) / ``below`` is at least or at most a bound.

    A name is that of a call of the work, of one of its errors or extras, of its floor, or a unit.
    """

    work: str
    above: tuple[str, ...]
    below: str
    at_least: float | None = None
    at_most: float | None = None

    def ratio(self, values):
        """The measured ratio, or None if a value is missing."""
        known = UNITS | values
        measured = [known[name] for name in self.above if name in known]
        return min(measured) / known[self.below] if measured and self.below in known else None

    def holds(self, ratio):
        return ratio >= self.at_least if self.at_least is not None else ratio <= self.at_most

    @property
    def text(self):
        above = self.above[0] if len(self.above) == 1 else f"fastest of {', '.join(self.above)}"
        return above if self.below == "1" else f"{above} / {self.below}"

    @property
    def bound(self):
        return (f"at least {self.at_least:g}" if self.at_least is not None
                else f"at most {self.at_most:g}")


RECIPES = ("SciPy Cholesky", "NumPy inverse")
BARRIER = "VolumetricBarrier value, gradient, Hessian, new x"
JAX = ("JAX inverse", "JAX Cholesky")

PROMISES = [
    Promise("scores 100x5", ("levinv",), "1 µs", at_most=12),
    Promise("scores 2000x20", RECIPES, "levinv", at_least=2.5),
    Promise("scores 20000x50", RECIPES, "levinv", at_least=2),
    Promise("scores 20000x50", ("pylspack",), "levinv", at_least=3),
    Promise("scores 20000x50", ("polytopewalk",), "levinv", at_least=5),
    # This promise does not hold. JAX fuses the formula with the inverse; it takes 2.1 times the
    # time of levinv. For a factor of six, levinv would have to take 0.6 ms. But the arithmetic of
    # two triangles takes 0.8 ms at the processor's peak.
    Promise("scores 20000x50", JAX, "levinv", at_least=6),
    Promise("scores 20000x50", ("statsmodels",), "levinv", at_least=15),
    Promise("scores 500000x10", RECIPES, "levinv", at_least=2.5),
    Promise("scores 20000x200", RECIPES, "levinv", at_least=1.4),
    Promise("scores 20000x200", ("levinv",), "floor", at_most=2),
    Promise("workers 20000x50", ("1 worker",), "2 workers", at_least=1.6),
    Promise("workers 200000x50", ("1 worker",), "2 workers", at_least=1.6),
    Promise("workers 20000x200", ("1 worker",), "2 workers", at_least=1.6),
    Promise("hessian 2000x20", ("JAX inverse",), "levinv, new x", at_least=30),
    Promise("hessian 2000x50", ("JAX inverse",), "levinv, new x", at_least=20),
    Promise("hessian 2000x20", ("levinv, new x",), "floor", at_most=2.5),
    Promise("hessian 2000x20", ("levinv, last x",), "floor", at_most=1.5),
    Promise("hessian 2000x50", ("levinv, new x",), "floor", at_most=2),
    Promise("hessian 2000x50", ("levinv, last x",), "floor", at_most=2),
    Promise("gradient 20000x50", ("grad, last x",), "scores", at_most=2.5),
    Promise("gradient 20000x50", ("fun_and_grad, new x",), "scores", at_most=2.5),
    Promise("gradient 20000x50", ("hessp, last x",), "scores", at_most=4),
    Promise("many 60x8", ("1 s",), "invert_many", at_least=3000),
    Promise("many 60x8", ("invert_many: not recovered",), "1", at_most=0.01),
    Promise("large 200000x40", ("invert_scores",), "scores", at_most=60),
    Promise("large 200000x40", ("peak memory",), "1", at_most=3),
    Promise("points 100x5", ("LeverageMap.scores, new x",), "1 µs", at_most=6),
    Promise("points 100x5", ("LeverageMap.jvp, last x",), "1 µs", at_most=5),
    Promise("points 100x5", (BARRIER,), "scores", at_most=6),
    Promise("points 2000x20", (BARRIER,), "scores", at_most=4),
    Promise("slacks 100x5", ("levinv, one call",), "1 µs", at_most=0.9),
    Promise("slacks 100x5", ("polytopewalk",), "levinv, one call", at_least=2),
    Promise("inverse 60x8", ("signs unknown",), "1 µs", at_most=400),
    *(Promise(work, ("signs known",), "scores", at_most=100)
      for work in ("inverse 60x8", "inverse 2000x20", "inverse 20000x50")),
    *(Promise(work, ("statsmodels", "fixed point, NumPy"), "levinv", at_least=2)
      for work in ("forster 200x5", "forster 2000x10", "forster 400x100", "forster 20000x30")),
]
