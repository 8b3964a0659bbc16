"""From hat values of generalised linear models back to x: every weighting, no start."""
import warnings

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose

import levinv
from acceptance_rooms.models import bound, least_error
from levinv import invert_scores
from levinv.weighting import glm, power

WEIGHTINGS = {
    "logit": "binomial", "probit": ("binomial", "probit"), "cauchit": ("binomial", "cauchit"),
    "cloglog": ("binomial", "cloglog"), "loglog": ("binomial", "loglog"),
    "negative binomial": glm("negative-binomial", alpha=0.5), "poisson": "poisson",
    "tweedie": glm("tweedie", power=1.5), "power 1": ("poisson", "identity"),
    "power 3/2": "inverse-gaussian", "power 4": ("gaussian", "inverse"), "power 3": power(3.0),
    "gamma": "gamma",
}
PEAKED = ["logit", "probit", "cauchit", "cloglog", "loglog"]
SYMMETRIC = ["logit", "probit", "cauchit"]


def literal_scores(A, eta, log_weight):
    """The hat values, by QR of the weighted rows."""
    log_weight = log_weight(eta)
    q = np.linalg.qr(A * np.exp(0.5 * (log_weight - log_weight.max()))[:, None])[0]
    return np.einsum("ij,ij->i", q, q)


LITERAL = {
    "logit": lambda eta: -2.0 * np.log(2.0 * np.cosh(0.5 * eta)),
    "poisson": lambda eta: eta,
    "negative binomial": lambda eta: eta - np.log(1.0 + 0.5 * np.exp(eta)),
    "gamma": lambda eta: -2.0 * np.log(np.abs(eta)),
    "power 1": lambda eta: -np.log(np.abs(eta)),
    "cloglog": lambda eta: 2.0 * eta - np.exp(eta) - np.log(1.0 - np.exp(-np.exp(eta))),
    "cauchit": lambda eta: (-2.0 * np.log(1.0 + eta ** 2)
                            - np.log(0.25 - (np.arctan(eta) / np.pi) ** 2)),
}


@pytest.fixture
def rng():
    return np.random.default_rng(14)


@pytest.mark.parametrize("name", LITERAL)
def test_from_literal_hat_values(name, rng):
    A, x, offset = rng.standard_normal((60, 5)), rng.standard_normal(5), rng.standard_normal(60)
    scores = literal_scores(A, A @ x + offset, LITERAL[name])
    found = invert_scores(A, None, scores, weighting=WEIGHTINGS[name], offset=offset, rng=0)
    assert found.success
    assert least_error(found, x) < 1e-9
    assert_allclose(found.scores, scores, atol=1e-13)
    assert_allclose(found.slack, A @ found.x + offset, atol=1e-12)


def categorical(rng, n=80):
    """An intercept, a factor of four levels and a number."""
    factor = np.eye(4)[rng.integers(0, 4, n)][:, 1:]
    return np.column_stack([np.ones(n), factor, rng.standard_normal(n)])


@pytest.mark.parametrize("design", ["random", "categorical", "polynomial"])
@pytest.mark.parametrize("name", WEIGHTINGS)
def test_no_start(name, design, rng):
    A = {"random": lambda: rng.standard_normal((50, 4)), "categorical": lambda: categorical(rng),
         "polynomial": lambda: np.vander(np.linspace(-1, 1, 60), 4)}[design]()
    x = rng.standard_normal(A.shape[1])
    offset = 0.5 * rng.standard_normal(len(A))
    prior = rng.integers(1, 9, len(A)).astype(float)
    given = {"weighting": WEIGHTINGS[name], "offset": offset, "prior_weights": prior}
    scores = levinv.LeverageMap(A, **given).scores(x)
    found = invert_scores(A, None, scores, rng=0, **given)
    assert found.success, found.message
    assert least_error(found, x) < 1e-7
    if name in ("poisson", "tweedie") and design != "random":
        assert found.null_space.shape == (A.shape[1], 1)       # the intercept
        assert not found.unique
        assert np.isinf(found.standard_errors).any()
    else:
        assert found.null_space.shape == (A.shape[1], 0)
        assert found.unique


def test_row_of_prior_weights_is_a_row_repeated(rng):
    A, x = categorical(rng), np.array([0.3, -1.0, 0.5, 0.2, 0.7])
    trials = rng.integers(1, 4, len(A))
    repeated = levinv.LeverageMap(A.repeat(trials, axis=0), weighting="binomial").scores(x)
    grouped = np.add.reduceat(repeated, np.concatenate([[0], np.cumsum(trials)[:-1]]))
    found = invert_scores(A, None, grouped, weighting="binomial", prior_weights=trials, rng=0)
    assert least_error(found, x) < 1e-9


@pytest.mark.parametrize("name", SYMMETRIC)
def test_mirror_image(name, rng):
    A, x = rng.standard_normal((40, 3)), rng.standard_normal(3)
    scores = levinv.LeverageMap(A, weighting=WEIGHTINGS[name]).scores(x)
    found = invert_scores(A, None, scores, weighting=WEIGHTINGS[name], rng=0)
    assert found.success
    assert not found.unique
    assert_allclose(found.alternatives, -found.x[None], rtol=1e-9)
    assert_allclose(np.abs(found.x), np.abs(x), rtol=1e-9)
    assert found.null_space.shape == (3, 0)


@pytest.mark.parametrize("q", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("prior", [None, [8.0, 0.125, 8.0, 2.0, 0.25]])
def test_the_sign_of_a_tiny_slack_is_that_of_the_truth_or_said_to_be_unknown(q, prior):
    A = np.array([[1.0], [-12.0], [1.0], [6.0], [2.0]])
    b = np.array([-0.2072754, 1.2229, 0.06665039, -8.374023e-08, 0.5812988])
    given = {"weighting": levinv.weighting.power(q), "prior_weights": prior}
    scores = levinv.LeverageMap(A, b, **given).scores([0.0])
    found = invert_scores(A, b, scores, rng=0, **given)
    assert found.success
    assert abs(found.x[0]) <= 100 * found.standard_errors[0]
    assert_allclose(found.scores, scores, rtol=1e-7)


def test_signs_of_coefficients_choose_among_many_solutions_of_one_component():
    A = np.array([[0, 0, 1, 0.68, 0.092], [0, 1, 0, -0.633, -2.404], [0, 0, 1, 1.698, 0.833],
                  [0, 1, 0, -0.063, 1.005], [1, 0, 0, -0.851, -1.005], [1, 0, 0, -0.783, -0.129]])
    x = np.array([-0.625, -1.75, 1.75, 1.0, 0.75])
    b = A @ x - [0.273, 0.958, 2.533, 0.773, 0.339, 3.739]
    given = {"weighting": ("binomial", "cauchit"), "rng": 0}
    scores = levinv.LeverageMap(A, b, weighting=given["weighting"]).scores(x)
    found = invert_scores(A, b, scores, **given)
    every = np.vstack([found.x, found.alternatives])
    assert len(every) > 14                               # more than are combined
    for signs in np.unique(np.sign(every), axis=0)[::6]:
        chosen = invert_scores(A, b, scores, coefficient_signs=signs, **given)
        expected = every[np.all(every * signs >= 0, axis=1)]
        listed = np.vstack([chosen.x, chosen.alternatives])
        assert chosen.success
        assert not chosen.unique or len(expected) == 1
        assert len(listed) == len(expected)
        for z in expected:
            assert np.abs(listed - z).max(axis=1).min() < 1e-5


def test_signs_of_coefficients_choose_the_mirror_image(rng):
    A = scipy.sparse.block_diag([rng.standard_normal((40, 3)), rng.standard_normal((30, 2))])
    A, x = A.toarray(), np.array([-0.5, 0.7, 0.2, 1.0, -0.3])
    scores = levinv.LeverageMap(A, weighting="binomial").scores(x)
    given = {"weighting": "binomial", "rng": 0}
    both = invert_scores(A, None, scores, **given)
    assert not both.unique
    assert len(both.alternatives) == 2
    found = invert_scores(A, None, scores, coefficient_signs=[-1, 0, 0, 1, 0], **given)
    assert found.success
    assert found.unique
    assert_allclose(found.x, x, rtol=1e-9)
    half = invert_scores(A, None, scores, coefficient_signs=[-1, 0, 0, 0, 0], **given)
    assert not half.unique
    assert_allclose(half.x[:3], x[:3], rtol=1e-9)
    assert len(half.alternatives) == 1
    none = invert_scores(A, None, scores, coefficient_signs=[1, 1, 0, 0, 0], **given)
    assert not none.success
    assert not none.unique
    assert "signs of coefficients" in none.message


@pytest.mark.parametrize("signs, message", [
    ([2, 0], "coefficient_signs must be"), ([1], "coefficient_signs must have length 2")])
def test_bad_signs_of_coefficients(signs, message, rng):
    A = rng.standard_normal((10, 2))
    with pytest.raises(ValueError, match=message):
        invert_scores(A, None, levinv.leverage_scores(A), weighting="binomial",
                      coefficient_signs=signs)


def test_mirror_image_about_an_offset_in_the_range(rng):
    A, x, centre = rng.standard_normal((40, 3)), rng.standard_normal(3), rng.standard_normal(3)
    given = {"weighting": "binomial", "offset": A @ centre}
    scores = levinv.LeverageMap(A, **given).scores(x)
    found = invert_scores(A, None, scores, rng=0, **given)
    pair = sorted([tuple(found.x.round(8)), tuple(found.alternatives[0].round(8))])
    assert_allclose(pair, sorted([tuple(x.round(8)), tuple((-2 * centre - x).round(8))]),
                    atol=1e-7)


@pytest.mark.parametrize("name", PEAKED)
def test_known_sides(name, rng):
    A, x = categorical(rng), np.array([0.3, -1.0, 0.5, 0.2, 0.7])
    weighting = levinv.weighting.names.as_weighting(WEIGHTINGS[name])
    scores = levinv.LeverageMap(A, weighting=weighting).scores(x)
    sides = np.where(A @ x > weighting.mode, 1, -1)
    found = invert_scores(A, None, scores, weighting=weighting, signs=sides, rng=0)
    assert found.success
    assert found.unique
    assert_allclose(found.x, x, rtol=1e-9)
    assert_allclose(found.signs, sides)
    wrong = invert_scores(A, None, scores, weighting=weighting, signs=-sides, rng=0)
    assert not wrong.success or not np.allclose(wrong.x, x)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_components(name, rng):
    """Each component has a level of its own; a coloop has a score of 1 and no coefficient."""
    blocks = [rng.standard_normal((20, 2)), rng.standard_normal((16, 1)), np.ones((1, 1))]
    A = scipy.sparse.block_diag(blocks).toarray()
    x = np.array([0.7, -0.4, 1.3, 0.5])
    offset = rng.standard_normal(len(A))
    given = {"weighting": WEIGHTINGS[name], "offset": offset}
    scores = levinv.LeverageMap(A, **given).scores(x)
    found = invert_scores(A, None, scores, rng=0, **given)
    assert found.success, found.message
    assert found.evidence["components"] == 2
    assert_allclose(np.abs(found.null_space[:, 0]), [0, 0, 0, 1], atol=1e-12)
    assert least_error(found, x) < 1e-7
    assert not found.unique


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_saturated_cells_determine_nothing(name):
    """The score of each of m equal rows that share no column with others is 1/m for every x."""
    A = np.eye(3).repeat([4, 2, 5], axis=0)
    scores = np.repeat([1 / 4, 1 / 2, 1 / 5], [4, 2, 5])
    found = invert_scores(A, None, scores, weighting=WEIGHTINGS[name], offset=np.zeros(11), rng=0)
    assert found.success
    assert not found.unique
    assert found.null_space.shape == (3, 3)


def test_exponential_with_an_intercept(rng):
    A, x = categorical(rng), np.array([0.3, -1.0, 0.5, 0.2, 0.7])
    scores = levinv.LeverageMap(A, weighting="poisson").scores(x)
    found = invert_scores(A, None, scores, weighting="poisson", rng=0)
    assert_allclose(np.abs(found.null_space[:, 0]), [1, 0, 0, 0, 0], atol=1e-12)
    assert_allclose(found.x[1:], x[1:], rtol=1e-10)
    assert np.isinf(found.standard_errors[0])
    assert np.isfinite(found.standard_errors[1:]).all()


@pytest.mark.parametrize("name", ["logit", "cloglog", "negative binomial", "poisson", "power 1"])
def test_rounded_scores(name, rng):
    A, x = categorical(rng, 120), np.array([0.3, -1.0, 0.5, 0.2, 0.7])
    given = {"weighting": WEIGHTINGS[name], "offset": 0.3 * rng.standard_normal(120)}
    forward = levinv.LeverageMap(A, **given)
    noise = 10.0 ** -5 / 12 ** 0.5
    whitened = forward.jacobian(x) / noise
    deviations = []
    for seed in range(12):
        noisy = forward.scores(x) + noise * np.random.default_rng(seed).standard_normal(120)
        found = invert_scores(A, None, noisy, noise=noise, rng=0, **given)
        assert found.success, found.message
        known = np.isfinite(found.standard_errors)
        deviations.append(((found.x - x) / found.standard_errors)[known])
        free = found.null_space
        assert_allclose(np.linalg.norm(found.standard_errors[known]), bound(whitened, free),
                        rtol=0.05)
    assert 0.6 < np.sqrt(np.mean(np.square(deviations))) < 1.5


@pytest.mark.parametrize("name", ["logit", "cloglog", "negative binomial", "poisson"])
def test_outliers(name, rng):
    A, x = rng.standard_normal((80, 4)), rng.standard_normal(4)
    given = {"weighting": WEIGHTINGS[name], "offset": rng.standard_normal(80)}
    scores = levinv.LeverageMap(A, **given).scores(x)
    scores[[7, 30]] += [1e-3, -2e-4]
    found = invert_scores(A, None, scores, noise=1e-7, rng=0, **given)
    assert not found.success
    assert found.evidence["outliers"] == [7, 30]
    assert least_error(found, x) < 1e-4


def test_scores_of_zero_are_weights_below_rounding(rng):
    A = np.column_stack([np.ones(60), rng.standard_normal((60, 2))])
    x = np.array([1.0, 2.5, 0.5])
    scores = levinv.LeverageMap(A, weighting=("binomial", "cloglog")).scores(x)
    assert (scores == 0).any()
    found = invert_scores(A, None, scores, weighting=("binomial", "cloglog"), rng=0)
    assert found.success
    assert_allclose(found.x, x, rtol=1e-9)


@pytest.mark.parametrize("weighting", [("binomial", "log"), ("negative-binomial", "canonical"),
                                       ("negative-binomial", "identity")])
def test_domains(weighting, rng):
    """Links with a bounded linear predictor."""
    A = np.column_stack([np.ones(50), rng.uniform(0, 1, (50, 2))])
    x = np.array([0.5, 1.0, 0.3])
    x = -x if weighting[1] != "identity" else x
    scores = levinv.LeverageMap(A, weighting=weighting).scores(x)
    found = invert_scores(A, None, scores, weighting=weighting, rng=0)
    assert found.success
    assert least_error(found, x) < 1e-8


class Student:
    """log w = -(3/2) log(1 + η²/2), one peak, even."""

    def log_weight(self, eta):
        return -1.5 * np.log1p(eta ** 2 / 2)

    def derivative(self, eta):
        return -1.5 * eta / (1 + eta ** 2 / 2)

    def second_derivative(self, eta):
        return -1.5 * (1 - eta ** 2 / 2) / (1 + eta ** 2 / 2) ** 2


def test_own_weighting(rng):
    A, x, offset = rng.standard_normal((60, 4)), rng.standard_normal(4), rng.standard_normal(60)
    scores = literal_scores(A, A @ x + offset, Student().log_weight)
    found = invert_scores(A, None, scores, weighting=Student(), offset=offset, rng=0)
    assert found.success
    assert_allclose(found.x, x, rtol=1e-8)


class Shifted(Student):
    """The same, with its peak at 2."""

    def log_weight(self, eta):
        return super().log_weight(eta - 2.0)

    def derivative(self, eta):
        return super().derivative(eta - 2.0)

    def second_derivative(self, eta):
        return super().second_derivative(eta - 2.0)


def test_mirror_image_about_another_mode(rng):
    A, x = categorical(rng), np.array([0.3, -1.0, 0.5, 0.2, 0.7])
    scores = literal_scores(A, A @ x, Shifted().log_weight)
    found = invert_scores(A, None, scores, weighting=Shifted(), rng=0)
    assert found.success
    assert not found.unique
    pair = np.vstack([found.x, found.alternatives])
    expected = np.array([x, [3.7, 1.0, -0.5, -0.2, -0.7]])
    assert_allclose(pair[np.argsort(pair[:, 0])], expected, atol=1e-7)


@pytest.mark.parametrize("name", PEAKED + ["negative binomial"])
def test_equal_predictors_leave_the_intercept_open(name, rng):
    A = np.column_stack([np.ones(21), rng.standard_normal((21, 2))])
    scores = levinv.leverage_scores(A)                # of x = (c, 0, 0) for any c
    found = invert_scores(A, None, scores, weighting=WEIGHTINGS[name], rng=0)
    assert found.success
    assert not found.unique


def test_rows_of_the_other_sign_are_no_further_rows(rng):
    """Two cells, each with its rows and their negatives: the scores do not depend on x."""
    A = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    scores = np.array([1 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 2])
    found = invert_scores(A, None, scores, weighting="binomial", rng=0)
    assert found.success
    assert not found.unique
    assert found.null_space.shape == (2, 2)


@pytest.mark.parametrize("weighting", ["gaussian", ("gamma", "log"), ("poisson", "sqrt")])
def test_constant_weights_are_refused(weighting, rng):
    A = rng.standard_normal((10, 2))
    with pytest.raises(ValueError, match="the same for every x"):
        invert_scores(A, None, np.full(10, 0.2), weighting=weighting)


@pytest.mark.parametrize("given, message", [
    ({"weighting": "binomal"}, "family must be one of 'binomial', 'poisson'"),
    ({"weighting": ("binomial", "lgit")}, "link must be one of 'logit', 'probit'"),
    ({"weighting": ("poisson", "logit")}, "not a link of the family 'poisson'"),
    ({"weighting": "binomial", "offset": np.zeros(9)}, "offset must have length 10"),
    ({"weighting": "binomial", "prior_weights": np.full(10, np.nan)}, "prior_weights"),
    ({"weighting": "binomial", "prior_weights": -np.ones(10)}, "prior_weights must"),
    ({"weighting": "binomial", "prior_weights": np.r_[0.0, np.ones(9)]},
     "prior_weights must be above 0, got 0 at index 0"),
])
def test_bad_arguments(given, message, rng):
    A = rng.standard_normal((10, 2))
    scores = levinv.leverage_scores(A)
    with pytest.raises(ValueError, match=message):
        invert_scores(A, None, scores, **given)


@pytest.mark.parametrize("name", ["poisson", "negative binomial"])
def test_signs_without_a_mode(name, rng):
    A = rng.standard_normal((10, 2))
    with pytest.raises(ValueError, match="signs must be None: the weights of a"):
        invert_scores(A, None, levinv.leverage_scores(A), weighting=WEIGHTINGS[name], signs=1)


def test_neither_b_nor_weighting(rng):
    A = rng.standard_normal((10, 2))
    with pytest.raises(TypeError, match="None stands for 0 only if a weighting is given"):
        invert_scores(A, None, levinv.leverage_scores(A))


def test_both_b_and_offset(rng):
    A = rng.standard_normal((10, 2))
    with pytest.raises(ValueError, match="b and offset must not both be given"):
        invert_scores(A, np.zeros(10), levinv.leverage_scores(A), offset=np.zeros(10),
                      weighting="binomial")


def test_weighting_of_another_type(rng):
    A = rng.standard_normal((10, 2))
    with pytest.raises(TypeError, match="weighting must be a family's name"):
        invert_scores(A, None, levinv.leverage_scores(A), weighting=3.0)


def test_scores_that_no_x_has(rng):
    A = rng.standard_normal((30, 2))
    scores = levinv.leverage_scores(A)
    scores[:2] += [1e-3, -1e-3]
    found = invert_scores(A, None, scores, weighting="binomial", rng=0)
    assert not found.success
    assert found.status == 3
    assert not len(found.alternatives)


def test_callback_stops(rng):
    A, x = rng.standard_normal((40, 3)), rng.standard_normal(3)
    scores = levinv.LeverageMap(A, weighting="binomial").scores(x)

    def stop(intermediate_result):
        raise StopIteration

    found = invert_scores(A, None, scores, weighting="binomial", callback=stop)
    assert found.status == 4
    assert not found.success


def test_start(rng):
    A, x = rng.standard_normal((40, 3)), rng.standard_normal(3)
    scores = levinv.LeverageMap(A, weighting="binomial").scores(x)
    found = invert_scores(A, None, scores, weighting="binomial", x0=x + 1e-3)
    assert_allclose(found.x, x, rtol=1e-10)
    assert found.nfev < 10


def test_sparse_and_dense_agree(rng):
    A = scipy.sparse.random_array((120, 5), density=0.4, rng=rng, format="csr")
    x, offset = rng.standard_normal(5), rng.standard_normal(120)
    given = {"weighting": "binomial", "offset": offset}
    scores = levinv.LeverageMap(A, **given).scores(x)
    for rows in (A, A.toarray()):
        assert_allclose(invert_scores(rows, None, scores, rng=0, **given).x, x, rtol=1e-9)


def test_same_rng_same_result(rng):
    A, x = rng.standard_normal((40, 3)), rng.standard_normal(3)
    scores = levinv.LeverageMap(A, weighting="binomial").scores(x)
    one, other = (invert_scores(A, None, scores, weighting="binomial", rng=3) for _ in range(2))
    assert one.x.tobytes() == other.x.tobytes()


def test_fit_of_statsmodels():
    """A logistic regression's hat values give its coefficients away, without the responses."""
    sm = pytest.importorskip("statsmodels.api")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = sm.datasets.spector.load()
        fit = sm.GLM(data.endog, sm.add_constant(data.exog), family=sm.families.Binomial()).fit()
        hat = fit.get_hat_matrix_diag(observed=False)
    found = invert_scores(np.asarray(fit.model.exog), None, hat, weighting=fit.model.family,
                          rng=0)
    assert found.success
    assert least_error(found, np.asarray(fit.params)) < 1e-9


@pytest.mark.parametrize("noise", [None, 1e-4])
def test_prior_weights_of_many_orders(noise, rng):
    """Magnitudes, whose squares overflow, and scores below every double prove nothing."""
    A, x = rng.standard_normal((30, 3)), rng.standard_normal(3)
    for prior in (np.r_[1e200, np.ones(28), 1e-200], np.repeat([1e200, 1e-200], 15)):
        given = {"weighting": ("poisson", "identity"), "prior_weights": prior}
        scores = levinv.LeverageMap(A, **given).scores(x)
        found = invert_scores(A, None, scores, noise=noise, rng=0, **given)
        assert np.isfinite(found.x).all()
        assert "no finite slack" not in found.message


def test_a_row_of_overwhelming_weight(rng):
    """Its score is 1 to rounding, which is no proof that no x has it."""
    A, x = rng.standard_normal((30, 3)), rng.standard_normal(3)
    prior = np.ones(30)
    prior[0] = 1e200
    given = {"weighting": "binomial", "offset": rng.standard_normal(30), "prior_weights": prior}
    scores = levinv.LeverageMap(A, **given).scores(x)
    found = invert_scores(A, None, scores, rng=0, **given)
    assert found.status != 1
    assert "No x" not in found.message


def test_a_weight_of_zero(rng):
    """Rows of |A x - b| = 0 have the score 0 where the weights are its square."""
    A, x = rng.integers(-3, 4, (40, 3)).astype(float), np.array([1.0, 2.0, -1.0])
    scores = levinv.LeverageMap(A, weighting=("gaussian", "sqrt")).scores(x)
    assert (scores == 0).any()
    found = invert_scores(A, None, scores, weighting=("gaussian", "sqrt"), rng=0)
    assert "No x" not in found.message
