"""Every compiled stage of invert_many beside its Python twin, on the same input.

The twin of a stage is given what the compiled stages before it left, so that a difference is found
in the stage that makes it. Their names and arguments stand in ``Twin`` alone.
"""
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles
from levinv._kernels import many as baseline
from levinv.inverse import invert_many as many
from levinv.inverse.stages.levels import Component, refined
from levinv.inverse.stages.loss import Loss
from levinv.inverse.stages.magnitudes import find_magnitudes
from levinv.inverse.stages.presolve import Augmented, response_in_range
from levinv.inverse.stages.recover import recover
from levinv.inverse.stages.reduction import components, reduce
from levinv.inverse.stages.refine import minimise
from levinv.inverse.stages.signs import sign_candidates
from levinv.inverse.stages.whitened_jacobian import linearise_all
from levinv.storage import DenseRows
from levinv.weighting.model import Model
from levinv.weighting.names import as_weighting

UNIT_ROUNDOFF = 0.5 * np.finfo(float).eps


class Twin:
    """The Python stages on one problem."""

    def __init__(self, A, b):
        self.b = b
        self.reduced = reduce(DenseRows(A), None, b)
        self.generic = self.reduced.rank == A.shape[1] and self.reduced.count == 1
        self.active = self.reduced.active
        if self.generic:
            self.range = response_in_range(self.reduced, b, b)
            self.outside = self.range.residual is not None and not self.range.inside[0]
            if self.outside:
                self.augmented = Augmented(self.reduced, self.range, 0)

    def signs_determined(self):
        """Whether [A b] is connected, and how close that was."""
        loops = np.zeros(len(self.b), dtype=bool)
        return components(self.augmented.block, *self.augmented.shape, loops)

    def magnitudes(self, target, log_weight=None, maxiter=100):
        reduced = self.reduced
        return find_magnitudes(reduced.rows, reduced.start, target, self.active, reduced.label,
                               own_columns=reduced.use_A, log_weight=log_weight, maxiter=maxiter)

    def fitting_signs(self, magnitude, tolerance=1e-6):
        return next(sign_candidates(self.augmented, magnitude, np.random.default_rng(0),
                                    tolerance=tolerance))

    def recovered(self, target, magnitude, signs):
        magnitudes = self.magnitudes(target, -2.0 * np.log(magnitude), 0)
        return recover(self.reduced, self.b, magnitudes, signs, self.range.inside).x

    def jacobian(self, x, scores, weight):
        """The whitened Jacobian at x, in the basis of orthonormal rows."""
        point = Loss(self.reduced, self.b, scores, weight).at(x)
        (jacobian,) = linearise_all(point, weight, 0).blocks
        return jacobian[:, :len(x)]              # the residual may be the next column

    def refined(self, x, scores, weight):
        """x and its standard errors."""
        found = minimise(Loss(self.reduced, self.b, scores, weight), x)
        return found.point.x, np.linalg.norm(found.linearisation.steps, axis=1)


KINDS = ["normal", "cauchy", "integer", "one-hot", "parallel"]


def problem(kind, seed):
    """A, b, x, slack, scores with a generic slack, which decides b."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    d = int(rng.integers(2, 7))
    n = int(rng.integers(3 * d, 8 * d + 1))
    A = rng.standard_normal((n, d))
    if kind == "cauchy":
        A = rng.standard_cauchy((n, d))
    elif kind == "integer":
        A = rng.integers(-2, 3, (n, d)).astype(float)
    elif kind == "one-hot":                  # two factors: the second without its first level
        levels = d // 2 + 1
        A = np.zeros((n, d))
        A[np.arange(n), rng.integers(levels, size=n)] = 1.0
        other = levels - 1 + rng.integers(d - levels + 1, size=n)
        A[other >= levels, other[other >= levels]] = 1.0
    elif kind == "parallel":
        A[1::2] = A[:-1:2][:n // 2] + 1e-3 * A[1::2]
    slack = rng.choice([-1.0, 1.0], n) * rng.uniform(0.2, 2.0, n)
    x = rng.standard_normal(d)
    scores = oracles.scores(A / slack[:, None])
    return A, A @ x - slack, x, slack, scores


def compiled(A, b, scores, signs=None, noise=None):
    found = many.kernel.stages(A, b, scores, signs, noise, 7, 1e-8)
    if "magnitude" in found:                 # of rows at unit norm
        found["magnitude"] = found["magnitude"][0] * np.linalg.norm(A, axis=1)
        found["sign"] = found["sign"][0]
    return found


CASES = [pytest.param((kind, seed), id=f"{kind}-{seed}") for kind in KINDS for seed in range(10)]


@pytest.fixture(params=CASES)
def case(request):
    kind, seed = request.param
    A, b, x, slack, scores = problem(kind, seed)
    return Twin(A, b), compiled(A, b, scores), A, b, x, slack, scores


def settled(case):
    """The case, if the compiled route takes it."""
    if not np.any(case[1].get("sign", 0.0)):
        pytest.skip("left to the general route")
    return case


def test_most_cases_are_not_left_to_the_general_route():
    solved = [[("refined" in compiled(*problem(kind, seed)[:2], problem(kind, seed)[4]))
               for seed in range(10)] for kind in KINDS]
    assert np.mean(solved, axis=1).min() >= 0.3
    assert np.mean(solved) >= 0.75


def test_presolve_is_never_generous(case):
    twin, found, *_ = case
    if found:
        assert twin.generic
        assert twin.outside
        assert twin.signs_determined().count == 1


def test_presolve_settles_what_is_clear(case):
    twin, found, A, b, x, slack, scores = case
    if not found:
        assert (not twin.generic or not twin.outside or twin.signs_determined().count > 1
                or scores.max() > 1.0 - 1e-9)


def test_basis(case):
    twin, found, A, b, *_ = settled(case)
    unit = 1.0 / np.linalg.norm(A, axis=1)
    basis, outside = found["basis"][:-1], found["basis"][-1]
    expected = twin.reduced.rows.matvec(twin.reduced.start) * unit[:, None]
    assert_allclose(basis.T @ basis, expected @ expected.T, rtol=0, atol=1e-12)
    residual = unit * twin.range.residual / twin.range.norm
    assert_allclose(outside, residual, rtol=0, atol=1e-10)


def test_magnitudes(case):
    twin, found, A, b, x, slack, scores = settled(case)
    scaling = twin.magnitudes(scores)
    ratio = found["magnitude"] / scaling.magnitude
    ratio /= np.exp(np.log(ratio).mean())                    # a common factor is free
    assert_allclose(ratio, 1.0, rtol=1e-5)


def test_signs_fit(case):
    twin, found, *_ = settled(case)
    expected = twin.fitting_signs(found["magnitude"])
    assert expected.fits
    signs = found["sign"] * found["sign"][0]
    if not np.array_equal(signs, expected.signs * expected.signs[0]):      # two vectors fit
        again = twin.fitting_signs(found["magnitude"], 1e-4)
        assert again.fits
        assert np.linalg.norm(_off_range(twin, found)) <= 1e-5


def _off_range(twin, found):
    matrix = twin.augmented.block(slice(None))
    signed = found["sign"] * found["magnitude"]
    fit = np.linalg.lstsq(matrix / np.abs(signed)[:, None], np.sign(signed), rcond=None)[0]
    return matrix @ fit / np.abs(signed) - np.sign(signed)


@pytest.mark.parametrize("known", [False, True])
def test_recovered_x(case, known):
    twin, found, A, b, x, slack, scores = settled(case)
    if known:
        found = compiled(A, b, scores, np.sign(slack))
        assert_array_equal(found["sign"], np.sign(slack))
    expected = twin.recovered(scores, found["magnitude"],
                              found["sign"])
    assert_allclose(found["recovered"], expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("decimals", [None, 5])
def test_refined_x_and_whitened_jacobian(case, decimals):
    twin, found, A, b, x, slack, scores = settled(case)
    deviation = UNIT_ROUNDOFF * scores
    if decimals is not None:
        scores = scores.round(decimals)
        deviation = np.full(len(b), 10.0 ** -decimals / np.sqrt(12))
        found = compiled(A, b, scores, np.sign(slack), deviation)
    refined, errors = twin.refined(found["recovered"], scores, 1.0 / deviation)
    # exact scores err by as much as x shows, noisy ones have one minimiser
    assert np.all(np.abs(found["refined"] - refined)
                  <= (100.0 if decimals is None else 1e-2) * errors + 1e-15 * np.abs(refined).max())
    jacobian = twin.jacobian(found["refined"], scores, 1.0 / deviation)
    # bases differ by a rotation, which J Jᵀ does not see
    product, expected = found["jacobian"].T @ found["jacobian"], jacobian @ jacobian.T
    scale = np.sqrt(np.diag(expected))
    assert_allclose(product / np.outer(scale, scale), expected / np.outer(scale, scale), rtol=0,
                    atol=1e-9)


def test_both_builds_have_the_same_stages():
    A, b, x, slack, scores = problem("normal", 0)
    wide, narrow = (module.stages(A, b, scores, None, None, 7, 1e-8)
                    for module in (many.kernel, baseline))
    assert wide.keys() == narrow.keys()
    for name in wide.keys() - {"jacobian"}:
        assert_allclose(wide[name], narrow[name], rtol=0, atol=1e-9 * np.abs(narrow[name]).max())


# weightings that are not powers

WEIGHTINGS = {"logit": "binomial", "probit": ("binomial", "probit"),
              "cloglog": ("binomial", "cloglog"), "loglog": ("binomial", "loglog"),
              "cauchit": ("binomial", "cauchit"), "poisson": "poisson"}


@pytest.fixture(params=WEIGHTINGS)
def model(request):
    """The weighting, A, b, the predictors and what the compiled stages leave."""
    weighting = as_weighting(WEIGHTINGS[request.param])
    rng = np.random.default_rng(list(WEIGHTINGS).index(request.param))
    A, b = rng.standard_normal((50, 4)), rng.uniform(-1.0, 1.0, 50)
    eta = A @ rng.standard_normal(4) - b
    scores = oracles.scores(A * np.exp(0.5 * weighting.log_weight(eta))[:, None])
    found = many.kernel.stages(A, b, scores, None, None, 7, 1e-8,
                               *many.compiled_weighting(weighting))
    return weighting, A, b, eta, scores, found


def test_weights_give_the_log_weights_but_for_the_level(model):
    weighting, A, b, eta, scores, found = model
    log_weight = np.log(found["weight"][0] / np.sum(A ** 2, axis=1))
    accurate = scores > 1e-20
    assert np.ptp((log_weight - weighting.log_weight(eta))[accurate]) <= 1e-6


def test_level(model):
    weighting, A, b, eta, scores, found = model
    log_weight = np.log(found["weight"][0] / np.sum(A ** 2, axis=1))
    rows = scores > 1e-20
    part = Component(A[rows], b[rows], log_weight[rows], None, weighting, None)
    expected = refined(part, found["recovered"], float(found["level"][0]))
    assert expected.fits
    assert_allclose(found["recovered"], expected.y, rtol=0, atol=1e-6)
    constant = getattr(weighting, "log_constant", 0.0)
    if weighting.kind == "peak":           # the compiled log weight lacks no constant
        assert_allclose(found["level"], expected.level - constant, rtol=0, atol=1e-6)


def test_refined_model_and_its_jacobian(model):
    weighting, A, b, eta, scores, found = model
    deviation = UNIT_ROUNDOFF * np.sqrt(scores)
    reduced = replace(reduce(DenseRows(A), None, b), model=Model(weighting))
    loss = Loss(reduced, b, scores, 1.0 / deviation)
    expected = minimise(loss, found["recovered"])
    errors = np.linalg.norm(expected.linearisation.steps, axis=1)
    assert np.all(np.abs(found["refined"] - expected.point.x) <= 100.0 * errors + 1e-15)
    (jacobian,) = linearise_all(loss.at(found["refined"]), 1.0 / deviation, 0).blocks
    product = found["jacobian"].T @ found["jacobian"]
    twin = jacobian[:, :4] @ jacobian[:, :4].T
    product *= np.trace(twin) / np.trace(product)          # slacks have another unit
    scale = np.sqrt(np.diag(twin))
    assert_allclose(product / np.outer(scale, scale), twin / np.outer(scale, scale), rtol=0,
                    atol=1e-8)


def test_both_builds_have_the_same_levels(model):
    weighting, A, b, eta, scores, found = model
    narrow = baseline.stages(A, b, scores, None, None, 7, 1e-8,
                             *many.compiled_weighting(weighting))
    assert found.keys() == narrow.keys()
    for name in found.keys() - {"jacobian"}:
        assert_allclose(found[name], narrow[name], rtol=0, atol=1e-7 * np.abs(found[name]).max())
