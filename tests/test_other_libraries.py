"""Hat values as statsmodels has them, on data that come with statsmodels and scikit-learn."""
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.special import expit

from levinv import JeffreysPenalty, leverage_scores

datasets = pytest.importorskip("sklearn.datasets")
sm = pytest.importorskip("statsmodels.api")


def with_constant(columns):
    columns = np.asarray(columns, dtype=float)
    return np.column_stack([np.ones(len(columns)), columns])


def statsmodels_data(name):
    data = getattr(sm.datasets, name).load()
    response = np.asarray(data.endog, dtype=float)
    return with_constant(data.exog), response if response.ndim == 1 else response[:, 0]


def hat_values(model):
    return model.fit().get_influence().hat_matrix_diag


@pytest.mark.parametrize("method", ["auto", "qr"])
@pytest.mark.parametrize("name",
                         ["anes96", "cancer", "ccard", "committee", "copper", "cpunish", "engel",
                          "fair", "heart", "longley", "modechoice", "randhie", "scotland",
                          "spector", "stackloss", "star98", "statecrime"])
def test_regression_on_data_of_statsmodels(name, method):
    design, response = statsmodels_data(name)
    # longley's condition number is 5e9 before its columns are scaled, which statsmodels does not do
    atol = 1e-10 if name == "longley" else 1e-12
    expected = hat_values(sm.OLS(response, design))
    assert_allclose(leverage_scores(design, method=method), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("name", ["breast_cancer", "diabetes", "iris", "linnerud", "wine"])
def test_regression_on_data_of_scikit_learn(name):
    design = with_constant(getattr(datasets, f"load_{name}")().data)
    expected = hat_values(sm.OLS(design[:, 1], design))
    assert_allclose(leverage_scores(design), expected, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")
def test_rank_deficient_images():
    design = with_constant(datasets.load_digits().data)        # three pixels are never touched
    scores = leverage_scores(design)
    assert scores.sum() == pytest.approx(62)
    assert_allclose(scores, hat_values(sm.OLS(design[:, 1], design)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name, family, variance", [
    ("spector", "Binomial", lambda mean: mean * (1 - mean)),
    ("cpunish", "Poisson", lambda mean: mean)])
def test_weights_of_generalised_linear_models(name, family, variance):
    design, response = statsmodels_data(name)
    fit = sm.GLM(response, design, family=getattr(sm.families, family)()).fit()
    scores = leverage_scores(design, weights=variance(np.asarray(fit.mu)))
    assert_allclose(scores, fit.get_influence().hat_matrix_diag, rtol=0, atol=1e-12)


def test_studentised_residuals():
    design, response = statsmodels_data("stackloss")
    residuals = response - design @ np.linalg.lstsq(design, response, rcond=None)[0]
    scores = leverage_scores(design)
    scale = np.sqrt(residuals @ residuals / (len(response) - design.shape[1]))
    studentised = residuals / (scale * np.sqrt(1 - scores))
    influence = sm.OLS(response, design).fit().get_influence()
    assert_allclose(studentised, influence.resid_studentized_internal, rtol=1e-11)


@pytest.mark.parametrize("separate", [False, True])
def test_firth_regression(separate):
    firthmodels = pytest.importorskip("firthmodels")
    rng = np.random.default_rng(3)
    A = with_constant(rng.standard_normal((80, 3)))
    y = (rng.random(80) < expit(A @ [0.5, 1.0, -1.0, 0.0])).astype(float)
    if separate:
        A[:, 3] = 0.0
        A[np.flatnonzero(y)[:5], 3] = 1.0                # all of them with the response 1
    penalty = JeffreysPenalty(A, weighting="binomial")

    def weighted_gram(x):
        p = expit(A @ x)
        return A.T @ ((p * (1 - p))[:, None] * A)

    found = minimize(
        lambda x: np.logaddexp(0, A @ x).sum() - y @ A @ x - penalty.fun(x), np.zeros(4),
        jac=lambda x: A.T @ (expit(A @ x) - y) - penalty.grad(x),
        hess=lambda x: weighted_gram(x) - penalty.hess(x), method="trust-exact",
        options={"gtol": 1e-7})
    peer = firthmodels.FirthLogisticRegression(gtol=1e-7, xtol=1e-8, max_iter=200).fit(A[:, 1:], y)
    assert found.success
    assert_allclose(found.x, [peer.intercept_, *peer.coef_], rtol=0, atol=1e-6)
