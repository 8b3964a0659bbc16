"""ScoreLoss against 60-digit values, literal formulas, finite differences and SciPy's
minimisers.
"""
import mpmath
import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose

import oracles
from levinv import LeverageMap, ScoreLoss
from levinv.forward.score_hessian import ScoreHessian


def relative(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.fixture
def problem(rng):
    A, b, x = rng.standard_normal((25, 4)), rng.standard_normal(25), rng.standard_normal(4)
    return A, b, x, rng.uniform(-0.2, 1.2, 25), rng.uniform(0.0, 0.5, 25)


def second_order(loss, x):
    return loss._score_hessian(np.asarray(x))


# 60-digit values

def test_golden(golden):
    loss = ScoreLoss(golden["A"], golden["b"], golden["c"])
    x, hessian = golden["x"], golden["loss_hessian"]
    rtol = 1e-8 if golden["name"] == "graded" else 1e-10
    v = np.linspace(-1.0, 2.0, len(x))
    assert relative(loss.fun(x), golden["loss"]) < rtol
    assert relative(loss.grad(x), golden["loss_gradient"]) < rtol
    assert relative(loss.hess(x), hessian) < rtol
    assert relative(loss.hessp(x, v), hessian @ v) < rtol
    assert relative(loss.hess_terms(x).sum(axis=0), hessian) < rtol
    assert relative(sum(loss.hess_terms(x, row=i) for i in range(len(golden["A"]))).sum(axis=0),
                    hessian) < rtol


@pytest.mark.parametrize("form", ["_short", "_tall"])
def test_both_forms_on_golden(golden, form):
    loss = ScoreLoss(golden["A"], golden["b"], golden["c"])
    out = getattr(second_order(loss, golden["x"]), form)()
    assert (relative(0.5 * (out + out.T), golden["loss_hessian"])
            < (1e-8 if golden["name"] == "graded" else 1e-10))


# definitions

def test_terms_are_the_papers(problem):
    A, b, x, c, _ = problem
    loss = ScoreLoss(A, b, c)
    for row in (0, 7, 24):
        assert_allclose(loss.hess_terms(x, row=row),
                        oracles.loss_hessian_terms(A, A @ x - b, c, row), rtol=1e-9, atol=1e-11)
    total = sum(oracles.loss_hessian_terms(A, A @ x - b, c, row) for row in range(25))
    assert_allclose(loss.hess_terms(x), total, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("n, d", [(4, 4), (5, 4), (40, 9), (300, 3), (1500, 12)])
def test_forms_agree(rng, n, d):
    A, b, x, c = (rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal(d),
                  rng.random(n))
    loss = ScoreLoss(A, b, c)
    at = second_order(loss, x)
    scale = np.abs(at._short()).max()
    assert_allclose(at._tall(), at._short(), rtol=0, atol=1e-11 * scale)
    v = rng.standard_normal(d)
    assert_allclose(loss.hessp(x, v), loss.hess(x) @ v, rtol=0, atol=1e-11 * scale)


def test_derivatives(problem):
    A, b, x, c, ridge = problem
    loss = ScoreLoss(A, b, c, ridge=ridge)
    v = np.array([0.3, -1.0, 0.5, 0.2])
    assert_allclose(loss.grad(x) @ v, oracles.central_difference(loss.fun, x, v, 1e-4), rtol=1e-8)
    assert_allclose(loss.hessp(x, v), oracles.central_difference(loss.grad, x, v, 1e-4), rtol=1e-7)
    assert_allclose(loss.hess(x) @ v, loss.hessp(x, v), rtol=1e-10)
    assert_allclose(loss.hess(x), loss.hess(x).T)


def test_ridge(problem):
    A, b, x, c, ridge = problem
    plain, regularised = ScoreLoss(A, b, c), ScoreLoss(A, b, c, ridge=ridge)
    fitted = ridge * (A @ x)
    assert_allclose(regularised.fun(x) - plain.fun(x), 0.5 * fitted @ fitted, rtol=1e-12)
    assert_allclose(regularised.hess(x) - plain.hess(x), A.T @ np.diag(ridge ** 2) @ A, rtol=1e-9,
                    atol=1e-10)
    assert_allclose(regularised.hess_terms(x), plain.hess_terms(x))
    assert_allclose(ScoreLoss(A, b, c, ridge=0.3).grad(x),
                    ScoreLoss(A, b, c, ridge=np.full(25, 0.3)).grad(x))
    value, grad = regularised.fun_and_grad(x)
    assert value == regularised.fun(x)
    assert_allclose(grad, regularised.grad(x))
    assert_allclose(0.5 * np.sum(regularised.residuals(x) ** 2), value)
    assert_allclose(regularised.residuals_jac(x).T @ regularised.residuals(x), grad, rtol=1e-10)


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-12, 1e-100])
@pytest.mark.parametrize("n", [12, 400])
def test_near_a_zero_slack(n, size):
    rng = np.random.default_rng(n)
    A, slack, c = rng.standard_normal((n, 3)), rng.uniform(0.5, 2.0, n), rng.random(n)
    slack[4] = size
    loss, x, v = ScoreLoss(A, -slack, c), np.zeros(3), np.array([1.0, -2.0, 0.5])
    at = second_order(loss, x)
    scale = np.abs(at._short()).max()
    assert_allclose(at._tall(), at._short(), rtol=0, atol=1e-10 * scale)
    assert_allclose(loss.hessp(x, v), loss.hess(x) @ v, rtol=0, atol=1e-10 * scale)
    if n == 12:
        with mpmath.workdps(450):
            exact = (oracles.exact(A), oracles.exact(slack), oracles.exact(c))
            expected = sum(oracles.loss_hessian_terms(*exact, i).sum(axis=0)
                           for i in range(n)).astype(float)
        assert relative(loss.hess(x), expected) < 1e-10


def test_at_a_zero_slack_and_with_zero_rows(rng):
    A, slack, c = rng.standard_normal((12, 3)), rng.uniform(0.5, 2.0, 12), rng.random(12)
    A[7] = 0.0
    slack[[4, 7]] = 0.0
    loss, x = ScoreLoss(A, -slack, c), np.zeros(3)
    slack[4], slack[7] = 1e-9, 1.0
    near = ScoreLoss(A, -slack, c)
    scale = np.abs(near.hess(x)).max()
    assert_allclose(loss.grad(x), near.grad(x), rtol=1e-7, atol=1e-8)
    assert_allclose(loss.hess(x), near.hess(x), rtol=0, atol=1e-7 * scale)
    assert_allclose(loss.hessp(x, x + 1), near.hess(x) @ (x + 1), rtol=0, atol=1e-7 * scale)
    assert np.isfinite(loss.hess_terms(x)).all()


def test_rank_deficient(rng):
    A, b, c = rng.standard_normal((12, 3)), rng.standard_normal(12), rng.random(12)
    wide = np.column_stack([A, A @ [1.0, 1.0, 0.0]])
    loss, x = ScoreLoss(wide, b, c), np.array([0.1, 0.2, 0.3, 0.4])
    expected = ScoreLoss(A, b, c).hess(x[:3] + x[3] * np.array([1.0, 1.0, 0.0]))
    assert_allclose(loss.hess(x)[:3, :3], expected, rtol=1e-8)
    assert_allclose(loss.hess(x) @ [1.0, 1.0, 0.0, -1.0], 0.0, atol=1e-9 * np.abs(expected).max())


def test_point_is_shared(problem, monkeypatch):
    A, b, x, c, _ = problem
    loss = ScoreLoss(A, b, c)
    built = []
    original = ScoreHessian.__init__
    monkeypatch.setattr(ScoreHessian, "__init__",
                        lambda self, *args: built.append(1) or original(self, *args))
    loss.hess(x)
    loss.hessp(x, x)
    loss.hess_terms(x)
    assert len(built) == 1


# SciPy

@pytest.mark.parametrize("method, second", [("trust-exact", "hess"), ("trust-krylov", "hessp"),
                                            ("Newton-CG", "hessp"), ("L-BFGS-B", None)])
def test_scipy_minimisers(rng, method, second):
    A, x = rng.standard_normal((60, 4)), rng.standard_normal(4)
    b = A @ x - rng.uniform(1.0, 3.0, 60)
    loss = ScoreLoss(A, b, LeverageMap(A, b).scores(x))
    given = {} if second is None else {second: getattr(loss, second)}
    found = scipy.optimize.minimize(loss.fun, x + 1e-3, jac=loss.grad, method=method, tol=1e-8,
                                    **given)
    assert_allclose(found.x, x, rtol=0, atol=1e-4)


def test_scipy_least_squares(rng):
    A, b, x = rng.standard_normal((60, 4)), rng.standard_normal(60), rng.standard_normal(4)
    loss = ScoreLoss(A, b, LeverageMap(A, b).scores(x), ridge=1e-9)
    found = scipy.optimize.least_squares(loss.residuals, x + 1e-3, jac=loss.residuals_jac,
                                         xtol=1e-15, gtol=1e-15)
    assert_allclose(found.x, x, rtol=0, atol=1e-7)


# refusals

@pytest.mark.parametrize("change, error, message", [
    ({"scores": np.full(25, np.nan)}, ValueError, "scores must be finite"),
    ({"scores": np.ones(24)}, ValueError, "scores must have length 25"),
    ({"ridge": -1.0}, ValueError, "ridge must be at least 0"),
    ({"ridge": np.full(25, -1.0)}, ValueError, "ridge must be at least 0"),
    ({"ridge": np.ones(3)}, ValueError, "ridge must have length 25"),
    ({"ridge": "strong"}, TypeError, "ridge must be a real number"),
    ({"A": np.ones(3)}, ValueError, "A must be a two-dimensional"),
])
def test_bad_input(problem, change, error, message):
    A, b, _, c, _ = problem
    with pytest.raises(error, match=message):
        ScoreLoss(**({"A": A, "b": b, "scores": c} | change))


@pytest.mark.parametrize("row, error",
                         [(25, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_bad_row(problem, row, error):
    A, b, x, c, _ = problem
    with pytest.raises(error, match="row must be"):
        ScoreLoss(A, b, c).hess_terms(x, row=row)


def test_bad_point(problem):
    A, b, x, c, _ = problem
    loss = ScoreLoss(A, b, c)
    with pytest.raises(ValueError, match="x must"):
        loss.hess(x[:2])
    with pytest.raises(ValueError, match="p must"):
        loss.hessp(x, x[:2])


def test_terms_at_a_zero_slack_have_a_sum(rng):
    A, slack, c = rng.standard_normal((12, 3)), rng.uniform(0.5, 2.0, 12), rng.random(12)
    slack[[4, 9]] = 0.0
    loss, x = ScoreLoss(A, -slack, c), np.zeros(3)
    terms, hessian = loss.hess_terms(x), loss.hess(x)
    assert_allclose(terms.sum(axis=0), hessian, atol=1e-12 * np.abs(hessian).max())
    rows = sum(loss.hess_terms(x, row=row) for row in range(12))
    assert_allclose(rows, terms, atol=1e-12 * np.abs(terms).max())


def test_terms_of_a_matrix_of_zeros(capfd):
    assert not ScoreLoss(np.zeros((3, 2)), np.ones(3), np.ones(3)).hess_terms(np.zeros(2)).any()
    assert capfd.readouterr() == ("", "")            # nor does BLAS complain
