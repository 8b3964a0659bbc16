"""A problem of gradient inversion, and the derivatives of F(x) = V(x) - gᵀx at a point of its cell.

V is the volumetric barrier. ∇F = -Bᵀsigma - g vanishes exactly where the gradient is matched, and F
is strictly convex on the cell. U = unit·diag(signs) B S has orthonormal columns (S: ``steps`` of
levinv.forward.projection). All computations use coordinates z with dx = unit S z, so that the
condition number of A does not matter:

    B dx = signs∘(U z) = p, the relative change of the slacks,
    gradient  r = -Uᵀ(signs∘sigma) - unit Sᵀg,
    Hessian   H = Uᵀ diag(signs) (3 diag(sigma) - 2 Q) diag(signs) U,
    bounds    G ⪯ H ⪯ 3 G,   G = Uᵀ diag(sigma) U.

*Measure.* The Newton decrement λ = (rᵀH⁻¹r)^½ is the length of ∇F in the dual of the Hessian's
norm. It does not change with the units of A's columns, and it bounds a relative error: the step to
the solution changes the slacks by relative amounts p with sum_i sigma_i p_i² <= λ² (to first
order). Rounding of g and of the slack A x - b keeps it above a floor.

Reference: Nesterov and Nemirovskii, Interior-Point Polynomial Algorithms in Convex Programming
(1994), section 2.2.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from levinv._tolerances import ALLOWED_ROUNDINGS, EPS
from levinv._typing import Booleans, Floats
from levinv.forward.barrier import BarrierPoint, FullRankMap
from levinv.forward.projection import Projection, row_scale
from levinv.inverse.barrier_gradient.feasibility import certificate
from levinv.inverse.result import Progress


@dataclass(frozen=True)
class Problem:
    """The arguments after all checks."""

    map: FullRankMap
    b: Floats
    g: Floats
    signs: Floats                 # (n,), +1 or -1
    active: Booleans              # (n,) rows of A that are not zero
    ridge: Floats                 # (n,)
    tol: float
    maxiter: int

    @property
    def regularised(self) -> bool:
        """Whether the objective has a ridge."""
        return bool(self.ridge.any())

    @property
    def always_exact(self) -> bool:
        """Whether a State has a Hessian and no bound that could replace it."""
        return False

    @property
    def convex(self) -> bool:
        """Whether V is convex where the search takes place."""
        return True

    @property
    def bounded_by_signs(self) -> bool:
        """Whether x stays in a sign cell."""
        return True

    @property
    def null_space(self) -> Floats:
        """Orthonormal directions along which ∇V does not change, (d, m)."""
        return np.zeros((self.map.shape[1], 0))

    def constant_part(self, start: State) -> Floats | None:
        """A direction of the null space, (d,), along which no gradient agrees with g, or None."""
        return None

    def certificate(self, start: State) -> Floats | None:
        """A direction, (d,), that proves that g has no preimage, or None."""
        active = self.active
        return certificate(self.map.rows.part(active), self.signs[active], self.g)

    def reach(self, state: State, step: Floats) -> float:
        """The part of a step at which the first slack vanishes."""
        return boundary(state.point.push(step))

    def state(self, x: Floats, progress: Progress) -> State | None:
        """The State at x, or None if x is outside the cell or arithmetic fails."""
        with np.errstate(over="ignore", invalid="ignore"):
            slack = self.map.rows.matvec(x) - self.b
            inside = np.all(slack * self.signs > 0, where=self.active)
            if not (inside and np.isfinite(slack).all()):
                return None
            progress.nfev += 1
            try:
                point = self.map.at(x)
            except ValueError:                           # a slack below the smallest normal number
                return None
            projection = point.projection
            signs = np.where(self.active, self.signs, 0.0)
            target = projection.smallest_slack * (projection.steps.T @ self.g)
            gradient = -projection.coordinates(signs * projection.scores) - target
            form = projection.weighted_gram(projection.scores)
            if not (np.isfinite(gradient).all() and np.isfinite(form).all()):
                return None
            factor, info = scipy.linalg.lapack.dpotrf(form, lower=1, clean=1)
        return State(self, x, point, signs, gradient, target, factor) if info == 0 else None


@dataclass(frozen=True)
class State:
    """The derivatives of F at x, in the coordinates z."""

    problem: Problem
    x: Floats
    point: BarrierPoint
    signs: Floats                 # (n,), 0 in zero rows of A
    gradient: Floats              # (k,) r
    target: Floats                # (k,) unit Sᵀg
    factor: Floats                # (k, k) lower Cholesky factor of G

    @property
    def projection(self) -> Projection:
        """The projection onto the range of B."""
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
        """H⁻¹ right, or G⁻¹ right if rounding makes H indefinite (H⁻¹ ⪯ G⁻¹ ⪯ 3 H⁻¹)."""
        try:
            solved: Floats = scipy.linalg.solve(hessian, right, assume_a="pos", check_finite=False)
        except np.linalg.LinAlgError:
            return self.precondition(right)
        return solved

    def decrement(self) -> float:
        """λ, computed with a factor of the Hessian."""
        return _root_of_form(self.gradient, self.solve(self.hessian(), self.gradient))

    def bound(self) -> float:
        """(rᵀG⁻¹r)^½, between the decrement and √3 times it."""
        return _root_of_form(self.gradient, self.precondition(self.gradient))

    def floor(self) -> float:
        """Estimate of the least decrement that rounding of g and of the slack permits."""
        projection = self.projection
        spread = (projection.smallest_slack * projection.steps.T) * self.problem.g
        from_target = np.linalg.norm(scipy.linalg.solve_triangular(self.factor, spread, lower=True))
        return 4.0 * EPS * float(from_target + self._from_slack())

    def _from_slack(self) -> float:
        """The contribution of rounding of the slack to the decrement, in units of ε."""
        size = self.problem.map.rows.abs_matvec(np.abs(self.x)) + np.abs(self.problem.b)
        return float(np.linalg.norm(np.sqrt(self.projection.scores) * self.point.times_slope(size)))

    def agrees(self, decrement: float) -> bool:
        """Whether every component of ∇V - g is as small as at a solution of this decrement.

        If the decrement is λ, component j of ∇V - g is at most λ √(∇²V)_jj. The check allows ten
        times that, plus rounding. It uses the coordinates x, because the coordinates z mix
        components of very different sizes.
        """
        rows, g = self.problem.map.rows, self.problem.g
        with np.errstate(over="ignore", invalid="ignore"):
            scale, unit = row_scale(np.abs(self.point.slack), self.signs == 0)
            size = np.sqrt(3.0 * np.diag(rows.gram(scale, None, self.projection.scores))) / unit
            whole = np.sqrt(np.diag(rows.gram(scale))) / unit
            left = np.abs(self.point.gradient() - g)
            rounding = self._from_slack() * size + np.sqrt(len(g)) * whole + np.abs(g)
            allowed = 10.0 * decrement * size + ALLOWED_ROUNDINGS * EPS * rounding
            return bool(np.all(left <= allowed) or not np.isfinite(left + whole).all())


def _root_of_form(r: Floats, solved: Floats) -> float:
    return float(np.sqrt(max(float(r @ solved), 0.0)))


def evaluate(problem: Problem, x: Floats, progress: Progress) -> State | None:
    """The State at x, or None if x is outside the cell or arithmetic fails."""
    return problem.state(x, progress)


def boundary(p: Floats) -> float:
    """The step at which the first slack s (1 + step p) vanishes; inf if no slack does."""
    fastest = float(np.min(p, initial=0.0))
    return -1.0 / fastest if fastest < 0 else np.inf
