"""The audit: its predictions against the formula in NumPy, its attacks and its verdicts."""
import math
import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import levinv
import oracles
from acceptance_rooms.audit import error_ratios, real_sets
from levinv import audit
from levinv.auditing.sensitivity import sensitivity
from levinv.data import load_diabetes


def problem(n=40, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, d)), rng.standard_normal(n),
            rng.standard_normal(d) + np.sign(rng.standard_normal(d)))


def bound(A, b, x, noise):
    """Standard errors and influence, from the whole Jacobian and its pseudo-inverse."""
    W = 1.0 / np.broadcast_to(noise, len(b))
    J = W[:, None] * oracles.jacobian(A, A @ x - b)
    scale = np.linalg.norm(J, axis=0)
    scale[scale == 0] = 1.0
    inverse = np.linalg.pinv(J / scale, rcond=1e-11)
    return np.linalg.norm(inverse, axis=1) / scale, np.einsum("ij,ji->i", J / scale, inverse)


def components():
    """Two groups of rows with columns of their own; b is 0 in the first group."""
    rng = np.random.default_rng(3)
    A = np.zeros((30, 4))
    A[:15, :2], A[15:, 2:] = rng.standard_normal((15, 2)), rng.standard_normal((15, 2))
    return A, np.where(np.arange(30) < 15, 0.0, rng.standard_normal(30)), np.array([1.0, 2, 3, 4])


class TestPrediction:
    @settings(max_examples=40)
    @given(seed=st.integers(0, 10_000), d=st.integers(1, 6), ratio=st.floats(2.5, 20),
           spread=st.floats(0, 4), how=st.sampled_from(["noise", "noises", "decimals"]))
    def test_standard_errors_and_influence(self, seed, d, ratio, spread, how):
        A, b, x = problem(int(np.ceil(ratio * d)) + 2, d, seed)
        A *= 10.0 ** np.random.default_rng(seed).uniform(-spread, spread, d)
        published, noise = {
            "noise": ({"noise": 1e-6}, 1e-6), "decimals": ({"decimals": 5}, 1e-5 / 12 ** 0.5),
            "noises": ({"noise": np.geomspace(1e-7, 1e-5, len(b))},
                       np.geomspace(1e-7, 1e-5, len(b)))}[how]
        report = audit(A, b, x, **published)
        errors, influence = bound(A, b, x, noise)
        assert_allclose(report.standard_errors, errors, rtol=1e-5)
        assert_allclose(report.row_influence, influence, atol=1e-6)
        assert report.row_influence.sum() == pytest.approx(d)
        assert_allclose(report.relative_errors, report.predicted_errors / abs(x))

    @pytest.mark.parametrize("name, A, b, x", list(real_sets()), ids=lambda value: (
        value if isinstance(value, str) else ""))
    def test_standard_errors_on_real_data(self, name, A, b, x):
        report = audit(A, b, x, decimals=4)
        assert_allclose(report.standard_errors, bound(A, b, x, 1e-4 / 12 ** 0.5)[0], rtol=0.05)

    def test_exact_scores_are_rounded_too(self):
        A, b, x = problem()
        scores = levinv.LeverageMap(A, b).scores(x)
        errors = bound(A, b, x, 2.0 ** -53 * scores)[0]
        assert_allclose(audit(A, b, x).standard_errors, np.hypot(errors, 2.0 ** -53 * abs(x)),
                        rtol=1e-6)

    def test_singular_values(self):
        A, b, x = problem()
        J = oracles.jacobian(A, A @ x - b)
        R = np.linalg.qr(A / (A @ x - b)[:, None], mode="r")
        expected = np.linalg.svd(J @ np.linalg.inv(R) / 1e-3, compute_uv=False)
        assert_allclose(audit(A, b, x, noise=1e-3).singular_values, expected, rtol=1e-8)

    def test_no_other_array_of_the_size_of_the_jacobian(self):
        A, b, x = problem(100_000, 10)
        at = levinv.LeverageMap(A, b)
        jacobian, projection, noise = at.jacobian(x), at._map.at(x).projection, np.ones(len(b))
        tracemalloc.start()
        with at._map.threads():
            sensitivity(jacobian, noise, projection, 0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.4 * jacobian.nbytes

    def test_departure_grows_with_the_noise(self):
        report = audit(*problem(), noise=1e-6)
        departures = [report.departure_at(noise) for noise in (1e-9, 1e-6, 1e-3, 1.0)]
        assert report.departure == pytest.approx(departures[1])
        assert_allclose(np.diff(np.log10(departures[:3])), 3.0, atol=0.2)
        assert departures[0] < 1e-6 < 0.3 < departures[-1]
        assert report.departure_at(1e307) == math.inf


class TestUndetermined:
    def test_unique(self):
        report = audit(*problem(), decimals=6)
        assert report.unique
        assert report.null_space.shape == (3, 0)

    def test_direction_that_no_score_shows(self):
        A, b, x = components()
        report = audit(A, b, x, noise=1e-6)
        assert not report.unique
        assert_allclose(abs(report.null_space.ravel()), [0.2 ** 0.5, 0.8 ** 0.5, 0, 0], atol=1e-12)
        assert np.isinf(report.standard_errors[:2]).all()
        J = oracles.jacobian(A, A @ x - b)[:, 2:] / 1e-6
        assert_allclose(report.standard_errors[2:], np.sqrt(np.diag(np.linalg.inv(J.T @ J))),
                        rtol=1e-6)
        assert report.row_influence.sum() == pytest.approx(3)
        assert report.given_away.tolist() == [False, False, True, True]
        assert report.verdict.startswith("PARTLY GIVEN AWAY. Whoever has A and b finds 2 of 4")
        assert report.level == "partly given away"
        assert "not determined" in report.to_text()

    def test_direction_that_rounding_hides(self):
        A, b, x = components()
        A[:, 1] = A[:, 0] + 1e-7 * A[:, 1]
        report = audit(A, b, x, noise=1e-6)
        assert report.null_space.shape == (4, 1)
        assert len(report.singular_values) == 3
        assert np.isfinite(report.standard_errors[2:]).all()

    def test_nothing_determined(self):
        A, x = np.diag([1.0, 2, 3]), np.ones(3)
        report = audit(A, np.zeros(3), x)
        assert report.verdict.startswith("NOT GIVEN AWAY. The scores do not determine any")
        assert report.level == "not given away"
        assert np.isinf(report.standard_errors).all()
        assert report.recovered_error == report.predicted_error == math.inf
        assert not report.row_influence.any()
        assert (report.safe_noise(0.1), report.safe_decimals(0.1)) == (0.0, math.inf)
        assert "any amount" in report.to_text()
        assert "<svg" in report.to_html()

    def test_dependent_columns(self):
        A, b, x = problem()
        report = audit(np.column_stack([A, A[:, 0]]), b, np.append(x, 1.0), noise=1e-6)
        assert np.isinf(report.standard_errors).tolist() == [True, False, False, True]
        x = x + [1.0, 0, 0]
        assert_allclose(report.standard_errors[1:3], bound(A, b, x, 1e-6)[0][1:], rtol=1e-6)

    def test_signs_determine_what_scores_do_not(self):
        A = np.array([[1.0], [1], [1]])
        b, x = np.array([0.0, 0, 3]), np.array([2.0])     # |x|, |x|, |x - 3|: 2:2:1; x = 6 as well
        assert not audit(A, b, x).unique
        assert audit(A, b, x).verdict.startswith("PARTLY GIVEN AWAY. A few x")
        known = audit(A, b, x, signs=[1, 1, -1])
        assert known.unique
        assert known.recovered_x == pytest.approx(2)
        assert "the signs of A x - b" in known.to_text()

    def test_slack_of_zero(self):
        A, b, x = problem()
        b[5] = A[5] @ x
        report = audit(A, b, x, decimals=8)
        assert np.isfinite(report.standard_errors).all()
        assert report.recovered_error < 1e-3

    @pytest.mark.parametrize("x", [[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    def test_coefficients_of_zero_are_measured_by_the_slacks(self, x):
        A, b, _ = problem()
        report = audit(A, b, x, decimals=4)
        slacks = np.sqrt(np.mean((A @ x - b) ** 2))
        assert np.sqrt(np.mean((A[:, 1] * report.sizes[1]) ** 2)) == pytest.approx(slacks)
        assert_allclose(report.relative_errors, report.predicted_errors / report.sizes)
        assert report.verdict.startswith("GIVEN AWAY.")
        assert 0 < report.recovered_error < 0.01
        audited = audit(A, b, x, noise=report.safe_noise(1e-3))
        assert audited.relative_errors.min() == pytest.approx(1e-3)


class TestAttack:
    def test_exact(self):
        A, b, x = problem()
        report = audit(A, b, x)
        assert_allclose(report.recovered_x, x, rtol=1e-10)
        assert report.prediction_holds
        assert report.verdict.startswith("GIVEN AWAY. Whoever has A and b finds x")
        assert report.level == "given away"

    @pytest.mark.parametrize("name, A, b, x", list(real_sets()), ids=lambda value: (
        value if isinstance(value, str) else ""))
    def test_bears_the_prediction_out(self, name, A, b, x):
        ratios = error_ratios(A, b, x, decimals=4, draws=16)
        assert 0.7 <= np.mean(ratios) <= 1.4, ratios

    def test_reported_where_the_prediction_fails(self):
        A, b, names = load_diabetes()
        x = np.linalg.lstsq(A[:200], b[:200], rcond=None)[0]
        for published in ({"noise": 0.3}, {"decimals": 0}, {"decimals": 1}):
            report = audit(A, b, x, **published)
            assert not report.prediction_holds
            assert report.recovered_error > report.predicted_error
            assert report.verdict.startswith("IN DOUBT.")
            assert report.level == "in doubt"
            found = abs(report.recovered_x - x) <= 0.1 * abs(x)
            assert report.given_away.tolist() == found.tolist()
            assert "does NOT hold" in report.to_text()

    def test_beyond_the_prediction_the_bound_still_is_one(self):
        report = audit(*problem(), noise=1e3)
        assert not report.prediction_holds
        assert report.relative_errors.min() > 1
        assert report.verdict.startswith("NOT GIVEN AWAY to within 10 %. The coefficient best")

    def test_reproducible(self):
        A, b, x = problem()
        one, two = (audit(A, b, x, noise=1e-3) for _ in range(2))
        assert one.to_dict() == two.to_dict()
        assert one.recovered_error > 0

    def test_at_every_number_of_decimals(self):
        report = audit(*problem(), decimals=4)
        attacked = report.decimals_attacked
        assert [at["decimals"] for at in attacked] == list(range(13))
        assert attacked[4]["predicted_error"] == pytest.approx(report.predicted_error)
        assert attacked[4]["recovered_error"] == pytest.approx(report.recovered_error)
        assert attacked[10]["recovered_error"] < 1e-5 * attacked[4]["recovered_error"]
        assert attacked[4]["prediction_holds"]
        assert report.decimals_attacked is attacked

    def test_data_that_reveal_x_without_scores(self):
        A, b, _ = problem()
        report = audit(A, b, np.linalg.lstsq(A, b, rcond=None)[0], decimals=3)
        assert report.least_squares_error < 1e-12
        assert "A and b alone reveal as much. Ordinary least squares is already" in report.verdict
        assert "A and b alone" not in audit(*problem(), decimals=3).verdict


class TestSafe:
    @pytest.mark.parametrize("target", [1e-6, 1e-4, 0.01])
    def test_decimals_are_the_most_that_keep_every_error_above(self, target):
        A, b, x = problem(200, 4)
        decimals = audit(A, b, x).safe_decimals(target)
        assert audit(A, b, x, decimals=decimals).relative_errors.min() > target
        assert audit(A, b, x, decimals=decimals + 1).relative_errors.min() <= target

    def test_noise_is_the_least(self):
        A, b, x = problem()
        noise = audit(A, b, x, decimals=3).safe_noise(1e-3)
        assert audit(A, b, x, noise=noise).relative_errors.min() == pytest.approx(1e-3)

    def test_beyond_all_decimals(self):
        report = audit(*problem())
        assert report.safe_decimals(1e6) is None
        assert report.safe_decimals(1e-20) == math.inf
        assert "none is safe" in report.to_text()

    @pytest.mark.parametrize("target", [0, -0.1, math.nan, math.inf])
    def test_target_is_checked(self, target):
        report = audit(*problem())
        for ask in (report.safe_decimals, report.safe_noise):
            with pytest.raises(ValueError, match="target must be above 0 and finite, got"):
                ask(target)


class TestStorage:
    @pytest.fixture
    def expected(self):
        A, b, x = problem(60, 4)
        A[np.abs(A) < 0.5] = 0.0
        return A, b, x, audit(A, b, x, decimals=5)

    @pytest.mark.parametrize("store", [
        scipy.sparse.csr_array, np.asfortranarray, np.ndarray.tolist])
    def test_rows_however_stored(self, expected, store):
        A, b, x, dense = expected
        report = audit(store(A), b, x, decimals=5)
        assert_allclose(report.standard_errors, dense.standard_errors, rtol=1e-8)
        assert_allclose(report.row_influence, dense.row_influence, atol=1e-8)

    def test_mapped(self, expected, tmp_path):
        A, b, x, dense = expected
        np.save(tmp_path / "A.npy", A.astype(np.float32))
        mapped = audit(np.load(tmp_path / "A.npy", mmap_mode="r"), b, x, decimals=5)
        assert_allclose(mapped.standard_errors, dense.standard_errors, rtol=1e-3)

    def test_dask(self, expected, monkeypatch):
        da = pytest.importorskip("dask.array")
        from levinv.storage import dask_rows as distributed
        A, b, x, dense = expected
        stored = da.from_array(A, chunks=(20, 4))
        assert_allclose(audit(stored, b, x, decimals=5).standard_errors, dense.standard_errors,
                        rtol=1e-8)
        monkeypatch.setattr(distributed, "COPY_ENTRIES", 100)
        with pytest.raises(ValueError, match="an array of the shape of A"):
            audit(stored, b, x)

    def test_inputs_are_not_written_to(self):
        given = problem()
        before = [array.copy() for array in given]
        for array in given:
            array.flags.writeable = False
        A, b, x = given
        report = audit(A, b, x, noise=np.full(40, 1e-3), signs=np.sign(A @ x - b))
        assert not any(np.shares_memory(report.x, array) for array in given)
        for array, old in zip(given, before, strict=True):
            np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("change, error, message", [
    ({"x": [1.0]}, ValueError, "x must have length 3, one entry per column of A, got 1"),
    ({"x": [1.0, math.nan, 1.0]}, ValueError, "x must be finite, got NaN or inf at index 1"),
    ({"b": np.zeros(3)}, ValueError, "b must have length 40"),
    ({"A": np.ones((2, 3)), "b": np.ones(2)}, ValueError, "A must have at least as many rows"),
    ({"noise": 0.0}, ValueError, "noise must be above 0 and finite, got 0"),
    ({"noise": np.zeros(40)}, ValueError, "noise must be above 0, got 0.0 at index 0"),
    ({"noise": np.ones(2)}, ValueError, "noise must have length 40"),
    ({"noise": 0.1, "decimals": 2}, ValueError, "noise and decimals must not both be given"),
    ({"decimals": -1}, ValueError, "decimals must be at least 0, got -1"),
    ({"decimals": 2.0}, TypeError, "decimals must be an integer, got float"),
    ({"decimals": True}, TypeError, "decimals must be an integer, got bool"),
    ({"signs": 1}, ValueError, r"signs must be those of A x - b, got \+1 at index"),
    ({"signs": 2}, ValueError, r"signs must be \+1 or -1"),
    ({"names": ["a"]}, ValueError, "names must have length 3, one entry per column of A, got 1"),
    ({"A": np.ones((40, 3)), "b": np.ones(40), "x": np.ones(3) / 3}, ValueError,
     "x must not make the slack of linearly dependent rows zero"),
])
def test_refused(change, error, message):
    arguments = dict(zip("Abx", problem(), strict=True)) | change
    with pytest.raises(error, match=message):
        audit(**arguments)


class TestFrames:
    @pytest.fixture
    def frame(self):
        pd = pytest.importorskip("pandas")
        A, b, x = problem()
        rows = [f"person {i}" for i in range(40)]
        names = ["age", "height", "<i>&$weight_1$"]
        return (pd.DataFrame(A, columns=names, index=rows), pd.Series(b, index=rows),
                pd.Series(x, index=names))

    def test_names_are_kept(self, frame):
        report = audit(*frame, decimals=4)
        plain = audit(*problem(), decimals=4)
        assert report.names == ["age", "height", "<i>&$weight_1$"]
        assert plain.names == ["x[0]", "x[1]", "x[2]"]
        assert_allclose(report.standard_errors, plain.standard_errors, rtol=1e-12)
        top = int(np.argmax(report.row_influence))
        assert report.row_label(top) == f"person {top}"
        assert f"person {top}" in report.to_text()
        assert report.to_dict()["row_labels"][3] == "person 3"

    def test_labels_in_another_order(self, frame):
        A, b, x = frame
        with pytest.raises(ValueError, match="x must have its labels in the order of A's columns"):
            audit(A, b, x.iloc[::-1])
        with pytest.raises(ValueError, match="b must have its labels in the order of A's rows"):
            audit(A, b.iloc[::-1], x)

    def test_what_has_other_labels_is_taken_in_its_order(self, frame):
        A, b, x = frame
        assert audit(A, b, x.set_axis(["a", "b", "c"])).names == list(A.columns)
        assert audit(A.to_numpy(), b, x.set_axis(["a", "b", "c"])).names == ["a", "b", "c"]
        assert audit(A, b, x, names=["u", "v", "w"]).names == ["u", "v", "w"]

    def test_columns_of_several_types(self, frame):
        A, b, x = frame
        mixed = A.assign(age=np.arange(40) % 3 == 0, height=np.arange(40) % 7)
        assert audit(mixed, b, x).names == list(A.columns)
        with pytest.raises(TypeError, match="A must hold real numbers, got dtype .* in column"):
            audit(A.assign(height="tall"), b, x)


def test_a_model_of_statsmodels_and_one_of_scikit_learn():
    sm = pytest.importorskip("statsmodels.api")
    linear_model = pytest.importorskip("sklearn.linear_model")
    data = sm.datasets.stackloss.load()
    X, y = sm.add_constant(data.exog), data.endog
    fitted = sm.OLS(y[::2], X[::2]).fit()
    weighted = sm.GLM(y, X, var_weights=(y - fitted.predict(X)) ** -2.0).fit()
    report = audit(X, y, fitted.params, decimals=5)
    assert_allclose(report.scores, weighted.get_influence().hat_matrix_diag, atol=1e-12)
    assert report.names == list(X.columns)
    ridge = linear_model.Ridge(alpha=10.0).fit(data.exog, y)
    other = audit(X, y, np.append(ridge.intercept_, ridge.coef_), decimals=5)
    for audited in (report, other):
        assert audited.prediction_holds
        assert audited.given_away.all()


def test_quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        audit(*problem(), noise=5.0).to_text()


def logistic(A, y, trials=1.0, offset=0.0):
    """Coefficients of maximum likelihood; y are fractions of the trials."""
    x = np.zeros(A.shape[1])
    for _ in range(30):
        mean = 1.0 / (1.0 + np.exp(-(A @ x + offset)))
        weight = trials * mean * (1.0 - mean)
        x = x + np.linalg.solve(A.T @ (weight[:, None] * A), A.T @ (trials * (y - mean)))
    return x


def spector():
    sm = pytest.importorskip("statsmodels.api")
    data = sm.datasets.spector.load()
    return sm.add_constant(data.exog), data.endog


def model_bound(A, x, noise, **model):
    """Standard errors from differences of the scores."""
    at = levinv.LeverageMap(A, **model)
    step = 1e-5 * np.abs(x)
    J = np.column_stack([(at.scores(x + h) - at.scores(x - h)) / (2 * h.max())
                         for h in np.diag(step)])
    return noise * np.sqrt(np.diag(np.linalg.inv(J.T @ J)))


class TestRegression:
    @pytest.mark.parametrize("link, fit", [("logit", "Logit"), ("probit", "Probit")])
    def test_spector(self, link, fit):
        sm = pytest.importorskip("statsmodels.api")
        X, y = spector()
        x = getattr(sm, fit)(y, X).fit(disp=0).params
        report = audit(X, x=x, weighting=("binomial", link), decimals=4)
        assert report.verdict.startswith(
            "GIVEN AWAY up to one common sign. Whoever has the design matrix finds all 4")
        assert report.level == "given away"
        assert (report.unique, report.up_to_signs) == (False, True)
        assert_allclose(report.alternatives, [-x], rtol=1e-9)
        assert report.given_away.all()
        assert report.names == ["const", "GPA", "TUCE", "PSI"]
        assert report.prediction_holds
        assert_allclose(report.recovered_x, x, rtol=1e-3)
        assert_allclose(report.standard_errors, model_bound(
            X.to_numpy(), x.to_numpy(), 1e-4 / 12 ** 0.5, weighting=("binomial", link)), rtol=1e-4)
        assert report.row_influence.sum() == pytest.approx(4)

    def test_hat_values_of_statsmodels(self):
        sm = pytest.importorskip("statsmodels.api")
        X, y = spector()
        fit = sm.GLM(y, X, family=sm.families.Binomial()).fit()
        report = audit(X, x=fit.params, weighting=sm.families.Binomial())
        assert_allclose(report.scores, fit.get_influence().hat_matrix_diag, atol=1e-12)
        assert report.recovered_error < 1e-10

    def test_fair(self):
        sm = pytest.importorskip("statsmodels.api")
        data = sm.datasets.fair.load_pandas().data
        X = sm.add_constant(data.drop(columns="affairs"))
        x = logistic(X.to_numpy(), (data["affairs"] > 0).to_numpy())
        report = audit(X, x=x, weighting="binomial", decimals=5)
        assert report.given_away.all()
        assert report.up_to_signs
        assert report.recovered_error <= max(4 * report.predicted_error, 1e-8)

    def test_star98_with_numbers_of_trials(self):
        sm = pytest.importorskip("statsmodels.api")
        data = sm.datasets.star98.load_pandas()
        X = sm.add_constant(data.exog.iloc[:, :8])
        trials = data.endog.sum(axis=1)
        x = logistic(X.to_numpy(), (data.endog.iloc[:, 0] / trials).to_numpy(), trials.to_numpy())
        report = audit(X, x=x, weighting="binomial", prior_weights=trials, decimals=5)
        fit = sm.GLM(data.endog, X, family=sm.families.Binomial()).fit()
        assert_allclose(report.scores, fit.get_influence().hat_matrix_diag, atol=1e-9)
        assert report.up_to_signs
        assert report.recovered_error <= 4 * report.predicted_error
        assert "the design matrix (303 x 9), the prior weights, and" in " ".join(
            report.to_text().split())

    def test_breast_cancer(self):
        datasets = pytest.importorskip("sklearn.datasets")
        data = datasets.load_breast_cancer()
        A = np.column_stack([np.ones(len(data.target)), data.data[:, :4]])
        A[:, 1:] = (A[:, 1:] - A[:, 1:].mean(axis=0)) / A[:, 1:].std(axis=0)
        report = audit(A, x=logistic(A, data.target), weighting="binomial", decimals=4)
        assert report.level == "given away"
        assert report.up_to_signs

    def test_offset_settles_the_sign(self):
        X, y = spector()
        offset = np.random.default_rng(0).normal(size=32)
        x = logistic(X.to_numpy(), y.to_numpy(), offset=offset)
        report = audit(X, x=x, weighting="binomial", offset=offset, decimals=5)
        assert report.unique
        assert not report.up_to_signs
        assert report.verdict.startswith("GIVEN AWAY. Whoever has the design matrix and the offset")
        same = audit(X, -offset, x, weighting="binomial", decimals=5)
        assert same.to_dict() == report.to_dict()

    def test_offset_that_is_a_combination_of_columns(self):
        X, y = spector()
        x = logistic(X.to_numpy(), y.to_numpy(), offset=1.0)
        report = audit(X, x=x, weighting="binomial", offset=np.ones(32), decimals=5)
        assert report.verdict.startswith("GIVEN AWAY up to a choice between two mirror images.")
        assert_allclose(report.alternatives[0, 1:], -x[1:], rtol=1e-8)

    def test_two_groups_have_a_sign_each(self):
        rng = np.random.default_rng(1)
        A = np.zeros((60, 4))
        A[:30, :2], A[30:, 2:] = rng.standard_normal((30, 2)), rng.standard_normal((30, 2))
        x = np.array([1.0, -2.0, 0.5, 1.5])
        report = audit(A, x=x, weighting="binomial", decimals=6)
        assert report.verdict.startswith(
            "GIVEN AWAY up to one common sign in each of 2 groups of rows.")
        assert_allclose(report.recovered_x, x, rtol=1e-2)
        assert report.decimals_attacked[6]["recovered_error"] < 1e-2

    def test_known_signs(self):
        X, y = spector()
        x = logistic(X.to_numpy(), y.to_numpy())
        signs = np.sign(X.to_numpy() @ x)
        report = audit(X, x=x, weighting="binomial", signs=signs, decimals=4)
        assert report.unique
        assert "the signs of the linear predictors" in report.to_text()
        with pytest.raises(ValueError, match="signs must be those of A x - b, got"):
            audit(X, x=x, weighting="binomial", signs=-signs)

    def test_poisson_keeps_its_intercept(self):
        sm = pytest.importorskip("statsmodels.api")
        data = sm.datasets.randhie.load_pandas()
        X = sm.add_constant(data.exog.iloc[::50])
        x = sm.GLM(data.endog.iloc[::50], X, family=sm.families.Poisson()).fit().params
        report = audit(X, x=x, weighting="poisson", decimals=6)
        assert report.level == "partly given away"
        assert not report.given_away[0]
        assert np.isinf(report.standard_errors[0])
        assert report.given_away[1:].sum() >= 7
        assert_allclose(abs(report.null_space[:, 0]), np.eye(len(x))[0], atol=1e-9)

    def test_gamma_keeps_a_factor(self):
        A = 1.0 + np.random.default_rng(0).random((50, 3))
        x = np.array([1.0, 0.5, 2.0])
        report = audit(A, x=x, weighting="gamma", decimals=5)
        assert report.level == "partly given away"
        assert "up to one common factor" in report.verdict
        ratios = report.recovered_x[1:] / report.recovered_x[0]
        assert_allclose(ratios, x[1:] / x[0], rtol=20 * report.direction_error)
        assert report.direction_error < 0.01
        offset = np.linspace(1.0, 2.0, 50) ** 2
        assert audit(A, x=x, weighting="gamma", offset=offset, decimals=5).unique

    def test_gamma_has_the_scores_of_the_slack(self):
        A, b, x = problem(60, 3)
        slack, gamma = audit(A, b, x, decimals=5), audit(A, b, x, weighting="gamma", decimals=5)
        assert_allclose(gamma.scores, slack.scores, atol=1e-14)
        assert_allclose(gamma.standard_errors, slack.standard_errors, rtol=1e-8)

    def test_nothing_shows_to_first_order(self):
        X, _ = spector()
        report = audit(X, x=np.zeros(4), weighting="binomial", decimals=4)
        assert not report.prediction_holds
        assert report.departure == math.inf
        report.to_html()

    def test_safe_figures_use_the_model(self):
        X, y = spector()
        x = logistic(X.to_numpy(), y.to_numpy())
        decimals = audit(X, x=x, weighting="binomial").safe_decimals(0.01)
        finer, coarser = (audit(X, x=x, weighting="binomial", decimals=k)
                          for k in (decimals + 1, decimals))
        assert finer.relative_errors.min() <= 0.01 < coarser.relative_errors.min()

    def test_words(self):
        X, y = spector()
        report = audit(X, x=logistic(X.to_numpy(), y.to_numpy()), weighting="binomial", decimals=3)
        for said in (report.to_text(), report.to_html()):
            assert "your logistic regression" in " ".join(said.split())
            for word in ("residual", "slack", "A x", "Least squares", "least squares"):
                assert word not in said

    @pytest.mark.parametrize("change, error, message", [
        ({"weighting": "gaussian"}, ValueError, "are the same for every x"),
        ({"weighting": "binomail"}, ValueError, "family must be one of 'binomial'"),
        ({"weighting": ("binomial", "sine")}, ValueError, "link must be one of 'logit'"),
        ({"weighting": None}, TypeError, "b must hold real numbers"),
        ({"x": None}, TypeError, "x must be given"),
        ({"b": np.ones(40), "offset": np.ones(40)}, ValueError, "b and offset must not both"),
        ({"offset": np.ones(3)}, ValueError, "offset must have length 40"),
        ({"prior_weights": np.zeros(40)}, ValueError, "prior_weights must be above 0"),
    ])
    def test_refused(self, change, error, message):
        A, _, x = problem()
        with pytest.raises(error, match=message):
            audit(**{"A": A, "x": x, "weighting": "binomial", **change})

    def test_labels_of_the_offset(self):
        pd = pytest.importorskip("pandas")
        A, _, x = problem()
        rows = [f"person {i}" for i in range(40)]
        offset = pd.Series(np.ones(40), index=rows)
        with pytest.raises(ValueError, match="offset must have its labels in the order of A's"):
            audit(pd.DataFrame(A, index=rows), x=x, weighting="binomial", offset=offset[::-1])

    def test_weights_of_the_papers_by_name(self):
        A, b, x = problem()
        named = audit(A, b, x, weighting=levinv.weighting.power(2.0), decimals=4)
        plain = audit(A, b, x, decimals=4)
        assert named.to_text() == plain.to_text()
        assert "leverage scores of diag(1/(A x - b)) A, rounded to 4 decimals" in plain.to_text()
        other = audit(A, b, x, weighting=levinv.weighting.power(1.0), decimals=4)
        assert "leverage scores of A with the weights |A x - b|^-1" in other.to_text()
        assert other.given_away.all()
