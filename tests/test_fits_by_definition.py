"""Fits of every supported kind against the definitions, written out.

A fit has the weights w = v μ'²/V and the penalties λ. Its hat values are the squared row norms of
an orthonormal basis of diag(√w) A above diag(√λ), and its diagnostics those of one step of Fisher
scoring without a row, from a QR factorisation of the rows that are left. Nothing here is computed
by levinv, and from the libraries come the coefficients alone.
"""
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.api as sm
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from sklearn import linear_model
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.outliers_influence import OLSInfluence

from levinv import diagnostics, hat_values

FAMILY, LINK = sm.families, sm.families.links
NORMAL = scipy.stats.norm
DATA = sm.datasets

# μ and μ' by η
LINKS = {"logit": (lambda e: 1 / (1 + np.exp(-e)), lambda e: 1 / (2 + np.exp(e) + np.exp(-e))),
         "probit": (NORMAL.cdf, NORMAL.pdf),
         "cloglog": (lambda e: 1 - np.exp(-np.exp(e)), lambda e: np.exp(e - np.exp(e))),
         "loglog": (lambda e: np.exp(-np.exp(-e)), lambda e: np.exp(-e - np.exp(-e))),
         "cauchit": (lambda e: 0.5 + np.arctan(e) / np.pi, lambda e: 1 / (np.pi * (1 + e ** 2))),
         "identity": (lambda e: e, np.ones_like), "log": (np.exp, np.exp),
         "sqrt": (lambda e: e ** 2, lambda e: 2 * e),
         "inverse": (lambda e: 1 / e, lambda e: -1 / e ** 2),
         "1/mu^2": (lambda e: e ** -0.5, lambda e: -0.5 * e ** -1.5)}


def binomial(mean):
    return mean * (1 - mean)


def power(p):
    return lambda mean: mean ** p


def negative_binomial(alpha):
    return lambda mean: mean + alpha * mean ** 2


def case(fit, link, variance, *, known=False, own=None, given=((), {}), y=None, A=None, shift=0.0,
         prior=1.0, counts=1.0, ridge=0.0, params=None):
    """A fit, and what defines its hat values. ``own``: hat values of the library that fitted it."""
    A = np.asarray(fit.model.exog if A is None else A, dtype=float)
    return SimpleNamespace(
        fit=fit, A=A, y=np.asarray(fit.model.endog if y is None else y, dtype=float), own=own,
        x=np.asarray(fit.params if params is None else params, dtype=float)[:A.shape[1]],
        link=LINKS[link], variance=variance, shift=np.asarray(shift), known=known, given=given,
        prior=np.broadcast_to(prior, len(A)).astype(float), penalised=bool(np.any(ridge)),
        counts=np.broadcast_to(counts, len(A)), ridge=np.broadcast_to(ridge, A.shape[1]))


# --- linear models of statsmodels ----------------------------------------------------------------

def stackloss():
    data = DATA.stackloss.load_pandas()
    return data.endog, sm.add_constant(data.exog)


def linear(method="OLS", weights=1.0, **given):
    y, A = stackloss()
    given |= {"weights": weights} if method == "WLS" else {}
    fit = getattr(sm, method)(y, A, **given).fit()
    # of the scaled rows statsmodels has h/√w
    return case(fit, "identity", power(0), prior=weights,
                own=np.sqrt(weights) * OLSInfluence(fit).hat_matrix_diag)


def categories():
    cards = DATA.ccard.load_pandas().data
    cards["AGE"] = pd.qcut(cards["AGE"], 3, labels=list("abc"))
    fit = smf.ols("AVGEXP ~ C(AGE) * INCOME + OWNRENT", cards).fit()
    return case(fit, "identity", power(0), own=fit.get_influence().hat_matrix_diag)


def missing():
    y, A = stackloss()
    y, A = y.copy(), A.copy()
    y[3], A.iloc[7, 1] = np.nan, np.nan
    weights = np.linspace(0.5, 2.0, len(y))
    kept = np.delete(np.arange(len(y)), [3, 7])
    fit = sm.WLS(y, A, weights=weights, missing="drop").fit()
    return case(fit, "identity", power(0), A=A.iloc[kept], y=y[kept], prior=weights[kept])


# --- generalised linear models of statsmodels ----------------------------------------------------

def glm(y, A, family, link, variance, shift=0.0, prior=1.0, counts=1.0, scale=None,
        **given):
    fit = sm.GLM(y, A, family=family, **given).fit(tol=1e-14, maxiter=300, scale=scale)
    return case(fit, link, variance, shift=shift, prior=prior, counts=counts,
                known=scale is None and isinstance(family, (
                    FAMILY.Binomial, FAMILY.Poisson, FAMILY.NegativeBinomial)),
                own=fit.get_hat_matrix_diag(observed=False))


def votes(link="logit", of=LINK.Logit, **given):
    data = DATA.spector.load_pandas()
    return glm(data.endog, sm.add_constant(data.exog), FAMILY.Binomial(of()), link, binomial,
               **given)


def trials():
    data = DATA.star98.load_pandas()
    A = sm.add_constant(data.exog.iloc[:, :6])
    found = glm(data.endog, A, FAMILY.Binomial(), "logit", binomial, prior=data.endog.sum(axis=1))
    assert found.y.max() <= 1.0                       # the share of successes
    return found


def executions(family, variance, **given):
    data = DATA.cpunish.load_pandas()
    A = sm.add_constant(data.exog[["INCOME", "PERPOVERTY", "SOUTH"]] / [1e4, 10.0, 1.0])
    return glm(data.endog, A, family, "log", variance, **given)


def council_tax(family, link, variance, **given):
    data = DATA.scotland.load_pandas()
    A = sm.add_constant(data.exog[["COUTAX", "UNEMPF", "AGE"]] / [100.0, 10.0, 10.0])
    return glm(data.endog / 50.0, A, family, link, variance, **given)


def formula():
    cards = DATA.ccard.load_pandas().data
    time = np.linspace(1.0, 3.0, len(cards))
    cards.loc[5, "INCOME"] = np.nan
    kept = np.delete(np.arange(len(cards)), 5)
    fit = smf.glm("OWNRENT ~ INCOME + C(AGE > 30)", cards, family=FAMILY.Binomial(),
                  offset=time / 5).fit(tol=1e-14)
    return case(fit, "logit", binomial, shift=time[kept] / 5, known=True,
                own=fit.get_hat_matrix_diag(observed=False))


# --- discrete models of statsmodels --------------------------------------------------------------

def discrete(model, link, variance, own=False, **given):
    data = DATA.spector.load_pandas()
    fit = model(data.endog, sm.add_constant(data.exog), **given).fit(disp=False, tol=1e-12)
    return case(fit, link, variance, known=True,
                own=fit.get_influence().hat_matrix_diag if own else None)


def bills(model="Poisson", **given):
    """Bills of 20 committees, by their size and prestige."""
    data = DATA.committee.load_pandas()
    A = sm.add_constant(data.exog[["SIZE", "PRESTIGE"]] / [50.0, 1.0])
    offset = np.log(data.exog["STAFF"])
    fit = getattr(sm, model)(data.endog, A, **{
        name: offset if name == "offset" else np.exp(offset) if name == "exposure" else value
        for name, value in given.items()}).fit(disp=False, maxiter=500, gtol=1e-10)
    form, alpha = given.get("loglike_method", "nb2"), np.asarray(fit.params)[-1]
    known = {"shift": offset if {"offset", "exposure"} & set(given) else 0.0, "known": True}
    if model == "Poisson":
        return case(fit, "log", power(1), own=fit.get_influence().hat_matrix_diag, **known)
    if form == "nb1":
        return case(fit, "log", power(1), prior=1 / (1 + alpha), **known)
    return case(fit, "log", negative_binomial(1.0 if form == "geometric" else alpha), **known)


# --- scikit-learn --------------------------------------------------------------------------------

def learned(estimator, response, link, variance, penalty=lambda total: 0.0, *, weighted=False,
            known=False, scale=True, intercept_penalty=0.0):
    """A fit to the 32 students, whose responses are made from real columns."""
    data = DATA.spector.load_pandas()
    X = data.exog.to_numpy()
    gpa, tuce, psi = X.T
    y = {"binary": data.endog.to_numpy(), "real": gpa, "positive": tuce,
         "counts": np.floor(tuce / 5)}[response]
    X = np.column_stack([tuce if response == "real" else gpa, psi, gpa * psi])
    weights = np.linspace(0.2, 2.0, len(y))
    weights[4] = 0.0
    given = {"sample_weight": weights} if weighted else {}
    model = make_pipeline(StandardScaler(), estimator) if scale else estimator
    if scale:
        model.fit(X, y, **{f"{model.steps[-1][0]}__{name}": value for name, value in given.items()})
    else:
        model.fit(X, y, **given)
    A = (X - X.mean(axis=0)) / X.std(axis=0) if scale else X
    prior = weights if weighted else np.ones(len(y))
    ridge, params = np.full(3, penalty(prior.sum())), np.ravel(estimator.coef_)
    if estimator.fit_intercept:
        A, ridge = np.column_stack([np.ones(len(y)), A]), np.append(intercept_penalty, ridge)
        params = np.append(estimator.intercept_, params)
    return case(model, link, variance, A=A, y=y, prior=prior, ridge=ridge, params=params,
                known=known, given=([X], given))


TIGHT = {"tol": 1e-12, "max_iter": 10_000}
SKLEARN = {
    "LinearRegression": lambda **g: learned(
        linear_model.LinearRegression(), "real", "identity", power(0), scale=False, **g),
    "LinearRegression, no intercept": lambda **g: learned(
        linear_model.LinearRegression(fit_intercept=False), "real", "identity", power(0), **g),
    "Ridge": lambda **g: learned(
        linear_model.Ridge(alpha=3.0), "real", "identity", power(0), lambda s: 3.0, **g),
    "Ridge, no intercept": lambda **g: learned(
        linear_model.Ridge(alpha=0.1, fit_intercept=False), "real", "identity", power(0),
        lambda s: 0.1, **g),
    "LogisticRegression": lambda **g: learned(
        linear_model.LogisticRegression(C=0.25, **TIGHT), "binary", "logit", binomial,
        lambda s: 4.0, known=True, **g),
    "RidgeCV": lambda **g: learned(
        linear_model.RidgeCV([2.0]), "real", "identity", power(0), lambda s: 2.0, **g),
    "LogisticRegressionCV": lambda **g: learned(
        linear_model.LogisticRegressionCV(Cs=[0.5], l1_ratios=(0.0,), use_legacy_attributes=False,
                                          scoring="accuracy", **TIGHT), "binary", "logit", binomial,
        lambda s: 2.0, known=True, **g),
    "LogisticRegression, no penalty": lambda **g: learned(
        linear_model.LogisticRegression(C=np.inf, **TIGHT), "binary", "logit", binomial,
        known=True, **g),
    "LogisticRegression, liblinear": lambda **g: learned(
        linear_model.LogisticRegression(C=0.5, solver="liblinear", intercept_scaling=2.0,
                                        tol=1e-12), "binary", "logit", binomial,
        lambda s: 2.0, known=True, intercept_penalty=0.5, **g),
    "LogisticRegression, no intercept": lambda **g: learned(
        linear_model.LogisticRegression(fit_intercept=False, **TIGHT), "binary", "logit", binomial,
        lambda s: 1.0, known=True, **g),
    "PoissonRegressor, no penalty": lambda **g: learned(
        linear_model.PoissonRegressor(alpha=0, **TIGHT), "counts", "log", power(1), known=True,
        **g),
    "PoissonRegressor": lambda **g: learned(
        linear_model.PoissonRegressor(alpha=0.1, **TIGHT), "counts", "log", power(1),
        lambda s: 0.1 * s, known=True, **g),
    "GammaRegressor": lambda **g: learned(
        linear_model.GammaRegressor(alpha=0.2, **TIGHT), "positive", "log", power(2),
        lambda s: 0.2 * s, **g),
    "TweedieRegressor": lambda **g: learned(
        linear_model.TweedieRegressor(power=1.5, alpha=0.3, **TIGHT), "positive", "log",
        power(1.5), lambda s: 0.3 * s, **g),
    "TweedieRegressor, gaussian log": lambda **g: learned(
        linear_model.TweedieRegressor(power=0, link="log", alpha=0.1, **TIGHT), "positive", "log",
        power(0), lambda s: 0.1 * s, **g),
    "TweedieRegressor, identity": lambda **g: learned(
        linear_model.TweedieRegressor(power=0, alpha=0.3, **TIGHT), "real", "identity", power(0),
        lambda s: 0.3 * s, **g),
}

TIMES = np.arange(32) % 3 + 1.0
TIME = np.linspace(1.0, 4.0, 17)
WEIGHTS = np.linspace(0.3, 3.0, 21)
SOME_ZERO = np.where(np.arange(21) % 9 == 4, 0.0, WEIGHTS)
FITS = {
    "OLS": linear,
    "OLS by formula, categories": categories,
    "WLS": lambda: linear("WLS", weights=WEIGHTS),
    "WLS, zero weights": lambda: linear("WLS", weights=SOME_ZERO),
    "WLS, missing rows": missing,
    "GLS": lambda: linear("GLS", weights=1 / WEIGHTS, sigma=WEIGHTS),
    "GLS, matrix": lambda: linear("GLS", weights=1 / WEIGHTS, sigma=np.diag(WEIGHTS)),
    "binomial logit": votes,
    "binomial probit": lambda: votes("probit", LINK.Probit),
    "binomial cloglog": lambda: votes("cloglog", LINK.CLogLog),
    "binomial loglog": lambda: votes("loglog", LINK.LogLog),
    "binomial cauchit": lambda: votes("cauchit", LINK.Cauchy),
    "binomial, numbers of trials": trials,
    "binomial by formula, offset, missing rows": formula,
    "binomial, frequencies": lambda: votes(prior=TIMES, counts=TIMES, freq_weights=TIMES),
    "binomial, variance weights of which some are 0": lambda: votes(
        prior=np.arange(32) % 4, var_weights=np.arange(32) % 4),
    "Poisson": lambda: executions(FAMILY.Poisson(), power(1)),
    "Poisson, overdispersed": lambda: executions(FAMILY.Poisson(), power(1), scale="X2"),
    "Poisson, identity": lambda: council_tax(FAMILY.Poisson(LINK.Identity()), "identity", power(1)),
    "Poisson, square root": lambda: council_tax(FAMILY.Poisson(LINK.Sqrt()), "sqrt", power(1)),
    "Poisson, exposure and offset": lambda: executions(
        FAMILY.Poisson(), power(1), shift=np.log(TIME) + TIME ** 2 / 9, exposure=TIME,
        offset=TIME ** 2 / 9),
    "gamma": lambda: council_tax(FAMILY.Gamma(), "inverse", power(2)),
    "gamma, log": lambda: council_tax(FAMILY.Gamma(LINK.Log()), "log", power(2)),
    "gamma, identity, frequencies": lambda: council_tax(
        FAMILY.Gamma(LINK.Identity()), "identity", power(2), prior=TIMES, counts=TIMES,
        freq_weights=TIMES),
    "gaussian": lambda: council_tax(FAMILY.Gaussian(), "identity", power(0)),
    "gaussian, log, variance weights": lambda: council_tax(
        FAMILY.Gaussian(LINK.Log()), "log", power(0), prior=np.linspace(0.5, 2.0, 32),
        var_weights=np.linspace(0.5, 2.0, 32)),
    "gaussian, inverse": lambda: council_tax(FAMILY.Gaussian(LINK.InversePower()), "inverse",
                                             power(0)),
    "inverse gaussian": lambda: council_tax(FAMILY.InverseGaussian(), "1/mu^2", power(3)),
    "inverse gaussian, log": lambda: council_tax(FAMILY.InverseGaussian(LINK.Log()), "log",
                                                 power(3)),
    "negative binomial": lambda: executions(FAMILY.NegativeBinomial(alpha=0.7),
                                            negative_binomial(0.7)),
    "Tweedie": lambda: council_tax(FAMILY.Tweedie(var_power=1.4, link=LINK.Log()), "log",
                                   power(1.4)),
    "Logit": lambda: discrete(sm.Logit, "logit", binomial, own=True),
    "Probit": lambda: discrete(sm.Probit, "probit", binomial),
    "discrete Poisson": bills,
    "discrete Poisson, exposure": lambda: bills(exposure=True),
    "discrete Poisson, offset": lambda: bills(offset=True),
    "NegativeBinomial": lambda: bills("NegativeBinomial"),
    "NegativeBinomial, nb1, offset": lambda: bills("NegativeBinomial", loglike_method="nb1",
                                                   offset=True),
    "NegativeBinomial, geometric": lambda: bills("NegativeBinomial", loglike_method="geometric"),
    **{f"{name}{', weights' * weighted}": lambda make=make, weighted=weighted: make(
        weighted=weighted) for name, make in SKLEARN.items() for weighted in (False, True)},
}


@pytest.fixture(scope="module", params=FITS)
def fitted(request):
    return FITS[request.param]()


def with_weights(c):
    """μ, the weights and the score of each row."""
    eta = c.A @ c.x + c.shift
    mean, slope = (function(eta) for function in c.link)
    variance = c.variance(mean)
    return mean, c.prior * slope ** 2 / variance, c.prior * slope / variance * (c.y - mean)


def basis(c, weights):
    """An orthonormal basis and the triangle, columns at unit norm; and these norms."""
    rows = np.vstack([np.sqrt(weights)[:, None] * c.A, np.diag(np.sqrt(c.ridge))])
    norms = np.linalg.norm(rows, axis=0)
    return *np.linalg.qr(rows / norms), norms


@pytest.mark.filterwarnings("ignore")                # of statsmodels and scikit-learn
def test_hat_values(fitted):
    c = fitted
    expected = np.sum(basis(c, with_weights(c)[1])[0][:len(c.A)] ** 2, axis=1)
    found = hat_values(c.fit, *c.given[0], **c.given[1])
    assert_allclose(found, expected, rtol=1e-10, atol=1e-15)
    if c.own is not None:
        assert_allclose(found, c.own, rtol=1e-10, atol=1e-15)
    # the coefficients solve the equations with these weights and penalties; those of nb1 maximise a
    # likelihood that no generalised linear model has
    if getattr(getattr(c.fit, "model", None), "loglike_method", "") == "nb1":
        return
    score = with_weights(c)[2]
    assert (np.abs(c.A.T @ score - c.ridge * c.x) <= 1e-5 * np.abs(c.A).T @ np.abs(score)).all()


@pytest.mark.filterwarnings("ignore")
def test_diagnostics(fitted):
    c = fitted
    data = (*c.given[0], c.y) if c.given[0] else ()
    found = diagnostics(c.fit, *data, **c.given[1])
    mean, weights, score = with_weights(c)
    q, n = basis(c, weights)[0], len(c.A)
    hats = np.sum(q[:n] ** 2, axis=1)
    trace = hats.sum() if c.penalised else c.A.shape[1]
    pearson = np.divide(score, np.sqrt(weights), out=np.zeros(n), where=weights > 0)
    freedom = np.sum(c.counts[c.prior > 0]) - trace
    scale = 1.0 if c.known else pearson @ pearson / freedom
    expected = {name: np.empty(n) for name in (
        "loo_residual", "press", "standardized_residual", "studentized_residual",
        "cooks_distance")}
    slope = c.link[1](c.A @ c.x + c.shift)
    for i in range(n):
        rest = np.arange(n) != i
        left, r, norms = basis(c, np.where(rest, weights, 0.0))
        change = -np.linalg.solve(r, np.linalg.solve(r.T, c.A[i] / norms)) / norms * score[i]
        moved = c.A @ change
        # to first order: means change by μ' Δη, also of row i
        residual = c.y[i] - mean[i] - slope[i] * moved[i]
        without = scale
        if not c.known:
            errors = pearson - np.sqrt(weights) * moved
            degrees = np.sum(left[:n] ** 2) if c.penalised else trace
            without = np.sum(errors[rest] ** 2) / (
                np.sum(c.counts[rest & (c.prior > 0)]) - degrees)
        standardized = np.sign(slope[i]) * pearson[i] / np.sqrt(scale * (1 - hats[i]))
        for name, value in (
                ("loo_residual", residual),
                ("press", c.prior[i] * residual ** 2 / c.variance(mean)[i]),
                ("standardized_residual", standardized),
                ("studentized_residual", standardized * np.sqrt(scale / without)),
                ("cooks_distance", weights @ moved ** 2 / (scale * trace))):
            expected[name][i] = value
    assert_allclose(found["hat_value"], hats, rtol=1e-10, atol=1e-15)
    if type(c.fit).__name__ == "GLMResultsWrapper" and (c.counts == 1).all():
        influence = c.fit.get_influence(observed=False)
        assert_allclose(found["standardized_residual"], influence.resid_studentized, rtol=1e-9,
                        atol=1e-12)
        assert_allclose(found["cooks_distance"], influence.cooks_distance[0], rtol=1e-9, atol=1e-13)
    for name, values in expected.items():
        assert_allclose(found[name], values, rtol=1e-8, atol=1e-12 * np.abs(values).max(),
                        err_msg=name)
