"""Scores, losses and penalties of every weighting: against statsmodels, literal formulas in NumPy
and with 60 digits, and the papers' weighting.
"""
import functools
import pathlib
import warnings

import dask.array
import h5py
import mpmath
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
import sklearn.datasets
import statsmodels.api as sm
from numpy.testing import assert_allclose, assert_array_equal
from statsmodels.genmod.generalized_linear_model import GLMResults
from test_weighting import EXACT, Bell, pairs

import oracles
from levinv import (
    GradientLoss,
    JeffreysPenalty,
    LeverageMap,
    ScoreLoss,
    VolumetricBarrier,
    leverage_scores,
)
from levinv.weighting import glm, observed, power
from levinv.weighting.names import as_weighting

NAMES = ["spector", "fair", "star98", "randhie", "cpunish", "scotland", "breast cancer", "diabetes",
         "wine", "tall", "square", "graded"]


@functools.cache
def design(name):
    """An intercept and standardised columns."""
    if name in ("tall", "square", "graded"):
        rng = np.random.default_rng(len(name))
        n, d = {"tall": (400, 5), "square": (9, 8), "graded": (60, 4)}[name]
        columns = rng.normal(size=(n, d - 1)) * (np.geomspace(1.0, 1e-3, d - 1)
                                                 if name == "graded" else 1.0)
        return np.column_stack([np.ones(n), columns])
    if name in ("breast cancer", "diabetes", "wine"):
        X = getattr(sklearn.datasets, f"load_{name.replace(' ', '_')}")().data[:, :8]
    else:
        X = np.asarray(getattr(sm.datasets, name).load().exog, dtype=float)[:400, :8]
    X = X[:, X.std(axis=0) > 1e-9]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    kept = np.abs(np.diag(np.linalg.qr(X)[1])) > 1e-2 * np.sqrt(len(X))
    return np.column_stack([np.ones(len(X)), X[:, kept]])


def coefficients(A, mean, link):
    """Some for which all means stay near ``mean``."""
    with np.errstate(all="ignore"):
        x = np.linspace(-1.0, 1.0, A.shape[1])
        x[0] = 0.0
        x *= 0.2 / np.abs(A @ x).max()
        x[0] = float(link(np.array(mean)))
    return x


def results(A, y, fitted, x):
    """statsmodels' results at given coefficients, without a fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sm.GLM(y, A, family=fitted)
        return GLMResults(model, x, np.eye(A.shape[1]), 1.0)


def means(family, link, n, seed=0):
    """A mean of the family with that link, and responses near it."""
    rng = np.random.default_rng(seed)
    if family == "binomial":
        return 0.4, rng.integers(0, 2, n).astype(float)
    if link == "cloglog":
        return 0.4, rng.integers(0, 2, n).astype(float)
    if family in ("poisson", "negative-binomial"):
        return 1.7, rng.poisson(1.7, n).astype(float)
    return 1.7, rng.uniform(1.6, 1.9, n)


# statsmodels

@pytest.mark.parametrize("data", NAMES)
@pytest.mark.parametrize("family, link, fitted, given", pairs())
def test_hat_values_of_statsmodels(data, family, link, fitted, given):
    A = design(data)
    mean, y = means(family, link, len(A))
    x = coefficients(A, mean, fitted.link)
    expected = results(A, y, fitted, x).get_hat_matrix_diag(observed=False)
    found = LeverageMap(A, weighting=glm(family, link, **given)).scores(x)
    rounding = np.finfo(float).eps * np.linalg.cond(A) ** 2       # of one pass over the rows
    assert_allclose(found, expected, rtol=max(1e-12, rounding))
    assert_array_equal(LeverageMap(A, weighting=fitted).scores(x), found)


@pytest.mark.parametrize("data", ["spector", "fair", "breast cancer"])
def test_influence_of_a_fit(data):
    A = design(data)
    y = (A @ np.linspace(0.5, -0.5, A.shape[1]) + np.random.default_rng(0).logistic(size=len(A))
         > 0).astype(float)
    offset = np.linspace(-0.5, 0.5, len(A))
    fit = sm.GLM(y, A, family=sm.families.Binomial(), offset=offset).fit()
    found = LeverageMap(A, weighting="binomial", offset=offset).scores(fit.params)
    assert_allclose(found, fit.get_influence().hat_matrix_diag, rtol=1e-10)


@pytest.mark.parametrize("family, link, fitted, given", pairs())
def test_observed_information_of_statsmodels(family, link, fitted, given):
    A = design("tall")
    mean, y = means(family, link, len(A))
    x = coefficients(A, mean, fitted.link)
    leverage = LeverageMap(A, weighting=observed(family, link, y, **given))
    factor = results(A, y, fitted, x).model.hessian_factor(x, scale=1.0, observed=True)
    of_no_weight = {("binomial", "log"): 1, ("binomial", "logc"): 0, ("poisson", "identity"): 0}
    if (family, link) in of_no_weight:       # statsmodels takes roots of rounding errors
        none = y == of_no_weight[family, link]
        assert_array_equal(leverage.scores(x)[none], 0.0)
        return
    if factor.min() < 1e-12:
        with pytest.raises(ValueError, match="observed information positive") as error:
            leverage.scores(x)
        assert factor[int(str(error.value).split(" in row ")[1].split(":")[0])] < 1e-12
        return
    found = leverage.scores(x)
    expected = results(A, y, fitted, x).get_hat_matrix_diag(observed=True)
    assert_allclose(found, expected, rtol=1e-11)
    v, probe = np.linspace(-1.0, 1.0, len(x)), np.linspace(1.0, 2.0, len(A))
    jacobian = leverage.jacobian(x)
    difference = oracles.central_difference(leverage.scores, x, v, 1e-4)
    assert_allclose(jacobian @ v, difference, rtol=1e-6, atol=1e-8 * np.abs(found).max())
    assert_allclose(leverage.jvp(x, v), jacobian @ v, rtol=1e-9, atol=1e-13)
    assert_allclose(leverage.vjp(x, probe), jacobian.T @ probe, rtol=1e-9, atol=1e-13)


def test_observed_information_has_no_second_derivatives():
    A = design("spector")
    weighting = observed("binomial", "probit", np.ones(len(A)))
    x = np.linspace(-0.2, 0.2, A.shape[1])
    loss = ScoreLoss(A, None, np.zeros(len(A)), weighting=weighting)
    penalty = JeffreysPenalty(A, weighting=weighting)
    for at in (loss, penalty):
        v = np.ones(len(x))
        assert_allclose(at.grad(x) @ v, oracles.central_difference(at.fun, x, v, 1e-4), rtol=1e-7)
        for call in (at.hess, functools.partial(at.hessp, p=v)):
            with pytest.raises(ValueError, match="a probit regression has no second derivatives"):
                call(x)


# the papers' weighting

def test_gamma_is_the_papers_weighting(rng):
    A, x, offset = rng.normal(size=(50, 4)), rng.normal(size=4), rng.normal(size=50)
    expected = leverage_scores(A, slack=A @ x + offset)
    found = LeverageMap(A, weighting="gamma", offset=offset)
    assert_allclose(found.scores(x), expected, rtol=1e-13)
    papers = LeverageMap(A, -offset)
    assert_array_equal(LeverageMap(A, offset=offset).jacobian(x), papers.jacobian(x))
    assert_allclose(found.jacobian(x), papers.jacobian(x), rtol=1e-10, atol=1e-12)
    assert_array_equal(LeverageMap(A, -offset, weighting=power(2.0)).scores(x), papers.scores(x))
    assert_array_equal(LeverageMap(A, -offset, prior_weights=1.0).scores(x), papers.scores(x))
    barrier, penalty = VolumetricBarrier(A, -offset), JeffreysPenalty(A, -offset, weighting="gamma")
    assert_allclose(penalty.fun(x), barrier.fun(x), rtol=1e-12)
    assert_allclose(penalty.hess(x), barrier.hess(x), rtol=1e-12)
    loss = ScoreLoss(A, -offset, np.zeros(50), weighting="gamma")
    assert_allclose(loss.hess_terms(x).sum(axis=0), ScoreLoss(A, -offset, np.zeros(50)).hess(x),
                    rtol=1e-9)


def test_zero_slacks_of_other_powers(rng):
    A, b = rng.normal(size=(9, 3)), np.r_[0.0, rng.uniform(0.5, 1.0, 8)]
    near, x, c = np.r_[1e-8, b[1:]], np.zeros(3), rng.random(9)
    for weighting in (power(4.0), power(3.0), "gamma"):
        at, beside = (ScoreLoss(A, right, c, weighting=weighting) for right in (b, near))
        for name in ("grad", "hess"):
            expected = getattr(beside, name)(x)
            assert_allclose(getattr(at, name)(x), expected, rtol=1e-4,
                            atol=1e-6 * np.abs(expected).max())
    flat = LeverageMap(A, b, weighting=("poisson", "identity"))         # |s|: not differentiable
    assert flat.scores(x)[0] == 1.0
    for call in (flat.jacobian, functools.partial(flat.jvp, v=x)):
        with pytest.raises(ValueError, match="A x - b zero, as in row 0: the weights of a Pois"):
            call(x)
    kink = ScoreLoss(A, b, c, weighting="inverse-gaussian")              # |s|^1.5
    assert np.isfinite(kink.grad(x)).all()
    with pytest.raises(ValueError, match="no derivatives of order 2"):
        kink.hess(x)
    rising = ScoreLoss(A, b, c, weighting=("gaussian", "sqrt"))          # s²
    assert LeverageMap(A, b, weighting=("gaussian", "sqrt")).scores(x)[0] == 0.0
    assert_allclose(rising.grad(x), ScoreLoss(A, near, c, weighting=("gaussian", "sqrt")).grad(x),
                    rtol=1e-6)
    with pytest.raises(ValueError, match="no derivatives of order 2"):
        rising.hess(x)


# literal formulas

MODELS = {name: weighting for name, (weighting, _) in EXACT.items()}
MODELS |= {"power 4": power(4.0), "Poisson identity": glm("poisson", "identity"),
           "gaussian log": glm("gaussian", "log"), "gaussian sqrt": glm("gaussian", "sqrt"),
           "constant": glm("gaussian"), "binomial log": glm("binomial", "log"),
           "negative binomial canonical": glm("negative-binomial", "canonical"),
           "own": as_weighting(Bell())}


class Literal:
    """The formulas of levinv.weighting.protocol with n x n matrices of floats or mpmath numbers."""

    def __init__(self, A, log_weight, first, second):
        exp = np.vectorize(mpmath.exp, otypes=[object]) if A.dtype == object else np.exp
        self.A, self.B = A, exp(log_weight / 2)[:, None] * A
        self.P = oracles.projection(self.B)
        self.scores = np.diag(self.P).copy()
        self.L = np.diag(self.scores) - self.P * self.P
        self.D, self.second = np.diag(first), second

    def turned(self, r):
        """T(r)."""
        Q, D = self.P * self.P, np.diag(r)
        return np.diag(self.L @ r) - (D @ Q + Q @ D) + 2 * self.P * (self.P @ D @ self.P)

    def jacobian(self):
        return self.L @ self.D @ self.A

    def loss_hessian(self, target):
        r = self.scores - target
        middle = self.D @ (self.L @ self.L + self.turned(r)) @ self.D
        return self.A.T @ (middle + np.diag(self.second * (self.L @ r))) @ self.A

    def gradient(self):
        return self.A.T @ (self.D @ self.scores) / 2

    def hessian(self):
        middle = self.D @ self.L @ self.D + np.diag(self.scores * self.second)
        return self.A.T @ middle @ self.A / 2


def close(found, expected, rtol=1e-10):
    """Within rtol of the largest entry."""
    expected = np.asarray(expected, dtype=float)
    assert_allclose(found, expected, rtol=0, atol=rtol * max(np.abs(expected).max(), 1e-12))


def problem(rng, name, n, d, near_peak):
    """A, b, x, prior weights and a target; the linear predictor is in the domain or at the mode."""
    weighting, A, x = MODELS[name], rng.normal(size=(n, d)), rng.normal(size=d)
    eta = rng.uniform(0.3, 2.0, n) * (-1.0 if weighting.domain[1] == 0.0 else 1.0)
    if near_peak:
        mode = getattr(weighting, "mode", 0.5 if weighting.domain[0] < 0.5 < weighting.domain[1]
                       else -0.5)
        eta = np.where(np.arange(n) % 3 == 0, mode, mode + 1e-6 * rng.normal(size=n))
        eta[1] += 0.5 if weighting.domain[1] > 1.0 else -0.2
    return A, A @ x - eta, x, rng.uniform(0.5, 2.0, n), rng.random(n)


@pytest.mark.parametrize("near_peak", [False, True])
@pytest.mark.parametrize("n, d", [(5, 3), (12, 3), (160, 4)])
@pytest.mark.parametrize("name", MODELS)
def test_derivatives(rng, name, n, d, near_peak):
    weighting = MODELS[name]
    A, b, x, prior, target = problem(rng, name, n, d, near_peak)
    given = {"weighting": weighting, "prior_weights": prior}
    eta = A @ x - b
    exact = Literal(A, weighting.log_weight(eta) + np.log(prior), weighting.derivative(eta),
                    weighting.second_derivative(eta))
    v, y = rng.normal(size=d), rng.normal(size=n)
    leverage, jacobian = LeverageMap(A, b, **given), exact.jacobian()
    assert_allclose(leverage.scores(x), exact.scores, rtol=1e-11)
    scale = np.abs(jacobian).max() + 1e-14
    close(leverage.jacobian(x), jacobian)
    assert_allclose(leverage.jvp(x, v), jacobian @ v, rtol=0, atol=1e-10 * scale)
    assert_allclose(leverage.vjp(x, y), jacobian.T @ y, rtol=0, atol=1e-9 * scale)
    loss = ScoreLoss(A, b, target, **given)
    residual = exact.scores - target
    assert_allclose(loss.fun(x), 0.5 * residual @ residual, rtol=1e-12)
    assert_allclose(loss.grad(x), jacobian.T @ residual, rtol=0, atol=1e-9 * scale)
    hessian = exact.loss_hessian(target)
    close(loss.hess(x), hessian)
    close(loss.hessp(x, v), hessian @ v)
    penalty = JeffreysPenalty(A, b, **given)
    assert_allclose(penalty.fun(x), 0.5 * np.linalg.slogdet(exact.B.T @ exact.B)[1], rtol=1e-11)
    close(penalty.grad(x), exact.gradient())
    close(penalty.hess(x), exact.hessian())
    close(penalty.hessp(x, v), exact.hessian() @ v)
    gradient_loss = GradientLoss(A, b, v, **given)
    close(gradient_loss.grad(x), exact.hessian() @ (exact.gradient() - v))
    rest = exact.gradient() - v
    assert_allclose(gradient_loss.fun(x), 0.5 * rest @ rest, rtol=1e-11)


@pytest.mark.parametrize("near_peak", [False, True])
@pytest.mark.parametrize("name", EXACT)
def test_sixty_digits(rng, name, near_peak):
    """All of it from τ alone; also the Hessian of the gradient loss, with its third derivatives."""
    weighting, log_weight = EXACT[name]
    A, b, x, prior, target = problem(rng, name, 7, 2, near_peak)
    given = {"weighting": weighting, "prior_weights": prior}
    with mpmath.workdps(60):
        exact_A, exact_b, log_prior = oracles.exact(A), oracles.exact(b), oracles.exact(prior)
        log_prior = np.array([mpmath.log(v) for v in log_prior])

        def at(x):
            eta = exact_A @ x - exact_b
            parts = [np.array([mpmath.diff(log_weight, e, k) for e in eta]) for k in range(3)]
            return Literal(exact_A, parts[0] + log_prior, parts[1], parts[2])

        exact_x, g = oracles.exact(x), oracles.exact(np.array([0.3, -0.7]))
        exact = at(exact_x)
        residual = exact.gradient() - g
        h = mpmath.mpf(10) ** -10
        third = at(exact_x + h * residual).hessian() - at(exact_x - h * residual).hessian()
        third /= 2 * h
        curvature = exact.hessian() @ exact.hessian() + third
        value = mpmath.log(mpmath.det(mpmath.matrix((exact.B.T @ exact.B).tolist()))) / 2
        loss_hessian = exact.loss_hessian(oracles.exact(target))
    assert_allclose(LeverageMap(A, b, **given).scores(x), exact.scores.astype(float), rtol=1e-12)
    close(LeverageMap(A, b, **given).jacobian(x), exact.jacobian())
    close(ScoreLoss(A, b, target, **given).hess(x), loss_hessian)
    penalty = JeffreysPenalty(A, b, **given)
    assert_allclose(penalty.fun(x), float(value), rtol=1e-12)
    close(penalty.grad(x), exact.gradient())
    close(penalty.hess(x), exact.hessian())
    loss, v = GradientLoss(A, b, [0.3, -0.7], **given), np.array([1.0, -2.0])
    close(loss.hess(x), curvature)
    close(loss.hessp(x, v), curvature.astype(float) @ v)


def test_the_hessian_of_the_gradient_loss_needs_a_third_derivative(rng):
    A = rng.normal(size=(9, 3))
    loss = GradientLoss(A, None, np.ones(3), weighting=Bell(), ridge=0.1)
    x, v = np.full(3, 0.2), np.ones(3)
    assert_allclose(loss.grad(x) @ v, oracles.central_difference(loss.fun, x, v, 1e-4), rtol=1e-7)
    for call in (loss.hess, functools.partial(loss.hessp, p=v)):
        with pytest.raises(ValueError, match="a bell has no third derivative: use fun and grad"):
            call(x)


def test_scores_of_a_constant_weighting_do_not_depend_on_x(rng):
    A = rng.normal(size=(12, 3))
    leverage = LeverageMap(A, weighting="gaussian")
    assert_allclose(leverage.scores(rng.normal(size=3)), leverage_scores(A), rtol=1e-13)
    assert_array_equal(leverage.jacobian(np.ones(3)), 0.0)
    assert_array_equal(leverage.vjp(np.ones(3), np.ones(12)), 0.0)


# Jeffreys' penalty

def test_penalty_is_the_information_of_statsmodels():
    A = design("spector")
    x = coefficients(A, 0.4, sm.families.links.Logit())
    for link in ("logit", "probit"):
        family = as_weighting(("binomial", link))
        fit = results(A, np.ones(len(A)), sm.families.Binomial(
            {"logit": sm.families.links.Logit, "probit": sm.families.links.Probit}[link]()), x)
        information = -fit.model.hessian(x, scale=1.0, observed=False)
        penalty = JeffreysPenalty(A, weighting=family)
        assert_allclose(penalty.fun(x), 0.5 * np.linalg.slogdet(information)[1], rtol=1e-12)
    p = 1.0 / (1.0 + np.exp(-A @ x))
    penalty = JeffreysPenalty(A, weighting="binomial")
    assert_allclose(penalty.grad(x),
                    A.T @ (LeverageMap(A, weighting="binomial").scores(x) * (0.5 - p)), rtol=1e-9)


def test_firth_regression_of_separated_data(rng):
    """The modified score equations hold at the maximum, found with exact second derivatives."""
    A = np.column_stack([np.ones(20), rng.normal(size=(20, 2))])
    y = (A[:, 1] > 0).astype(float)
    penalty = JeffreysPenalty(A, weighting="binomial")

    def probability(x):
        return 1.0 / (1.0 + np.exp(-A @ x))

    def hessian(x):
        p = probability(x)
        return A.T @ ((p * (1.0 - p))[:, None] * A) - penalty.hess(x)

    found = scipy.optimize.minimize(
        lambda x: np.logaddexp(0.0, A @ x).sum() - y @ A @ x - penalty.fun(x), np.zeros(3),
        jac=lambda x: A.T @ (probability(x) - y) - penalty.grad(x), hess=hessian,
        method="trust-exact", options={"gtol": 1e-9})
    p = probability(found.x)
    hats = LeverageMap(A, weighting="binomial").scores(found.x)
    assert_allclose(A.T @ (y - p + hats * (0.5 - p)), 0.0, atol=1e-8)
    assert np.abs(found.x).max() < 10.0


# prior weights and offsets

@pytest.mark.parametrize("name", ["logit", "Poisson", "inverse gaussian"])
def test_prior_weights(rng, name):
    A, b, x, _, _ = problem(rng, name, 15, 3, near_peak=False)
    prior = rng.integers(0, 4, 15).astype(float)
    weighting = MODELS[name]
    found = LeverageMap(A, b, weighting=weighting, prior_weights=prior)
    repeated = LeverageMap(np.repeat(A, prior.astype(int), axis=0),
                           np.repeat(b, prior.astype(int)), weighting=weighting).scores(x)
    assert_allclose(found.scores(x), np.bincount(np.repeat(np.arange(15), prior.astype(int)),
                                                 repeated, 15), rtol=1e-12, atol=1e-15)
    assert_array_equal(found.scores(x)[prior == 0], 0.0)
    kept = prior > 0
    fewer = {"weighting": weighting, "prior_weights": prior[kept]}
    target = rng.random(15)
    for cls, given in ((ScoreLoss, target), (GradientLoss, np.ones(3))):
        whole = cls(A, b, given, weighting=weighting, prior_weights=prior)
        part = cls(A[kept], b[kept], given[kept] if cls is ScoreLoss else given, **fewer)
        assert_allclose(whole.hess(x), part.hess(x), rtol=1e-10)
        assert_allclose(whole.grad(x), part.grad(x), rtol=1e-10)
    assert_allclose(JeffreysPenalty(A, b, weighting=weighting, prior_weights=prior).fun(x),
                    JeffreysPenalty(A[kept], b[kept], **fewer).fun(x), rtol=1e-12)
    scalar = LeverageMap(A, b, weighting=weighting, prior_weights=3.0)
    assert_allclose(scalar.scores(x), LeverageMap(A, b, weighting=weighting).scores(x), rtol=1e-13)


def test_rows_of_prior_weight_zero_do_not_count_in_the_rank(rng):
    A = rng.normal(size=(9, 3))
    A[2:, 2] = 0.0
    prior = np.r_[0.0, 0.0, np.ones(7)]
    found = LeverageMap(A, weighting="binomial", prior_weights=prior).scores([0.1, 0.2, 1e6])
    assert_array_equal(found[:2], 0.0)
    assert_allclose(found[2:], LeverageMap(A[2:], weighting="binomial").scores([0.1, 0.2, 0.0]))
    assert_allclose(found.sum(), 2.0)
    with pytest.raises(ValueError, match="rank 2 for shape"):
        JeffreysPenalty(A, weighting="binomial", prior_weights=prior)


def test_rows_without_influence_may_be_outside_the_domain(rng):
    A = np.vstack([rng.normal(size=(8, 2)), np.zeros((1, 2)), np.ones((1, 2))])
    offset, prior = np.r_[np.full(8, -3.0), 5.0, 5.0], np.r_[np.ones(9), 0.0]
    given = {"weighting": ("binomial", "log"), "prior_weights": prior}
    found = LeverageMap(A, offset=offset, **given).scores([0.1, 0.2])
    expected = LeverageMap(A[:8], offset=offset[:8], weighting=("binomial", "log"))
    assert_allclose(found, np.r_[expected.scores([0.1, 0.2]), 0.0, 0.0], rtol=1e-12)
    hess = JeffreysPenalty(A, offset=offset, **given).hess([0.1, 0.2])
    assert_allclose(hess, JeffreysPenalty(A[:8], offset=offset[:8], weighting=("binomial", "log")
                                          ).hess([0.1, 0.2]), rtol=1e-12)


# weights of very different size

def exact_scores(A, eta, log_weight):
    with mpmath.workdps(1500):
        root = np.array([mpmath.exp(log_weight(mpmath.mpf(float(value))) / 2) for value in eta])
        return oracles.scores(root[:, None] * oracles.exact(A))


@pytest.mark.parametrize("name", ["logit", "cauchit", "cloglog", "probit"])
def test_underflow(rng, name):
    weighting, log_weight = EXACT[name]
    A = rng.normal(size=(12, 3))
    far = np.full(12, -800.0)
    far[:2] = rng.normal(size=2)
    cases = [np.where(np.arange(12) % 2, 6.0, -800.0) if name == "cloglog"
             else np.where(np.arange(12) % 2, 800.0, -800.0),
             np.r_[rng.normal(size=5), np.full(7, -800.0)],
             np.r_[rng.normal(size=5), rng.uniform(-800.0, 0.0, 7)],
             np.r_[rng.normal(size=3), np.full(9, -1700.0)]]
    for eta in cases + ([] if name == "probit" else [far]):
        at = np.zeros(3)
        leverage = LeverageMap(A, -eta, weighting=weighting)
        expected, found = exact_scores(A, eta, log_weight), leverage.scores(at)
        seen = expected > mpmath.mpf(10) ** -300
        assert_allclose(found[seen], expected[seen].astype(float), rtol=1e-12)
        assert np.all(found[~seen] < 1e-299)
        assert np.isfinite(leverage.jacobian(at)).all()
        for cls, target in ((ScoreLoss, np.full(12, 0.2)), (GradientLoss, np.ones(3))):
            loss = cls(A, -eta, target, weighting=weighting)
            hessian = loss.hess(at)
            assert_allclose(loss.hessp(at, np.ones(3)), hessian.sum(axis=1), rtol=1e-9,
                            atol=1e-9 * np.abs(hessian).max() + 1e-300)
        penalty = JeffreysPenalty(A, -eta, weighting=weighting)
        assert np.isfinite(penalty.fun(at))
        assert np.isfinite(penalty.hess(at)).all()


def test_weights_beyond_doubles_are_refused(rng):
    group = np.arange(12) < 6
    A = np.column_stack([np.ones(12), group, rng.normal(size=12)])
    at = np.zeros(3)

    def scores(eta, A=A):
        return LeverageMap(A, -eta, weighting="binomial").scores(at)

    moderate = np.where(group, 0.5, -50.0)
    assert_allclose(scores(moderate),
                    exact_scores(A, moderate, EXACT["logit"][1]).astype(float), rtol=1e-4)
    with pytest.raises(ValueError, match=r"rounding decides the scores: they differ by a factor of "
                                         r"exp\(799\)"):
        scores(np.where(group, 0.5, -800.0))
    with pytest.raises(ValueError, match=r"range of doubles: that of row 6 is exp\(-1599\) times"):
        scores(np.where(group, 0.5, -1600.0))
    apart = np.column_stack([group, ~group, rng.normal(size=12)]).astype(float)
    eta = np.where(group, 0.5, -700.0)               # the same, where no rounding occurs
    assert_allclose(scores(eta, apart), exact_scores(apart, eta, EXACT["logit"][1]).astype(float),
                    rtol=1e-12)


def test_ill_conditioned_designs_are_not_refused():
    grid = np.linspace(0.0, 1.0, 60)
    A = np.vander(grid, 12)
    x = np.linspace(-1.0, 1.0, 12)
    x[-2:] = 40.0, -20.0
    found = LeverageMap(A, weighting="binomial").scores(x)
    assert_allclose(found.sum(), 12.0, rtol=1e-6)


# storage

def stored(kind, A, tmp_path):
    if kind == "sparse":
        return scipy.sparse.csr_array(A)
    if kind == "memmap":
        path = pathlib.Path(tmp_path, "A.npy")
        np.save(path, A)
        return np.load(path, mmap_mode="r")
    if kind == "h5py":
        file = h5py.File(pathlib.Path(tmp_path, "A.h5"), "w")
        return file.create_dataset("A", data=A, chunks=(50, A.shape[1]))
    return dask.array.from_array(A, chunks=(70, A.shape[1]))


@pytest.mark.parametrize("kind", ["sparse", "memmap", "h5py", "dask"])
@pytest.mark.parametrize("name", ["logit", "cloglog", "Poisson", "inverse gaussian"])
def test_storage(rng, tmp_path, kind, name):
    A, b, x, prior, target = problem(rng, name, 240, 3, near_peak=False)
    A[rng.random(A.shape) < 0.3] = 0.0
    b, prior[:3] = A @ x - (A @ x - b), 0.0
    eta = rng.uniform(0.3, 2.0, 240)
    b = A @ x - eta
    held, v, given = stored(kind, A, tmp_path), rng.normal(size=3), {
        "weighting": MODELS[name], "prior_weights": prior}
    pairs_of = [(cls(A, b, *rest, **given), cls(held, b, *rest, **given)) for cls, rest in (
        (LeverageMap, ()), (ScoreLoss, (target,)), (GradientLoss, (v,)), (JeffreysPenalty, ()))]
    (dense, other), *losses = pairs_of
    assert_allclose(other.scores(x), dense.scores(x), rtol=1e-12)
    assert_allclose(other.jacobian(x), dense.jacobian(x), rtol=1e-9, atol=1e-14)
    for dense, other in losses:
        assert_allclose(other.fun(x), dense.fun(x), rtol=1e-11)
        close(other.grad(x), dense.grad(x))
        close(other.hess(x), dense.hess(x))
        close(other.hessp(x, v), dense.hess(x) @ v)
    eta[5] = -900.0
    far = LeverageMap(held, A @ x - eta, weighting=MODELS["logit"], prior_weights=prior)
    assert_allclose(far.scores(x), LeverageMap(A, A @ x - eta, weighting=MODELS["logit"],
                                               prior_weights=prior).scores(x), rtol=1e-12)


# messages

@pytest.mark.parametrize("call, error, message", [
    (lambda A: LeverageMap(A), TypeError, "b must hold real numbers.* only if a weighting is"),
    (lambda A: LeverageMap(A, np.zeros(8), offset=np.zeros(8)), ValueError, "b is -offset"),
    (lambda A: LeverageMap(A, weighting="binomail"), ValueError, "family must be one of"),
    (lambda A: LeverageMap(A, weighting=3), TypeError, "weighting must be"),
    (lambda A: LeverageMap(A, weighting="binomial", prior_weights=-1.0), ValueError,
     "prior_weights must be at least 0"),
    (lambda A: LeverageMap(A, weighting="binomial", prior_weights=0.0), ValueError,
     "prior_weights must not all be 0"),
    (lambda A: LeverageMap(A, weighting="binomial", prior_weights=np.ones(7)), ValueError,
     "prior_weights must have length 8"),
    (lambda A: LeverageMap(A, weighting="binomial", prior_weights=np.full(8, np.inf)), ValueError,
     "prior_weights must be finite"),
    (lambda A: LeverageMap(A, weighting="binomial", offset=np.zeros(3)), ValueError,
     "offset must have length 8"),
    (lambda A: LeverageMap(A, weighting=observed("binomial", "probit", np.ones(7))), ValueError,
     "got 7 responses for 8 rows"),
    (lambda A: LeverageMap(A, weighting=("binomial", "log")).scores([0.3, 0.0]), ValueError,
     r"x must keep the linear predictor in \(-inf, 0\) for a binomial regression with the log "
     r"link, got 0.3 in row 0"),
    (lambda A: ScoreLoss(A, None, np.zeros(8), weighting="binomial").hess_terms([0.1, 0.2]),
     ValueError, "hess_terms is for the weights 1/slack² of the paper, not for a logistic"),
    (lambda A: JeffreysPenalty(np.c_[A, A], weighting="binomial"), ValueError,
     "the penalty is -inf everywhere"),
    (lambda A: JeffreysPenalty(A, weighting="gamma").grad(np.zeros(2)), ValueError,
     "x must have no zero slack, got one in row 0: the penalty is inf"),
    (lambda A: LeverageMap(A, weighting=observed("binomial", "cauchit", np.r_[np.zeros(7), 1.0]),
                           offset=np.full(8, -3.0)).scores(np.zeros(2)), ValueError,
     "x must keep the weights of observed information positive, got -0.0899 in row 7"),
])
def test_messages(call, error, message):
    A = np.column_stack([np.ones(8), np.arange(8.0)])
    with pytest.raises(error, match=message):
        call(A)


def test_no_warnings_where_weights_are_infinite_or_zero(rng):
    """pytest makes errors of them."""
    A, prior = rng.normal(size=(8, 2)), np.r_[0.0, np.ones(7)]
    for weighting in (power(3.0), "gamma", "inverse-gaussian", ("gaussian", "sqrt")):
        found = LeverageMap(A, np.r_[0.0, np.ones(7)], weighting=weighting, prior_weights=prior)
        assert found.scores(np.zeros(2))[0] == 0.0
        assert np.isfinite(found.jacobian(np.zeros(2))).all()
    for link, far in (("cloglog", 800.0), ("loglog", -800.0), ("probit", 1e200)):
        found = LeverageMap(A, np.r_[-far, np.ones(7)], weighting=("binomial", link))
        assert found.scores(np.zeros(2))[0] == 0.0
        assert np.isfinite(found.jacobian(np.zeros(2))).all()
        penalty = JeffreysPenalty(A, np.r_[-far, np.ones(7)], weighting=("binomial", link))
        assert np.isfinite(penalty.hess(np.zeros(2))).all()
