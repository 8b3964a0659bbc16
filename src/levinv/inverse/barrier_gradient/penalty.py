"""Gradient inversion for other weights than 1/s²: a State of Jeffreys' penalty.

V(x) = ½ f(t), f(t) = log det Aᵀ diag(exp t) A, at the log weights t_i = τ(a_i x - b_i) + log v_i.

*Which V are convex.* f is convex and increases in every t_i: ∂f/∂t_i = σ_i >= 0. If τ is convex,
so is every t_i as a function of x, and then V: with z = ½(x + y), t(z) <= ½ t(x) + ½ t(y) in every
entry, and f(t(z)) <= f(½ t(x) + ½ t(y)) <= ½ f(t(x)) + ½ f(t(y)). The Hessian says the same: in
½ Aᵀ (D₁ L D₁ + diag(σ∘τ'')) A, L is a graph Laplacian and τ'' >= 0. So V is convex for

* power weights |s|^(-q), q > 0, on a sign cell. As τ'' = q/s² > 0, V is strictly convex if A has
  full column rank. (Poisson regression with the identity link; gaussian and inverse gaussian with
  a reciprocal link; gamma with its canonical link, which has the papers' 1/s².)
* exponential weights exp(a s), on all of R^d: τ'' = 0. (Poisson, gaussian, Tweedie with the log
  link.) V is linear along the directions y with L A y = 0, in which A y is constant on every
  component of A's rows: ∇V does not depend on x there. An intercept is such a direction.

For the other models of levinv.weighting.names τ'' < 0 somewhere: everywhere for logit, probit, the
negative binomial with the log link, and q < 0. V is not convex in general: with one row and one
column, V = log|a| + ½ τ, which is concave where τ is. Several x may have the same gradient. The
methods then find one close to a start. (A few pairs, such as binomial with the log link, have a
convex τ on a half-line. They are treated like those that are not convex.)

*Coordinates*, as in levinv.inverse.barrier_gradient.problem: dx = unit S z, where the columns of
U = unit diag(1/m) A S are orthonormal, m = 1/√w are the magnitudes, and κ = -τ'/2 ∘ m (for 1/s²,
the signs of s):

    F dx = κ∘(U z), half of the fall of the log weights,
    gradient  r = -Uᵀ(κ∘σ) - unit Sᵀg,
    Hessian   H = Uᵀ diag(κ) (2 L + (c/2) diag(σ)) diag(κ) U + ½ Uᵀ diag(m²∘e∘σ) U.

For powers c = 4/q, and since 0 ⪯ L ⪯ diag(σ), G ⪯ H ⪯ (1 + q) G with G = (2/q) Uᵀ diag(κ²∘σ) U:
for q = 2, the bounds of the barrier. Here H is factored, and no method needs the bounds.

*Measure.* The Newton decrement is (rᵀ|H|⁻¹r)^½. |H| has the absolute eigenvalues of H, scaled to a
diagonal of ones; H is positive definite if V is convex. The null space is left out.
"""
from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from levinv._tolerances import ALLOWED_ROUNDINGS, EPS
from levinv._typing import Floats
from levinv.forward.log_weights import LogWeights
from levinv.inverse.barrier_gradient import feasibility, slopes
from levinv.inverse.barrier_gradient.problem import Problem, State, boundary
from levinv.inverse.result import Progress
from levinv.weighting.protocol import Exponential, Power, Weighting


def has_cells(weighting: Weighting) -> bool:
    """Whether V is finite on sign cells only, with the other sign of a slack out of reach."""
    return isinstance(weighting, Power)


def is_convex(weighting: Weighting) -> bool:
    """Whether V is known to be convex: on a sign cell, or everywhere."""
    return isinstance(weighting, Exponential) or (isinstance(weighting, Power) and weighting.q > 0)


@dataclass(frozen=True)
class PenaltyProblem(Problem):
    """The arguments after all checks; ``signs`` are used if there are cells."""

    free: Floats                  # (d, m) the null space

    @property
    def weighting(self) -> Weighting:
        """That of the rows."""
        return self.map.scores.weighting

    @property
    def always_exact(self) -> bool:
        return True

    @property
    def convex(self) -> bool:
        return is_convex(self.weighting)

    @property
    def bounded_by_signs(self) -> bool:
        return has_cells(self.weighting)

    @property
    def null_space(self) -> Floats:
        return self.free

    def certificate(self, start: State) -> Floats | None:
        if has_cells(self.weighting):
            active = self.active
            return feasibility.certificate(self.map.rows.part(active), self.signs[active], self.g)
        assert isinstance(self.weighting, Exponential)
        return slopes.certificate(self.map.rows.part(self.active), self.weighting.rate,
                                  start.point.gradient(), self.g, self.free)

    def reach(self, state: State, step: Floats) -> float:
        if not has_cells(self.weighting):
            return np.inf
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            change = self.map.rows.matvec(step) / state.point.slack
        return boundary(np.where(self.active, change, 0.0))

    def constant_part(self, start: State) -> Floats | None:
        """A direction of the null space along which no gradient agrees with g, (d,), or None.

        Gradients have one and the same component along it, up to rounding of both.
        """
        point, y = start.point, self.free
        if not y.shape[1]:
            return None
        terms = (np.abs(point.times_slope(point.projection.scores)) @ self.map.rows.abs_matvec(
            np.abs(y)) + np.abs(self.g) @ np.abs(y))
        missing = (self.g - point.gradient()) @ y
        off = np.abs(missing) > max(self.tol, ALLOWED_ROUNDINGS * EPS) * terms
        if not off.any():
            return None
        worst = int(np.argmax(np.where(off, np.abs(missing), 0.0)))
        direction: Floats = np.sign(missing[worst]) * y[:, worst]
        return direction

    def state(self, x: Floats, progress: Progress) -> State | None:
        low, high = self.weighting.domain
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            eta = self.map.rows.matvec(x) - self.b
            inside = (eta * self.signs > 0 if has_cells(self.weighting)
                      else (eta > low) & (eta < high))
            if not (np.all(inside, where=self.active) and np.isfinite(eta).all()):
                return None
            progress.nfev += 1
            try:
                point = self.map.at(x, 2)
            except (ValueError, np.linalg.LinAlgError):
                return None                  # weights or derivatives beyond the range of doubles
            projection = point.projection
            magnitude = _finite_magnitude(point.weights)
            kappa = point.times_slope(magnitude)
            target = projection.smallest_slack * (projection.steps.T @ self.g)
            gradient = -projection.coordinates(kappa * projection.scores) - target
            state = PenaltyState(self, x, point, kappa, gradient, target, np.zeros((0, 0)),
                                 magnitude)
            fine = np.isfinite(gradient).all() and np.isfinite(state.hessian()).all()
        return state if fine else None


def _finite_magnitude(weights: LogWeights) -> Floats:
    """m, (n,), 0 in rows without influence."""
    magnitude = weights.magnitude()
    out = np.isinf(magnitude)
    if weights.idle is not None:
        out |= weights.idle
    return np.where(out, 0.0, magnitude)


@dataclass(frozen=True)
class PenaltyState(State):
    """The derivatives of F at x. ``signs`` holds κ; ``factor`` is not used."""

    magnitude: Floats             # (n,) m

    @functools.cached_property
    def _hessian(self) -> Floats:
        projection, kappa, ratio = self.projection, self.signs, self.point.weights.ratio
        if projection.is_long(projection.rank) and not len(projection.heavy):
            out = projection.weighted_gram((2.0 + 0.5 * ratio) * projection.scores * kappa * kappa)
            out -= 2.0 * projection.squared_form(kappa * projection.scale, projection.transform)
        else:
            u = kappa[:, None] * projection.basis()
            out = u.T @ self.point.middle(u)
        if self.point.extra is not None:
            out += projection.weighted_gram(self.point.extra * self.magnitude * self.magnitude)
        return 0.5 * (out + out.T)

    def hessian(self) -> Floats:
        return self._hessian

    def step(self, z: Floats) -> Floats:
        """dx, orthogonal to the null space where columns of A are at unit norm."""
        dx, free = super().step(z), self.problem.null_space
        if not free.shape[1]:
            return dx
        units = self.problem.map.rows.column_norms()
        scaled = units[:, None] * free
        along = np.linalg.qr(scaled / np.linalg.norm(scaled, axis=0))[0]
        moved = units * dx
        out: Floats = (moved - along @ (along.T @ moved)) / units
        return out

    @functools.cached_property
    def _spectrum(self) -> tuple[Floats, Floats, Floats]:
        """D and V diag(λ) Vᵀ = D⁻¹ H D⁻¹ with a diagonal of ones, without the null space."""
        hessian, projection = self._hessian, self.projection
        size = np.sqrt(np.abs(np.diag(hessian)))
        size = np.where(size > 0, size, 1.0)
        scaled = hessian / size[:, None] / size
        kept = np.eye(len(size))
        free = self.problem.null_space
        if free.shape[1]:
            image = self.problem.map.rows.matvec(free)
            weighted = np.divide(image, self.magnitude[:, None], out=np.zeros_like(image),
                                 where=self.magnitude[:, None] > 0)
            along = size[:, None] * projection.coordinates(weighted)
            kept = np.linalg.qr(along / np.linalg.norm(along, axis=0), mode="complete")[0]
            kept = kept[:, free.shape[1]:]
        values, vectors = np.linalg.eigh(kept.T @ scaled @ kept)
        least = len(size) * EPS * np.abs(values).max(initial=0.0)
        small = np.abs(values) < least
        signs = np.where(values < 0, -1.0, 1.0)
        if self.problem.convex:
            small, signs = values < least, np.ones(len(values))
        return size, np.where(small, signs * (least or 1.0), values), kept @ vectors

    def solve(self, hessian: Floats, right: Floats) -> Floats:
        """H⁻¹ right for vectors or a matrix, in the complement of the null space."""
        size, values, vectors = self._spectrum
        solved: Floats = vectors @ ((vectors.T @ (right.T / size).T).T / values).T
        return (solved.T / size).T

    def _root(self, right: Floats) -> Floats:
        """|H|^-½ right, in rotated coordinates."""
        size, values, vectors = self._spectrum
        root: Floats = ((vectors.T @ (right.T / size).T).T / np.sqrt(np.abs(values))).T
        return root

    def decrement(self) -> float:
        return float(np.linalg.norm(self._root(self.gradient)))

    def bound(self) -> float:
        return self.decrement()

    def floor(self) -> float:
        projection = self.projection
        spread = (projection.smallest_slack * projection.steps.T) * self.problem.g
        scores, kappa = projection.scores, self.signs
        summed = projection.weighted_gram((scores * kappa) * (scores * kappa))
        from_scores = np.sqrt(max(float(np.trace(self._root(self._root(summed).T))), 0.0))
        return 4.0 * EPS * float(np.linalg.norm(self._root(spread)) + from_scores
                                 + self._from_slack())

    def _curvature(self) -> Floats:
        """c, (n,), with Aᵀ diag(c) A above H in size: diagonals bound the Laplacian L."""
        point, scores = self.point, self.projection.scores
        bound = np.minimum(2.0 * scores, 4.0 * scores * self.projection.complement())
        slope = point.times_slope(np.ones(len(scores)))
        out = (bound + 0.5 * point.weights.ratio * scores) * slope * slope
        return out if point.extra is None else out + np.abs(point.extra)

    def _from_slack(self) -> float:
        size = self.problem.map.rows.abs_matvec(np.abs(self.x)) + np.abs(self.problem.b)
        return float(np.linalg.norm(np.sqrt(np.maximum(self._curvature(), 0.0)) * size))

    def agrees(self, decrement: float) -> bool:
        """Whether every component of ∇V - g is as small as at a solution of this decrement."""
        rows, g, point = self.problem.map.rows, self.problem.g, self.point
        with np.errstate(over="ignore", invalid="ignore"):
            size = np.sqrt(np.diag(rows.gram(None, None, np.maximum(self._curvature(), 0.0))))
            left = np.abs(point.gradient() - g)
            terms = np.abs(point.times_slope(self.projection.scores))
            # Cauchy and Schwarz: above the sums of |a_ij| times the terms
            whole = np.sqrt(np.diag(rows.gram(None, None, terms)) * terms.sum()) + np.abs(g)
            allowed = (10.0 * decrement * size
                       + ALLOWED_ROUNDINGS * EPS * (self._from_slack() * size + whole))
            return bool(np.all(left <= allowed))
