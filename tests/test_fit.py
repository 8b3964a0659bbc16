"""Fisher scoring: the coefficients of statsmodels, and data that have no fit."""
import warnings

import numpy as np
import pytest

from levinv.models.fit import FitError, Regression, fit
from levinv.models.hat_values import scores_of
from levinv.models.likelihood import likelihood
from levinv.weighting import glm
from levinv.weighting.names import FAMILIES, LINKS

N = 200
RNG = np.random.default_rng(3)
A = np.column_stack([np.ones(N), RNG.standard_normal((N, 3))])
ETA = A @ [-0.3, 0.4, -0.2, 0.3]
MEAN, POSITIVE = np.exp(ETA), ETA / 3.0 + 2.0
VOTES = (RNG.uniform(size=N) < 1.0 / (1.0 + np.exp(-ETA))) * 1.0
COUNTS = RNG.poisson(MEAN) * 1.0

CASES = [                       # family, link, statsmodels' family and link, responses, parameters
    *(("binomial", link, "Binomial", name, VOTES, {}) for link, name in (
        ("logit", "Logit"), ("probit", "Probit"), ("cauchit", "Cauchy"), ("cloglog", "CLogLog"),
        ("loglog", "LogLog"))),
    ("binomial", "log", "Binomial", "Log", (RNG.uniform(size=N) < np.exp(ETA / 4 - 1.5)) * 1., {}),
    ("binomial", "logit", "Binomial", "Logit", RNG.binomial(9, 0.4, N) / 9.0, {}),
    ("poisson", "log", "Poisson", "Log", COUNTS, {}),
    ("poisson", "sqrt", "Poisson", "Sqrt", RNG.poisson(POSITIVE ** 2) * 1.0, {}),
    ("poisson", "identity", "Poisson", "Identity", RNG.poisson(POSITIVE) * 1.0, {}),
    ("gamma", "log", "Gamma", "Log", RNG.gamma(2.0, MEAN / 2), {}),
    ("gamma", "inverse", "Gamma", "InversePower", RNG.gamma(2.0, 0.5 / POSITIVE), {}),
    ("gamma", "identity", "Gamma", "Identity", RNG.gamma(2.0, POSITIVE / 2), {}),
    ("gaussian", "identity", "Gaussian", "Identity", ETA + RNG.standard_normal(N), {}),
    ("gaussian", "log", "Gaussian", "Log", MEAN + 0.5 * RNG.standard_normal(N), {}),
    ("gaussian", "inverse", "Gaussian", "InversePower",
     1.0 / POSITIVE + 0.05 * RNG.standard_normal(N), {}),
    ("inverse-gaussian", "inverse-squared", "InverseGaussian", "InverseSquared",
     RNG.wald(POSITIVE ** -0.5, 2.0), {}),
    ("inverse-gaussian", "log", "InverseGaussian", "Log", RNG.wald(MEAN, 2.0), {}),
    ("negative-binomial", "log", "NegativeBinomial", "Log", COUNTS, {"alpha": 0.5}),
    ("negative-binomial", "canonical", "NegativeBinomial", "NegativeBinomial", COUNTS,
     {"alpha": 0.5}),
    ("tweedie", "log", "Tweedie", "Log", COUNTS * RNG.gamma(2.0, 1.0, N), {"power": 1.5}),
]


def fitted(family, link, design, y, offset=None, prior=None, **parameters):
    names = [f"x{j}" for j in range(design.shape[1])]
    return fit(Regression(likelihood(family, link, **parameters), design, names,
                          np.asarray(y, dtype=float), offset, prior))


@pytest.mark.parametrize("more", ["plain", "offset and weights"])
@pytest.mark.parametrize("family, link, theirs, name, y, parameters", CASES,
                         ids=[f"{case[0]}-{case[1]}-{row}" for row, case in enumerate(CASES)])
def test_is_the_fit_of_statsmodels(family, link, theirs, name, y, parameters, more):
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(8)
    offset, prior = (None, None) if more == "plain" else (
        rng.uniform(-0.1, 0.1, N), rng.integers(0, 4, N) * 1.0)
    given = {"var_power" if key == "power" else key: value for key, value in parameters.items()}
    inverse = getattr(sm.families.links, name)
    inverse = inverse(0.5) if name == "NegativeBinomial" else inverse()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        of = getattr(sm.families, theirs)(inverse, **given)
        reference = sm.GLM(y, A, family=of, offset=offset, var_weights=prior).fit(
            tol=1e-13, tol_criterion="params", maxiter=300)
        hat_values = reference.get_hat_matrix_diag(observed=False)
    found = fitted(family, link, A, y, offset, prior, **parameters)
    np.testing.assert_allclose(found.params, reference.params, rtol=0, atol=1e-10)
    np.testing.assert_allclose(scores_of(found), hat_values, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.mean, reference.fittedvalues, rtol=1e-9)


def pairs():
    """Every family and link that levinv has weights of."""
    for family in FAMILIES:
        for link in LINKS:
            parameters = {"negative-binomial": {"alpha": 0.5}, "tweedie": {"power": 1.5}}.get(
                family, {})
            try:
                glm(family, link, **parameters)
            except ValueError:
                continue
            yield family, link, parameters


@pytest.mark.parametrize("family, link, parameters", list(pairs()))
def test_parts_of_likelihoods(family, link, parameters):
    of = likelihood(family, link, **parameters)
    mean = np.linspace(0.05, 0.95, 7)
    eta = of.link.link(mean)
    np.testing.assert_allclose(of.link.mean(eta), mean, rtol=1e-12)
    np.testing.assert_allclose(of.link.rest(eta), 1.0 - mean, rtol=1e-12)
    slope = (of.link.mean(eta + 1e-6) - of.link.mean(eta - 1e-6)) / 2e-6
    np.testing.assert_allclose(of.link.slope(eta), slope, rtol=1e-7)
    np.testing.assert_allclose(np.exp(of.weighting.log_weight(eta)),
                               of.link.slope(eta) ** 2 / of.family.variance(mean)[0], rtol=1e-11)
    assert of.possible(eta)
    # the derivative of the deviance is -2 (y - μ)/V, and it is 0 at y = μ
    y = mean[::-1]
    np.testing.assert_allclose(of.unit_deviance(y, y, 1.0 - y), 0.0, atol=1e-12)
    change = (of.unit_deviance(y, mean + 1e-6, 1.0 - mean - 1e-6)
              - of.unit_deviance(y, mean - 1e-6, 1.0 - mean + 1e-6)) / 2e-6
    np.testing.assert_allclose(change, -2.0 * (y - mean) / of.family.variance(mean)[0],
                               rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("family, link, y", [
    ("binomial", "probit", VOTES), ("binomial", "cauchit", VOTES), ("poisson", "log", COUNTS),
    ("gamma", "log", MEAN + 0.1), ("gaussian", "log", MEAN + 0.1)])
@pytest.mark.parametrize("first, columns", [(20.0, 7), (1900.0, 4), (1900.0, 5)])
def test_columns_that_are_almost_dependent(family, link, y, first, columns):
    year = np.linspace(first, first + 60.0, N)
    design = np.vander(year, columns, increasing=True)        # of condition up to 1e20
    found = fitted(family, link, design, y)
    basis = np.linalg.qr(np.vander((year - first - 30.0) / 30.0, columns))[0]
    np.testing.assert_allclose(found.mean, fitted(family, link, basis, y).mean, rtol=1e-4)


def test_an_offset_far_from_the_mean():
    found = fitted("poisson", "identity", A, COUNTS + 1.0, offset=np.full(N, -100.0))
    near = fitted("poisson", "identity", A, COUNTS + 1.0)
    np.testing.assert_allclose(found.params, near.params + [100.0, 0.0, 0.0, 0.0], rtol=1e-8)


def test_what_else_a_fit_has():
    found = fitted("binomial", "logit", A, VOTES)
    assert found.kind == "a logistic regression"
    assert found.dispersion == 1.0
    assert fitted("gamma", "log", A, MEAN).dispersion is None
    np.testing.assert_allclose(found.variance, found.mean * (1.0 - found.mean))
    assert type(likelihood("binomial", "canonical").weighting) is type(glm("binomial"))


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_units_of_columns_do_not_matter(scale):
    one, other = (fitted("binomial", "probit", A * np.array([1.0, unit, 1.0, 1.0 / unit]), VOTES)
                  for unit in (1.0, scale))
    np.testing.assert_allclose(other.params * [1.0, scale, 1.0, 1.0 / scale], one.params,
                               rtol=1e-9)


def test_far_responses_and_predictors():
    exact = fitted("gaussian", "identity", A, 1e12 * (A @ [1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_allclose(exact.params, [1e12, 2e12, 3e12, 4e12], rtol=1e-13)
    counts = np.random.default_rng(0).poisson(np.exp(A @ [15.0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(fitted("poisson", "log", A, counts).params, [15.0, 1.0, 1.0, 1.0],
                               rtol=1e-3)
    lever = A[:, :2].copy()
    lever[-1, 1] = 500.0                        # a probability of 1 to double precision is a fit
    y = VOTES.copy()
    y[-1] = 1.0
    found = fitted("binomial", "logit", lever, y)
    assert found.mean[-1] > 1.0 - 1e-10


class TestNoFit:
    @pytest.mark.parametrize("link", ["logit", "probit", "cauchit", "cloglog", "loglog"])
    def test_separated(self, link):
        y = A[:, 2] > 0.2
        with pytest.raises(FitError, match="separated: a combination of columns divides ones"):
            fitted("binomial", link, A, y)
        design, y = A.copy(), y * 1.0
        design[:20, 2], y[:20] = 0.2, np.arange(20) % 2           # but for ties
        with pytest.raises(FitError, match="separated") as caught:
            fitted("binomial", link, design, y)
        assert caught.value.columns == [0, 2]

    @pytest.mark.parametrize("family, parameters", [
        ("poisson", {}), ("negative-binomial", {"alpha": 1.0}), ("tweedie", {"power": 1.5})])
    def test_a_group_of_zeros(self, family, parameters):
        group = np.arange(N) < 15
        with pytest.raises(FitError, match="separated: .* zeros and other responses") as caught:
            fitted(family, "log", np.column_stack([A, group]), np.where(group, 0.0, COUNTS + 1.0),
                   **parameters)
        assert caught.value.columns == [4]

    @pytest.mark.parametrize("family, link, y, message", [
        ("binomial", "logit", np.ones(N), "all responses are 1, so that coefficients grow"),
        ("poisson", "log", np.zeros(N), "all responses are 0, so that coefficients grow"),
        ("gamma", "log", COUNTS, "gamma regression with the log link must be above 0, got 0"),
        ("binomial", "logit", COUNTS, "logistic regression must be from 0 to 1, got"),
        ("poisson", "log", -MEAN, "must be at least 0, got -"),
    ])
    def test_responses(self, family, link, y, message):
        with pytest.raises(FitError, match=message):
            fitted(family, link, A, y)

    def test_dependent_columns(self):
        design = np.column_stack([A, A[:, 1] - 2.0 * A[:, 3]])
        with pytest.raises(FitError, match="linearly dependent") as caught:
            fitted("poisson", "log", design, COUNTS)
        assert caught.value.columns == [1, 3, 4]
        with pytest.raises(FitError, match="4 coefficients are not determined by 3 rows"):
            fitted("gaussian", "identity", A[:3], ETA[:3])
        prior = np.zeros(N)
        with pytest.raises(FitError, match="a prior weight must be above 0"):
            fitted("gaussian", "identity", A, ETA, prior=prior)
        prior[:3] = 1.0
        with pytest.raises(FitError, match="not determined by 3 rows"):
            fitted("gaussian", "identity", A, ETA, prior=prior)

    def test_no_start(self):
        with pytest.raises(FitError, match="no start of the fit is known"):
            fitted("gamma", "inverse", A[:, 1:], MEAN)

    def test_maximum_at_the_edge(self):
        with pytest.raises(FitError, match="does not converge.* where means leave their range"):
            fitted("binomial", "log", A, A[:, 2] > 0.2)
