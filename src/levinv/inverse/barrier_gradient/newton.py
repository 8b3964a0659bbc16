"""Newton's method for F(x) = V(x) - gᵀx on one sign cell, V the volumetric barrier.

∇F = -Bᵀsigma - g vanishes exactly where the gradient is matched, and F is strictly convex. With
U = unit·diag(signs) B S orthonormal (levinv.forward.projection: S is ``steps``) everything is done
in z, dx = unit S z, whatever the condition of A:

    B dx = signs∘(U z) = p, the relative change of the slacks,
    gradient  r = -Uᵀ(signs∘sigma) - unit Sᵀg,
    Hessian   H = Uᵀ diag(signs) (3 diag(sigma) - 2 Q) diag(signs) U,
    bounds    G ⪯ H ⪯ 3 G,   G = Uᵀ diag(sigma) U.

*Direction.* H z = -r, factored where the dimension is small, else by conjugate gradients
preconditioned with G. The condition number is at most 3: each iteration gains a factor
(√3 + 1)/(√3 - 1) = 3.7, and takes one Gram matrix and one quadratic form.

*Step.* A line search on the slope φ'(t) = -sum_i sigma_i(t) p_i/(1 + t p_i) - gᵀdx, to
|φ'(t)| <= ¼|φ'(0)|, first at t = 1. Where that leaves the cell or misses, the slope is modelled
with each score following its own slack alone,

    sigma_i(t) = sigma_i / (sigma_i + (1 - sigma_i)(1 + t p_i)²),

which is right for one row and right at the boundary, where the score is 1. The model increases with
t: one root.

*Measure.* The Newton decrement λ = (rᵀH⁻¹r)^½, the length of ∇F in the dual of the Hessian's norm,
does not change with A's columns and is a relative error: moving to the solution changes the slacks
by p with sum_i sigma_i p_i² <= λ² (to first order). Rounding keeps it above a floor: that of g, and
that of the slack A x - b.

Reference: Nesterov and Nemirovskii, Interior-Point Polynomial Algorithms in Convex Programming
(1994), section 2.2.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import scipy.linalg
import scipy.optimize

from levinv._tolerances import EPS
from levinv._typing import Floats
from levinv.forward.barrier import BarrierPoint
from levinv.forward.projection import Projection, row_scale
from levinv.inverse.barrier_gradient.feasibility import boundary
from levinv.inverse.barrier_gradient.problem import Task
from levinv.storage import Rows

DIRECT_DIMENSION = 8          # up to here the Hessian is factored
                              # (benchmarks/benchmarks/gradient.py)
CG_TOLERANCE = 1e-8
CG_MAXITER = 60
FLATTER = 0.25                # the line search ends where the slope has fallen by this factor
TRIALS = 30                   # evaluations of one line search
INSIDE = 0.95                 # of the way to the boundary at most, where the model does not say
QUADRATIC = 1e-5              # decrement below which full steps are taken unseen
AGREED = 1e3                  # rounding of a component of the gradient, in ε
HOPELESS = 1e-4               # a floor above this is no excuse: the gradient tells nothing of x in
                              # some direction
LARGEST = 1e75                # decrement beyond which its square and the line search would overflow
SUSPECT = 1e3                 # growth of a slack in one step, and
SUSPECT_STEPS = 20            # number of steps, from which the cell is asked for a preimage


@dataclass(frozen=True)
class State:
    """F's derivatives at x in the coordinates z."""

    x: Floats
    point: BarrierPoint
    signs: Floats                 # (n,), 0 in zero rows of A
    gradient: Floats              # (k,) r
    target: Floats                # (k,) unit Sᵀg
    factor: Floats                # (k, k) lower Cholesky factor of G

    @property
    def projection(self) -> Projection:
        return self.point.projection

    def product(self, z: Floats) -> Floats:
        """H z."""
        return self.projection.coordinates(self.signs * self.point.middle(self.relative(z)))

    def relative(self, z: Floats) -> Floats:
        """p = B dx."""
        return self.signs * self.projection.expand(z)

    def step(self, z: Floats) -> Floats:
        """dx."""
        return self.projection.smallest_slack * (self.projection.steps @ z)

    def hessian(self) -> Floats:
        """H, (k, k)."""
        projection = self.projection
        if projection.is_long(projection.rank) and not len(projection.heavy):
            out = 3.0 * projection.weighted_gram(projection.scores)
            out -= 2.0 * projection.squared_form(self.signs * projection.scale,
                                                 projection.transform)
            return 0.5 * (out + out.T)
        u = self.signs[:, None] * self.projection.basis()
        out = u.T @ self.point.middle(u)
        return 0.5 * (out + out.T)

    def precondition(self, r: Floats) -> Floats:
        """G⁻¹ r."""
        solved: Floats = scipy.linalg.cho_solve((self.factor, True), r, check_finite=False)
        return solved

    def solve(self, hessian: Floats, right: Floats) -> Floats:
        """H⁻¹ right; G⁻¹ right where rounding makes H indefinite: H⁻¹ ⪯ G⁻¹ ⪯ 3 H⁻¹."""
        try:
            solved: Floats = scipy.linalg.solve(hessian, right, assume_a="pos", check_finite=False)
        except np.linalg.LinAlgError:
            return self.precondition(right)
        return solved

    def bound(self) -> float:
        """(rᵀG⁻¹r)^½, between the decrement and √3 times it."""
        return float(np.sqrt(max(float(self.gradient @ self.precondition(self.gradient)), 0.0)))

    def floor(self, rows: Rows, b: Floats, g: Floats) -> float:
        """The decrement that rounding of g and of the slack leaves, about."""
        projection = self.projection
        spread = (projection.smallest_slack * projection.steps.T) * g
        from_target = np.linalg.norm(scipy.linalg.solve_triangular(self.factor, spread, lower=True))
        return 4.0 * EPS * float(from_target + self.from_slack(rows, b))

    def from_slack(self, rows: Rows, b: Floats) -> float:
        """What rounding of the slack does to the decrement, in units of ε."""
        size = rows.abs_matvec(np.abs(self.x)) + np.abs(b)
        return float(np.linalg.norm(np.sqrt(self.projection.scores) * self.point.times_slope(size)))

    def agrees(self, rows: Rows, b: Floats, g: Floats, decrement: float) -> bool:
        """Whether no component of ∇V - g is larger than at a decrement of this size, of which it is
        at most the part √(∇²V)_jj, or ten times, and rounding: looked at in A's own columns, as the
        basis mixes components of far different sizes.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            scale, unit = row_scale(np.abs(self.point.slack), self.signs == 0)
            size = np.sqrt(3.0 * np.diag(rows.gram(scale, None, self.projection.scores))) / unit
            whole = np.sqrt(np.diag(rows.gram(scale))) / unit
            left = np.abs(self.point.gradient() - g)
            allowed = (10.0 * decrement + AGREED * EPS * self.from_slack(rows, b)) * size
            allowed += AGREED * EPS * (np.sqrt(len(g)) * whole + np.abs(g))
            return bool(np.all(left <= allowed) or not np.isfinite(left + whole).all())


# of a State the step z, about -H⁻¹r, and evidence of how it was found
Direction: TypeAlias = Callable[[State], tuple[Floats, dict[str, Any]]]


@dataclass
class Descent:
    """What the minimisation found and what it took."""

    state: State
    decrement: float
    reason: Literal["converged", "no preimage", "stalled", "maxiter", "stopped", "overflow"]
    direction: Floats | None = None                      # the certificate of "no preimage"
    steps: list[dict[str, Any]] = field(default_factory=list)     # evidence of each


def evaluate(task: Task, x: Floats) -> State | None:
    """The State at x, or None outside the cell and where arithmetic fails."""
    with np.errstate(over="ignore", invalid="ignore"):
        slack = task.map.rows.matvec(x) - task.b
        if not np.isfinite(slack).all() or not np.all(slack * task.signs > 0, where=task.active):
            return None
        task.nfev += 1
        try:
            point = task.map.at(x)
        except ValueError:                               # a slack below the smallest normal number
            return None
        projection = point.projection
        signs = np.where(task.active, task.signs, 0.0)
        target = projection.smallest_slack * (projection.steps.T @ task.g)
        gradient = -projection.coordinates(signs * projection.scores) - target
        form = projection.weighted_gram(projection.scores)
        if not (np.isfinite(gradient).all() and np.isfinite(form).all()):
            return None
        factor, info = scipy.linalg.lapack.dpotrf(form, lower=1, clean=1)
    return State(x, point, signs, gradient, target, factor) if info == 0 else None


def minimise(task: Task, state: State, direction: Direction) -> Descent:
    """Descend from ``state``; ``direction(state)`` returns z, about -H⁻¹r, and evidence."""
    found = Descent(state, np.inf, "maxiter")
    asked = False
    best, idle = np.inf, 0
    for iteration in range(task.maxiter + 1):
        z, evidence = direction(found.state)
        state = found.state
        squared = -float(state.gradient @ z)
        decrement = found.decrement = np.sqrt(max(squared, 0.0))
        if not squared < LARGEST ** 2:
            found.decrement, found.reason = np.inf, "overflow"
            return found
        floor = state.floor(task.map.rows, task.b, task.g)
        if decrement <= max(task.tol, min(floor, HOPELESS)):
            if decrement > floor:                        # the step is known already: it only helps
                closer = evaluate(task, state.x + state.step(z))
                if closer is not None and closer.bound() < state.bound():
                    found.state = closer
            found.reason = "converged"
            return found
        idle = 0 if decrement < 0.9 * best else idle + 1
        best = min(best, decrement)
        if idle >= 5 and best < QUADRATIC:
            found.reason = "stalled"
            return found
        if iteration == task.maxiter:
            return found
        p = state.relative(z)
        if not asked and (iteration >= SUSPECT_STEPS or _runs_away(state, z, p)):
            asked = True
            found.direction = task.certificate()
            if found.direction is not None:
                found.reason = "no preimage"
                return found
        following, length = search(task, state, z, p, decrement)
        if following is None:
            found.reason = "stalled"
            return found
        found.state = following
        found.steps.append(evidence | {"decrement": decrement, "length": length})
        if not task.report(decrement, following.x):
            found.reason = "stopped"
            return found
    return found


def _runs_away(state: State, z: Floats, p: Floats) -> bool:
    """Whether the model of the slope finds no minimum before a slack has grown SUSPECT times."""
    far = SUSPECT / max(np.max(p), 1e-300)
    return boundary(p) > far and _model(state, p, float(state.target @ z))(far) < 0


def search(task: Task, state: State, z: Floats, p: Floats,
           decrement: float) -> tuple[State | None, float]:
    """The next state and the step length, or (None, 0)."""
    dx = state.step(z)
    if decrement < QUADRATIC:
        following = evaluate(task, state.x + dx)
        if following is not None:
            return following, 1.0
    rise = float(state.target @ z)
    slope = _slope(state.projection.scores, p, rise)
    if slope >= 0:
        return None, 0.0
    limit = boundary(p)
    low, high = 0.0, limit
    length = 1.0 if limit > 1.0 / INSIDE else _root(state, p, rise, 0.0, high)
    best = None
    for _ in range(TRIALS):
        trial = evaluate(task, state.x + length * dx)
        if trial is None:
            high = length
            length = 0.5 * (low + high)
            continue
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            at = p / (1.0 + length * p)
            new_slope = _slope(trial.projection.scores, at, rise)
        if not np.isfinite(new_slope):               # on the boundary to rounding
            high = length
            length = 0.5 * (low + high)
            continue
        if abs(new_slope) <= FLATTER * abs(slope):
            return trial, length
        if new_slope < 0:
            low, best = length, trial
        else:
            high = length
        guess = length + _root(trial, at, rise, low - length, high - length)
        if np.isfinite(high):
            margin = 0.05 * (high - low)
            length = float(np.clip(guess, low + margin, high - margin))
        else:
            length = guess
    return best, low


def _slope(scores: Floats, p: Floats, rise: float) -> float:
    return -float(scores @ p) - rise


def _model(state: State, p: Floats, rise: float) -> Callable[[float], float]:
    """φ' as a function of t with each score following its own slack."""
    scores, root = state.projection.scores, np.sqrt(state.projection.complement())

    def slope(t: float) -> float:
        grown = 1.0 + t * p                       # its square may be inf where the complement is 0
        with np.errstate(over="ignore"):
            return -float(np.sum(scores * p / (grown * (scores + (root * grown) ** 2)))) - rise

    return slope


def _root(state: State, p: Floats, rise: float, low: float, high: float) -> float:
    """Where the model of the slope vanishes in (low, high), or INSIDE of the way to the end next to
    it.
    """
    slope = _model(state, p, rise)
    if not np.isfinite(high):
        high = max(1.0, 2.0 * low)
        while slope(high) < 0 and high < 1e12:
            high *= 4.0
        if slope(high) < 0:
            return high
    near = low + (1.0 - 1e-9) * (high - low)
    if slope(near) <= 0:
        return low + INSIDE * (high - low)
    first = low + 1e-9 * (high - low)
    if slope(first) >= 0:
        return low + (1.0 - INSIDE) * (high - low)
    root: float = scipy.optimize.brentq(slope, first, near, xtol=1e-6 * (high - low), rtol=1e-3)
    return root


def newton_direction(state: State) -> tuple[Floats, dict[str, Any]]:
    """-H⁻¹ r, exact to CG_TOLERANCE."""
    if state.projection.rank <= DIRECT_DIMENSION:
        z = state.solve(state.hessian(), -state.gradient)
        return z, {}
    # quadratic convergence asks for no more
    tolerance = float(np.clip(state.bound(), CG_TOLERANCE, 0.1))
    z, iterations = conjugate_gradients(state.product, state.precondition, -state.gradient,
                                        tolerance)
    return z, {"cg_iterations": iterations}


def conjugate_gradients(product: Callable[[Floats], Floats],
                        precondition: Callable[[Floats], Floats], right: Floats, tolerance: float,
                        maxiter: int = CG_MAXITER) -> tuple[Floats, int]:
    """Solve H z = right to a relative residual in the preconditioner's norm; z and the number of
    products.
    """
    z = np.zeros_like(right)
    residual = right.copy()
    conditioned = precondition(residual)
    direction = conditioned.copy()
    size = first = float(residual @ conditioned)
    iterations = 0
    while size > tolerance ** 2 * first and iterations < maxiter:
        image = product(direction)
        length = size / float(direction @ image)
        z += length * direction
        residual -= length * image
        conditioned = precondition(residual)
        size, before = float(residual @ conditioned), size
        direction = conditioned + (size / before) * direction
        iterations += 1
    return z, iterations
