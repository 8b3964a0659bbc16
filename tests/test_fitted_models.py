"""Fits of statsmodels and scikit-learn: diagnostics against fits without a row, labels, audits and
messages. (test_fits_by_definition.py compares every kind of fit with the definitions.)
"""
import re
import subprocess
import sys
import types

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import statsmodels.api as sm
import statsmodels.formula.api as smf
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    Ridge,
    TweedieRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from statsmodels.stats.outliers_influence import OLSInfluence

from levinv import audit, diagnostics, hat_values
from levinv.models.reading import read

N, D = 60, 4
FAMILY, LINK = sm.families, sm.families.links


def design(n=N, seed=3):
    rng = np.random.default_rng(seed)
    return sm.add_constant(rng.uniform(-1.0, 1.0, (n, D - 1))), rng


def hat_by_definition(A, weights, ridge=None):
    """The diagonal of √w A (Aᵀ W A + Λ)⁻¹ Aᵀ √w."""
    gram = A.T @ (weights[:, None] * A) + (0.0 if ridge is None else np.diag(ridge))
    return weights * np.einsum("ij,jk,ik->i", A, np.linalg.inv(gram), A)


# --- statsmodels: linear models ------------------------------------------------------------------

def linear_fits():
    A, rng = design()
    y = A @ [1.0, 2.0, 0.0, -1.0] + rng.standard_normal(N)
    weights = rng.uniform(0.1, 5.0, N)
    weights[[4, 17]] = 0.0
    return {"OLS": (A, y, np.ones(N), sm.OLS(y, A).fit()),
            "OLS by QR": (A, y, np.ones(N), sm.OLS(y, A).fit(method="qr")),
            "WLS": (A, y, weights, sm.WLS(y, A, weights=weights).fit()),
            "GLS": (A, y, 1 / (1 + weights), sm.GLS(y, A, sigma=1 + weights).fit()),
            "GLS, matrix": (A, y, 1 / (1 + weights),
                            sm.GLS(y, A, sigma=np.diag(1 + weights)).fit()),
            "GLS, number": (A, y, np.full(N, 0.5), sm.GLS(y, A, sigma=2.0).fit())}


@pytest.mark.parametrize("name", linear_fits())
def test_linear_models_are_those_of_fits_without_a_row(name):
    A, y, weights, fit = linear_fits()[name]
    frame = diagnostics(fit)
    np.testing.assert_allclose(frame.hat_value, hat_by_definition(A, weights), rtol=1e-10,
                               atol=1e-15)
    used = weights > 0
    freedom = used.sum() - D
    variance = np.sum(weights * (y - A @ fit.params) ** 2) / freedom
    for i in range(N):
        rest = np.arange(N) != i
        refit = np.linalg.lstsq(np.sqrt(weights[rest, None]) * A[rest],
                                np.sqrt(weights[rest]) * y[rest], rcond=None)[0]
        residual = y[i] - A[i] @ refit
        change = weights @ (A @ (refit - fit.params)) ** 2
        assert frame.loo_residual[i] == pytest.approx(residual, rel=1e-10, abs=1e-12)
        assert frame.press[i] == pytest.approx(weights[i] * residual ** 2, rel=1e-9, abs=1e-12)
        assert frame.cooks_distance[i] == pytest.approx(change / (variance * D), rel=1e-9,
                                                        abs=1e-14)
        if used[i]:
            without = np.sum(weights[rest] * (y - A @ refit)[rest] ** 2) / (freedom - 1)
            error = np.sqrt(weights[i]) * (y[i] - A[i] @ fit.params) / np.sqrt(
                1 - frame.hat_value[i])
            assert frame.studentized_residual[i] == pytest.approx(error / np.sqrt(without),
                                                                  rel=1e-9)
        else:
            assert frame.studentized_residual[i] == frame.hat_value[i] == 0.0


def test_ordinary_least_squares_equal_statsmodels():
    _, _, _, fit = linear_fits()["OLS"]
    frame, influence = diagnostics(fit), OLSInfluence(fit)
    for name, expected in (("hat_value", influence.hat_matrix_diag),
                           ("loo_residual", influence.resid_press),
                           ("cooks_distance", influence.cooks_distance[0]),
                           ("standardized_residual", influence.resid_studentized_internal),
                           ("studentized_residual", influence.resid_studentized_external)):
        np.testing.assert_allclose(frame[name], expected, rtol=1e-10, atol=1e-14)
    assert frame.press.sum() == pytest.approx(influence.ess_press, rel=1e-12)


def test_a_row_of_its_own_column():
    A, rng = design()
    A = np.column_stack([A, np.arange(N) == 7])
    frame = diagnostics(sm.OLS(rng.standard_normal(N), A).fit())
    assert frame.hat_value[7] == pytest.approx(1.0, abs=1e-14)
    assert np.isposinf(frame.iloc[7, 1:]).all()
    assert np.isfinite(frame.drop(index=7)).all(axis=None)


@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")
def test_dependent_columns():
    A, rng = design()
    y = rng.standard_normal(N)
    frame = diagnostics(sm.OLS(y, np.column_stack([A, A[:, 1] - A[:, 2]])).fit())
    np.testing.assert_allclose(frame, diagnostics(sm.OLS(y, A).fit()), rtol=1e-9, atol=1e-12)


def test_a_generalised_linear_model_is_close_to_fits_without_a_row():
    A, rng = design(400)
    y = rng.poisson(np.exp(A @ [1.0, 0.5, -0.5, 0.2])).astype(float)
    fit = sm.GLM(y, A, family=FAMILY.Poisson()).fit()
    frame = diagnostics(fit)
    for i in range(0, 400, 25):
        rest = np.arange(400) != i
        refit = sm.GLM(y[rest], A[rest], family=FAMILY.Poisson()).fit().params
        residual = y[i] - np.exp(A[i] @ refit)
        assert frame.loo_residual[i] == pytest.approx(residual, rel=0.02, abs=1e-3)
        change = fit.mu @ (A @ (refit - fit.params)) ** 2 / D
        assert frame.cooks_distance[i] == pytest.approx(change, rel=0.1, abs=1e-5)


def test_frequencies_stand_for_rows():
    A, rng = design()
    y, f = A @ [1.0, 2.0, 0.0, -1.0] + rng.standard_normal(N), np.arange(N) % 3 + 1
    frame = diagnostics(sm.GLM(y, A, freq_weights=f).fit())
    long = diagnostics(sm.OLS(np.repeat(y, f), np.repeat(A, f, axis=0)).fit())
    np.testing.assert_allclose(frame.hat_value / f,
                               long.hat_value.groupby(np.repeat(np.arange(N), f)).first())
    for i in range(0, N, 7):
        rest = np.repeat(np.arange(N) != i, f)
        other = sm.OLS(np.repeat(y, f)[rest], np.repeat(A, f, axis=0)[rest]).fit()
        expected = np.sqrt(f[i]) * (sm.OLS(np.repeat(y, f), np.repeat(A, f, axis=0)).fit().params
                                    @ A[i] - y[i])
        expected /= -np.sqrt(other.scale * (1 - frame.hat_value[i]))
        assert frame.studentized_residual[i] == pytest.approx(expected, rel=1e-9)


# --- names and labels ----------------------------------------------------------------------------

def labelled():
    data = sm.datasets.spector.load_pandas().data
    data.index = [f"student {i}" for i in range(len(data))]
    data.loc["student 3", "GPA"] = np.nan
    return data


def test_formulas_labels_and_missing_rows():
    data = labelled()
    fit = smf.glm("GRADE ~ GPA * PSI", data, family=FAMILY.Binomial()).fit()
    hats = hat_values(fit)
    assert isinstance(hats, pd.Series)
    assert list(hats.index) == list(data.index.drop("student 3"))
    np.testing.assert_allclose(hats, fit.get_hat_matrix_diag(observed=False), rtol=1e-10)
    assert list(diagnostics(fit).index) == list(hats.index)
    report = audit(fit, decimals=5)
    assert report.names == ["Intercept", "GPA", "PSI", "GPA:PSI"]
    assert report.row_labels == list(hats.index)

    columns = ["GPA", "TUCE"]
    by_arrays = sm.Probit(data.GRADE, sm.add_constant(data[columns]), missing="drop").fit(
        disp=False)
    assert list(hat_values(by_arrays).index) == list(hats.index)
    linear = sm.WLS(data.GRADE, sm.add_constant(data[columns]), weights=data.TUCE,
                    missing="drop").fit()
    assert list(diagnostics(linear).index) == list(hats.index)
    np.testing.assert_allclose(
        hat_values(linear), hat_by_definition(linear.model.exog, linear.model.weights), rtol=1e-10)


def test_arrays_give_arrays():
    _, _, _, fit = linear_fits()["WLS"]
    assert type(hat_values(fit)) is np.ndarray
    assert list(diagnostics(fit).index) == list(range(N))


# --- scikit-learn --------------------------------------------------------------------------------

def sklearn_data():
    A, rng = design()
    X = A[:, 1:]
    eta = X @ [1.0, -0.5, 0.3] + 0.5
    return {"X": X, "weights": rng.uniform(0.2, 2.0, N), "linear": eta + rng.standard_normal(N),
            "binary": np.where(rng.uniform(size=N) < 1 / (1 + np.exp(-eta)), "yes", "no"),
            "counts": rng.poisson(np.exp(eta)).astype(float),
            "positive": np.exp(eta) * rng.gamma(5, 0.2, N)}


TIGHT = {"tol": 1e-12, "max_iter": 10_000}
NEW_CV = {"l1_ratios": (0.0,), "use_legacy_attributes": False, "scoring": "accuracy"}


@pytest.mark.parametrize("estimator", [LinearRegression(), Ridge(alpha=3.0),
                                       Ridge(alpha=3.0, fit_intercept=False)])
def test_sklearn_without_a_row(estimator):
    data = sklearn_data()
    X, y, s = data["X"], data["linear"], data["weights"]
    s[5] = 0.0
    fit = estimator.fit(X, y, sample_weight=s)
    coefficients = fit.coef_.copy(), fit.intercept_
    found = diagnostics(fit, X, y, sample_weight=s)
    hats = found["hat_value"]
    scale = s @ (y - fit.predict(X)) ** 2 / (N - 1 - hats.sum())
    for i in range(N):
        rest = np.arange(N) != i
        other = type(fit)(**fit.get_params()).fit(X[rest], y[rest], sample_weight=s[rest])
        errors = y - other.predict(X)
        assert found["loo_residual"][i] == pytest.approx(errors[i], rel=1e-9)
        assert found["press"][i] == pytest.approx(s[i] * errors[i] ** 2, rel=1e-9)
        change = s @ (other.predict(X) - X @ coefficients[0] - coefficients[1]) ** 2
        assert found["cooks_distance"][i] == pytest.approx(change / (scale * hats.sum()), rel=1e-8,
                                                           abs=1e-14)
        freedom = np.sum(s[rest] > 0) - hat_values(other, X[rest], sample_weight=s[rest]).sum()
        error = y[i] - X[i] @ coefficients[0] - coefficients[1]
        assert found["studentized_residual"][i] == pytest.approx(np.sqrt(s[i] / (1 - hats[i])) * (
            error / np.sqrt(s[rest] @ errors[rest] ** 2 / freedom)), rel=1e-9)


def test_default_fits_pass_the_check_of_their_data():
    data = sklearn_data()
    for estimator, y in ((LogisticRegression(), "binary"), (PoissonRegressor(), "counts"),
                         (GammaRegressor(), "positive"), (Ridge(), "linear"),
                         (TweedieRegressor(power=1.5), "positive"),
                         (Ridge(solver="sag", random_state=0), "linear"),
                         (LogisticRegression(solver="saga", max_iter=1000), "binary")):
        fit = estimator.fit(data["X"], data[y])
        assert np.isfinite(diagnostics(fit, data["X"], data[y])["press"]).all()
        with pytest.raises(ValueError, match="X, y and sample_weight must be those of the fit"):
            diagnostics(fit, data["X"], data[y][::-1])


def test_class_weights():
    data = sklearn_data()
    fit = LogisticRegression(class_weight={"yes": 2.0, "no": 0.5}, **TIGHT).fit(
        data["X"], data["binary"])
    with pytest.raises(ValueError, match="sample_weight must be given for a fit with class_weight"):
        hat_values(fit, data["X"])
    weights = np.where(data["binary"] == "yes", 2.0, 0.5)
    mean = fit.predict_proba(data["X"])[:, 1]
    expected = hat_by_definition(np.column_stack([np.ones(N), data["X"]]),
                                 weights * mean * (1 - mean), np.array([0.0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(hat_values(fit, data["X"], sample_weight=weights), expected,
                               rtol=1e-10)
    diagnostics(fit, data["X"], data["binary"], sample_weight=weights)


def test_pipelines_frames_and_sparse_designs():
    data = sklearn_data()
    frame = pd.DataFrame(data["X"], columns=["a", "b", "c"], index=[f"row {i}" for i in range(N)])
    pipe = make_pipeline(StandardScaler(), Ridge(alpha=2.0)).fit(frame, data["linear"])
    scaled = np.column_stack([np.ones(N), StandardScaler().fit_transform(data["X"])])
    expected = hat_by_definition(scaled, np.ones(N), np.array([0.0, 2.0, 2.0, 2.0]))
    hats = hat_values(pipe, frame)
    assert list(hats.index) == list(frame.index)
    np.testing.assert_allclose(hats, expected, rtol=1e-10)
    assert read(pipe, frame).names == ["intercept", "a", "b", "c"]
    assert list(diagnostics(pipe, frame, data["linear"]).index) == list(frame.index)
    assert read(pipe[1:], scaled[:, 1:]).names == ["intercept", "x0", "x1", "x2"]
    nameless = make_pipeline(FunctionTransformer(np.sin), Ridge()).fit(data["X"], data["linear"])
    assert read(nameless, data["X"]).names == ["intercept", "x0", "x1", "x2"]

    frame["group"] = np.arange(N) % 5
    encoded = make_pipeline(
        ColumnTransformer([("group", OneHotEncoder(sparse_output=True), ["group"])],
                          remainder="passthrough", sparse_threshold=1.0),
        PoissonRegressor(alpha=0.5, **TIGHT)).fit(frame, data["counts"])
    X = encoded[:-1].transform(frame)
    assert scipy.sparse.issparse(X)
    mean, ridge = encoded.predict(frame), np.append(0.0, np.full(8, 0.5 * N))
    expected = hat_by_definition(np.column_stack([np.ones(N), X.toarray()]), mean, ridge)
    np.testing.assert_allclose(hat_values(encoded, frame), expected, rtol=1e-10)
    np.testing.assert_allclose(diagnostics(encoded, frame, data["counts"]).hat_value, expected,
                               rtol=1e-10)


# --- audits --------------------------------------------------------------------------------------

def test_audit_reads_a_fit():
    data = sm.datasets.spector.load()
    A = sm.add_constant(data.exog)
    fit = sm.GLM(data.endog, A, family=FAMILY.Binomial()).fit()
    by_hand = audit(A, x=fit.params, weighting="binomial", decimals=4)
    for given in (fit, sm.Logit(data.endog, A).fit(disp=False, tol=1e-12)):
        report = audit(given, decimals=4)
        assert report.verdict == by_hand.verdict
        assert report.names == by_hand.names
        assert report.row_labels == by_hand.row_labels
        np.testing.assert_allclose(report.scores, hat_values(given), rtol=1e-10)
    assert audit(fit, decimals=4, names=list("abcd")).names == list("abcd")


def test_audit_of_a_fit_with_offset_and_rows_of_weight_zero():
    A, rng = design(seed=5)
    offset, weights = rng.uniform(-1.0, 1.0, N), rng.uniform(0.5, 2.0, N)
    weights[:3] = 0.0
    index = pd.Index([f"row {i}" for i in range(N)])
    y = pd.Series(rng.poisson(np.exp(offset + A @ [0.5, 1.0, -1.0, 0.2])), index=index)
    fit = sm.GLM(y, pd.DataFrame(A, index=index, columns=list("abcd")), family=FAMILY.Poisson(),
                 offset=offset, var_weights=weights).fit()
    report = audit(fit, decimals=6)
    assert report.row_labels == list(index[3:])
    np.testing.assert_allclose(report.scores, hat_values(fit)[3:], rtol=1e-10)
    np.testing.assert_allclose(report.x, fit.params)


def test_audit_of_sklearn():
    data = sklearn_data()
    frame = pd.DataFrame(data["X"], columns=["a", "b", "c"])
    fit = LogisticRegression(C=np.inf, **TIGHT).fit(frame, data["binary"],
                                                    sample_weight=data["weights"])
    report = audit(fit, X=frame, prior_weights=data["weights"], decimals=6)
    assert report.names == ["intercept", "a", "b", "c"]
    assert report.up_to_signs
    np.testing.assert_allclose(
        report.scores, hat_values(fit, frame, sample_weight=data["weights"]), rtol=1e-10)


def penalised():
    data = sklearn_data()
    X, weights = data["X"], data["weights"]
    logistic, poisson = LogisticRegression(C=0.25, **TIGHT), PoissonRegressor(alpha=0.1, **TIGHT)
    return {"logistic": (logistic.fit(X, data["binary"]), X, None),
            "weights": (LogisticRegression(C=2.0, **TIGHT).fit(
                X, data["binary"], sample_weight=weights), X, weights),
            "Poisson": (poisson.fit(X, data["counts"]), X, None),
            "liblinear": (LogisticRegression(C=0.5, solver="liblinear", tol=1e-10).fit(
                X, data["binary"]), X, None),
            "sparse": (LogisticRegression(**TIGHT).fit(
                scipy.sparse.csr_array(X), data["binary"]), scipy.sparse.csr_array(X), None),
            "few rows": (LogisticRegression(**TIGHT).fit(X[:8], np.arange(8) % 3 == 1), X[:8],
                         None)}


@pytest.mark.parametrize("name", penalised())
def test_audit_of_a_penalised_fit(name):
    fit, X, weights = penalised()[name]
    report = audit(fit, X=X, prior_weights=weights, decimals=6)
    model = read(fit, X, sample_weight=weights)
    A = model.design.toarray() if scipy.sparse.issparse(X) else np.asarray(model.design)
    prior = np.ones(len(A)) if weights is None else weights

    def scores(x):
        mean = np.exp(A @ x) if name == "Poisson" else 1 / (1 + np.exp(-A @ x))
        return hat_by_definition(A, prior * mean * (1 if name == "Poisson" else 1 - mean),
                                 model.ridge)

    np.testing.assert_allclose(report.scores, scores(model.params), rtol=1e-10)
    # the Cramér-Rao bound, from differences
    steps = 1e-5 * np.eye(len(model.params))
    jacobian = np.column_stack([(scores(model.params + step) - scores(model.params - step)) / 2e-5
                                for step in steps])
    bound = np.linalg.pinv(jacobian.T @ jacobian) * 1e-12 / 12
    np.testing.assert_allclose(report.standard_errors, np.sqrt(np.diag(bound)), rtol=1e-4)
    assert report.prediction_holds
    assert report.recovered_error < 4 * report.predicted_error
    assert report.level == "given away"
    assert "and the penalty" in report.verdict
    assert len(report.row_influence) == len(A)
    assert report.row_influence.sum() == pytest.approx(len(model.params))


def test_audit_of_a_penalised_fit_of_a_frame():
    data = sklearn_data()
    frame = pd.DataFrame(data["X"], columns=list("abc"), index=[f"row {i}" for i in range(N)])
    fit = make_pipeline(StandardScaler(), LogisticRegression(**TIGHT)).fit(frame, data["binary"])
    noise = pd.Series(np.linspace(1e-7, 1e-5, N), index=frame.index)
    report = audit(fit, X=frame, noise=noise)
    assert report.row_labels == list(frame.index)
    assert report.names == ["intercept", "a", "b", "c"]
    np.testing.assert_array_equal(report.published.noise, noise)
    assert report.recovered_error < 4 * report.predicted_error
    exact = audit(fit, X=frame)
    assert exact.recovered_error < 1e-9


@pytest.mark.parametrize("fit, X", [
    (linear_fits()["OLS"][-1], None), (linear_fits()["WLS"][-1], None),
    (LinearRegression().fit(sklearn_data()["X"], sklearn_data()["linear"]), sklearn_data()["X"]),
    (Ridge().fit(sklearn_data()["X"], sklearn_data()["linear"]), sklearn_data()["X"]),
    (GammaRegressor().fit(sklearn_data()["X"], sklearn_data()["positive"]),
     sklearn_data()["X"])])
def test_audit_says_that_constant_weights_give_nothing_away(fit, X):
    with pytest.raises(ValueError, match="give nothing of the coefficients away"):
        audit(fit, X=X)


# --- messages ------------------------------------------------------------------------------------

def test_what_is_refused():
    A, rng = design()
    y = A @ [1.0, 2.0, 0.0, -1.0] + rng.standard_normal(N)
    X, binary = A[:, 1:], (y > 1).astype(float)
    ols, ridge = sm.OLS(y, A).fit(), Ridge().fit(X, y)
    wrong = np.eye(N)
    wrong[0, 1] = wrong[1, 0] = 0.5
    for error, message, call in [
            (TypeError, "fit must be a fitted regression of statsmodels", lambda: hat_values(A)),
            (TypeError, "got RLMResultsWrapper of RLM", lambda: hat_values(sm.RLM(y, A).fit())),
            (TypeError, "got OLS", lambda: hat_values(ols.model)),
            (TypeError, "or a Pipeline that ends in one, got ElasticNet",
             lambda: hat_values(ElasticNet().fit(X, y), X)),
            (TypeError, "X must be given", lambda: hat_values(ridge)),
            (TypeError, "y must be given", lambda: diagnostics(ridge, X)),
            (ValueError, "X must not be given", lambda: hat_values(ols, A)),
            (ValueError, "y must not be given", lambda: diagnostics(ols, None, y)),
            (ValueError, "X must have the 3 columns of the fit, got 4",
             lambda: hat_values(ridge, A)),
            (ValueError, "got a Ridge without coefficients", lambda: hat_values(Ridge(), X)),
            (ValueError, "one target, got 2 rows",
             lambda: hat_values(Ridge().fit(X, np.column_stack([y, y])), X)),
            (ValueError, "two classes, got 3 rows",
             lambda: hat_values(LogisticRegression().fit(X, np.arange(N) % 3), X)),
            (ValueError, "constraints, got LinearRegression(positive=True)",
             lambda: hat_values(LinearRegression(positive=True).fit(X, y), X)),
            (ValueError, "ridge penalty or none",
             lambda: hat_values(LogisticRegression(l1_ratio=1.0, solver="liblinear").fit(X, binary),
                                X)),
            (ValueError, "one alpha, got 2",
             lambda: hat_values(Ridge(alpha=[1.0, 2.0]).fit(X, np.column_stack([y, y])), X)),
            (ValueError, "must have a diagonal sigma",
             lambda: hat_values(sm.GLS(y, A, sigma=wrong).fit())),
            (ValueError, "not by fit_regularized",
             lambda: hat_values(sm.OLS(y, A).fit_regularized(alpha=0.1))),
            (ValueError, "not by fit_regularized",
             lambda: hat_values(sm.Logit(binary, A).fit_regularized(disp=False))),
            (ValueError, "no constraints",
             lambda: hat_values(sm.GLM(y, A).fit_constrained("x1=0"))),
            (ValueError, "y must hold one of the classes",
             lambda: diagnostics(LogisticRegression().fit(X, binary), X, binary + 1)),
            (ValueError, "sample_weight must be at least 0",
             lambda: hat_values(ridge, X, sample_weight=-np.ones(N))),
            (ValueError, "a degree of freedom",
             lambda: diagnostics(sm.OLS(y[:5], A[:5]).fit())),
            (ValueError, "fitted without error", lambda: diagnostics(sm.OLS(A[:, 1], A).fit())),
            (ValueError, "signs must not be given with a penalised fit", lambda: audit(
                LogisticRegression().fit(X, binary), X=X, signs=1)),
            (ValueError, "independent columns, but those of scikit-learn LogisticRegression have "
             "rank 4, less than 7", lambda: audit(
                 LogisticRegression().fit(np.hstack([X, X]), binary), X=np.hstack([X, X]))),
            (ValueError, "a fit to all rows of X, got LogisticRegressionCV(refit=False)",
             lambda: hat_values(LogisticRegressionCV(
                 refit=False, **NEW_CV).fit(X, binary), X)),
            (ValueError, "weighting must not be given with a fit",
             lambda: audit(ols, weighting="binomial")),
            (ValueError, "X must be given for a fit of scikit-learn only",
             lambda: audit(A, y, ols.params, X=A))]:
        with pytest.raises(error, match=re.escape(message)):
            call()


@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")
def test_weights_out_of_range():
    A, y, weights, _ = linear_fits()["WLS"]
    with pytest.raises(ValueError, match="weights within 300 orders of magnitude"):
        hat_values(sm.WLS(y, A, weights=np.where(np.arange(N) < 3, 1e200, 1e-200)).fit())
    wide = sm.WLS(y, A, weights=np.where(weights > 1, 1e200, 1e-200)).fit()
    assert hat_values(wide).sum() == pytest.approx(D)
    with pytest.raises(ValueError, match="a row of positive weight"):
        hat_values(Ridge().fit(A, y), A, sample_weight=0.0)
    fit = PoissonRegressor(alpha=0.1).fit(A, np.exp(y))
    fit.coef_ = 1000.0 * fit.coef_
    with pytest.raises(ValueError, match="finite variances, and means above 0"):
        hat_values(fit, A)


def test_probabilities_that_round_to_one():
    A, _ = design()
    y = (A[:, 1] > 0.02).astype(float)
    A[5], y[5] = (1.0, 400.0, 0.0, 0.0), 1.0
    fit = LogisticRegression(C=10.0, **TIGHT).fit(A[:, 1:], y)
    assert fit.predict_proba(A[:, 1:])[5, 1] == 1.0
    found = diagnostics(fit, A[:, 1:], y)
    assert all(np.isfinite(column).all() for column in found.values())
    assert 0.0 <= found["hat_value"][5] < 1e-100
    assert found["cooks_distance"][5] == 0.0
    with pytest.raises(ValueError, match="above 0 and finite where the response"):
        diagnostics(fit, A[:, 1:], np.where(np.arange(N) == 5, 0.0, y))


def test_removed_data():
    _, _, _, fit = linear_fits()["OLS"]
    fit.remove_data()
    with pytest.raises(ValueError, match="fit must keep its data"):
        hat_values(fit)


def test_nothing_is_imported_for_a_fit():
    code = ("import levinv, sys\nlevinv.hat_values, levinv.diagnostics, levinv.audit\n"
            "print(*{'statsmodels', 'sklearn', 'pandas'} & {*sys.modules})")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_fit_is_known_by_its_attributes():
    """What looks like a fit of another library is none."""
    with pytest.raises(TypeError, match="got SimpleNamespace"):
        hat_values(types.SimpleNamespace(model=None, params=np.zeros(2)))
