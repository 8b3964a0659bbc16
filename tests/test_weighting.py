"""The first map, x -> log weights: values and derivatives against 60-digit numbers, names, the way
back; and its composition with the second one, which holds for any weighting.
"""
import doctest
import warnings

import mpmath
import numpy as np
import pytest
import scipy.special
import statsmodels.api as sm
from mpmath import mpf
from numpy.testing import assert_allclose, assert_array_equal

from levinv import LeverageMap, invert_scores, leverage_scores
from levinv.forward.barrier import BarrierPoint
from levinv.forward.gradient_loss import GradientLossPoint
from levinv.forward.score_hessian import ScoreHessian
from levinv.forward.score_map import ScoreMap
from levinv.weighting import glm, observed, power
from levinv.weighting.names import CANONICAL, FAMILIES, LINKS, as_weighting
from levinv.weighting.protocol import INVERSE_SQUARE, Exponential

WEIGHTINGS = [power(1.0), power(1.5), power(4.0), Exponential(1.0), glm("binomial"),
              glm("binomial", "cloglog"), glm("negative-binomial", alpha=0.5)]


def derivative(function, x, h=1e-4):
    """By central differences of fourth order, last axis: along which coordinate of x."""
    def difference(e):
        return (8.0 * (function(x + h * e) - function(x - h * e))
                - function(x + 2 * h * e) + function(x - 2 * h * e)) / (12.0 * h)
    return np.stack([difference(e) for e in np.eye(len(x))], axis=-1)


# the composition

@pytest.fixture(params=[(9, 3), (60, 3)], ids=["short", "tall"])
def problem(request, rng):
    n, d = request.param
    A, x, s = rng.normal(size=(n, d)), rng.normal(size=d), rng.uniform(0.5, 2.0, n)
    return A, A @ x - s, x


def scores(A, b, x, weighting):
    return leverage_scores(A, slack=weighting.magnitude(A @ x - b)[0])


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_jacobian(problem, weighting):
    A, b, x = problem
    inner = ScoreMap(A, b, weighting)
    point = inner.at(x)
    assert_allclose(point.projection.scores, scores(A, b, x, weighting), rtol=1e-12)
    expected = derivative(lambda x: scores(A, b, x, weighting), x)
    assert_allclose(inner.jacobian(point), expected, atol=1e-9)
    y = np.linspace(-1.0, 1.0, len(b))
    assert_allclose(inner.pull(point, y), expected.T @ y, atol=1e-8)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_hessian_of_the_score_loss(problem, weighting):
    A, b, x = problem
    target = np.linspace(0.0, 1.0, len(b))
    inner = ScoreMap(A, b, weighting)

    def gradient(x):
        point = inner.at(x)
        return inner.pull(point, point.projection.scores - target)

    weights, projection = inner.at(x)
    found = ScoreHessian(inner.rows, weights, projection, projection.scores - target)
    expected = derivative(gradient, x)
    rest = 0.0 if found.extra is None else A.T @ (found.extra[:, None] * A)
    for hessian in (found.hessian(), found._short() + rest, found._tall() + rest,
                    np.stack([found.product(e) for e in np.eye(len(x))], axis=-1)):
        assert_allclose(hessian, expected, rtol=1e-7, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_barrier(problem, weighting):
    A, b, x = problem
    inner = ScoreMap(A, b, weighting)

    def at(x):
        return BarrierPoint(inner.rows, *inner.at(x))

    def value(x):
        scaled = A * np.exp(0.5 * weighting.log_weight(A @ x - b))[:, None]
        return 0.5 * np.linalg.slogdet(scaled.T @ scaled)[1]

    assert_allclose(at(x).value(), value(x), rtol=1e-12)
    assert_allclose(at(x).gradient(), derivative(value, x), rtol=1e-8, atol=1e-9)
    expected = derivative(lambda x: at(x).gradient(), x)
    assert_allclose(at(x).hessian(), expected, rtol=1e-7, atol=1e-8)
    assert_allclose(at(x).product(x), expected @ x, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_hessian_of_the_gradient_loss(problem, weighting):
    A, b, x = problem
    inner, target = ScoreMap(A, b, weighting), np.linspace(-1.0, 1.0, len(x))

    def at(x):
        return GradientLossPoint(BarrierPoint(inner.rows, *inner.at(x)), target)

    expected = derivative(lambda x: at(x).gradient(), x)
    scale = np.abs(expected).max()
    assert_allclose(at(x).hessian(), expected, rtol=1e-7, atol=1e-8 * scale)
    assert_allclose(at(x).product(x), expected @ x, rtol=1e-7, atol=1e-7 * scale)


def test_the_inverse_square_is_a_power(problem):
    A, b, x = problem
    slack = A @ x - b
    assert power(2.0) is INVERSE_SQUARE
    assert_array_equal(INVERSE_SQUARE.magnitude(slack)[0], np.abs(slack))
    assert INVERSE_SQUARE.magnitude(slack)[1] == 0.0
    assert_array_equal(INVERSE_SQUARE.times_slope(b, slack), b / slack)
    assert INVERSE_SQUARE.ratio == 2.0
    other = ScoreMap(A, b, "gamma")                 # by logarithms
    assert_allclose(LeverageMap(A, b).jacobian(x), other.jacobian(other.at(x)), rtol=1e-10,
                    atol=1e-13)


def test_the_inverse_square_at_a_zero_slack():
    slack = np.array([2.0, 0.0, -4.0])
    assert_array_equal(INVERSE_SQUARE.times_slope(1.0, slack), [0.5, 0.0, -0.25])
    assert_array_equal(INVERSE_SQUARE.magnitude(slack)[0], [2.0, 0.0, 4.0])


# 60 digits

def from_mean(mean, variance):
    """log(μ'²/V) with μ' by differentiation."""
    def log_weight(eta):
        return 2 * mpmath.log(abs(mpmath.diff(mean, eta))) - mpmath.log(variance(mean(eta)))
    return log_weight


def normal(x):
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def cauchit(eta):
    mean = mpmath.mpf(1) / 2 + mpmath.atan(eta) / mpmath.pi
    return -2 * mpmath.log(mpmath.pi * (1 + eta ** 2)) - mpmath.log(mean * (1 - mean))


def cloglog(eta):
    u = mpmath.exp(eta)
    return 2 * eta - u - mpmath.log(-mpmath.expm1(-u))


EXACT = {
    "logit": (glm("binomial"), lambda e: -2 * mpmath.log(2 * mpmath.cosh(e / 2))),
    "probit": (glm("binomial", "probit"),
               lambda e: (-e * e - mpmath.log(2 * mpmath.pi) - mpmath.log(normal(e))
                          - mpmath.log(normal(-e)))),
    "cauchit": (glm("binomial", "cauchit"), cauchit),
    "cloglog": (glm("binomial", "cloglog"), cloglog),
    "loglog": (glm("binomial", "loglog"), lambda e: cloglog(-e)),
    "negative binomial": (glm("negative-binomial", alpha=0.75),
                          lambda e: e - mpmath.log(1 + mpf(0.75) * mpmath.exp(e))),
    "inverse gaussian": (glm("inverse-gaussian"),
                         lambda e: -mpf(1.5) * mpmath.log(abs(e)) - mpmath.log(mpf(4))),
    "Poisson": (glm("poisson"), lambda e: e),
}
PLACES = [1e-8, 0.5, 1.0, 2.9, 3.1, 50.0, 700.0]


def places(weighting):
    mode = getattr(weighting, "mode", 0.5)
    return [*PLACES, *(-eta for eta in PLACES), mode, mode - 1e-9, mode + 1e-9, mode + 1e-4]


@pytest.mark.parametrize("name", EXACT)
def test_log_weight_and_its_derivatives(name):
    """To a few units of rounding of the value and of η."""
    weighting, exact = EXACT[name]
    functions = [weighting.log_weight, weighting.derivative, weighting.second_derivative]
    if weighting.remainder(np.ones(1)) is not None:
        functions.append(weighting.third_derivative)
    for eta in places(weighting):
        with mpmath.workdps(60 if abs(eta) < 60 or name == "probit" else 700):
            expected = [mpmath.diff(exact, mpf(eta), order) for order in range(5)]
            for order, function in enumerate(functions):
                found = function(np.array([eta]))[0]
                size = (abs(expected[order]) + abs(expected[order + 1]) * max(abs(eta), 1.0)
                        + abs(expected[0]) * (order == 0))
                allowed = 2e-13 if order > 1 else 2e-15
                assert np.isfinite(found), (eta, order)
                assert abs(mpf(float(found)) - expected[order]) <= allowed * size + mpf(
                    "1e-320"), (eta, order)


def test_odd_and_even():
    eta = np.array([1e-8, 0.3, 2.0, 4.0, 900.0])
    for link in ("logit", "probit", "cauchit"):
        weighting = glm("binomial", link)
        assert weighting.even
        assert_array_equal(weighting.log_weight(-eta), weighting.log_weight(eta))
        assert_array_equal(weighting.derivative(-eta), -weighting.derivative(eta))
        assert_array_equal(weighting.second_derivative(-eta), weighting.second_derivative(eta))
        assert_array_equal(weighting.third_derivative(-eta), -weighting.third_derivative(eta))


@pytest.mark.parametrize("family, link, variance, mean, domain", [
    ("binomial", "log", lambda m: m * (1 - m), mpmath.exp, (-4.0, -0.1)),
    ("binomial", "logc", lambda m: m * (1 - m), lambda e: 1 - mpmath.exp(e), (-4.0, -0.1)),
    ("binomial", "identity", lambda m: m * (1 - m), lambda e: e, (0.05, 0.95)),
    ("binomial", "sqrt", lambda m: m * (1 - m), lambda e: e * e, (0.05, 0.95)),
    ("negative-binomial", "identity", lambda m: m + m * m, lambda e: e, (0.1, 9.0)),
    ("negative-binomial", "cloglog", lambda m: m + m * m,
     lambda e: -mpmath.expm1(-mpmath.exp(e)), (-3.0, 1.5)),
    ("negative-binomial", "canonical", lambda m: m + m * m,
     lambda e: mpmath.exp(e) / -mpmath.expm1(e), (-4.0, -0.1)),
])
def test_composed(family, link, variance, mean, domain):
    weighting, exact = glm(family, link), from_mean(mean, variance)
    eta = np.linspace(*domain, 7)
    functions = (weighting.log_weight, weighting.derivative, weighting.second_derivative)
    with mpmath.workdps(60):
        for order, function in enumerate(functions):
            expected = [float(mpmath.diff(exact, mpf(float(value)), order)) for value in eta]
            assert_allclose(function(eta), expected, rtol=1e-11, atol=1e-11)
    assert np.all(np.isfinite(weighting.derivative(eta)))
    low, high = weighting.domain
    assert low < domain[0] and domain[1] < high


# names

SM = sm.families
STATSMODELS = {"binomial": SM.Binomial, "poisson": SM.Poisson, "gaussian": SM.Gaussian,
               "gamma": SM.Gamma, "inverse-gaussian": SM.InverseGaussian,
               "negative-binomial": SM.NegativeBinomial, "tweedie": SM.Tweedie}
LINK_NAMES = {"Logit": "logit", "Probit": "probit", "Cauchy": "cauchit", "CLogLog": "cloglog",
              "LogLog": "loglog", "Log": "log", "LogC": "logc", "NegativeBinomial": "canonical",
              "Identity": "identity", "InversePower": "inverse", "Sqrt": "sqrt",
              "InverseSquared": "inverse-squared", "Power": "power"}


def pairs():
    """Every family and link of statsmodels: names, the family object, other arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")            # of links whose domain is not everything
        return list(families_and_links())


def families_and_links():
    for name, family in STATSMODELS.items():
        for link in family.links:
            linked = link(power=0.7) if link is SM.links.Power else link()
            given = {"link_power": 0.7} if link is SM.links.Power else {}
            if name == "negative-binomial":
                fitted, given = family(linked, alpha=1.0), {**given, "alpha": 1.0}
            elif name == "tweedie":
                fitted, given = family(linked, var_power=1.5), {**given, "power": 1.5}
            else:
                fitted = family(linked)
            link = LINK_NAMES[type(linked).__name__]
            yield pytest.param(name, link, fitted, given, id=f"{name}-{link}")


@pytest.mark.parametrize("family, link, fitted, given", pairs())
def test_families_and_links_of_statsmodels(family, link, fitted, given):
    means = np.linspace(0.1, 0.9, 9)
    if family != "binomial" and link != "cloglog":
        means = means * 4.0
    eta = fitted.link(means)
    by_name, by_object = glm(family, link, **given), as_weighting(fitted)
    assert_allclose(by_name.log_weight(eta), np.log(fitted.weights(means)), rtol=1e-9, atol=1e-9)
    assert_array_equal(by_name.log_weight(eta), by_object.log_weight(eta))
    if not given:
        pair = as_weighting((family, link))
        assert_array_equal(by_name.log_weight(eta), pair.log_weight(eta))
    if link == CANONICAL[family] and family != "tweedie":
        assert_array_equal(as_weighting(family).log_weight(eta), by_name.log_weight(eta))


def test_negative_binomial_link_with_its_own_alpha():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = SM.NegativeBinomial(SM.links.NegativeBinomial(alpha=1.0), alpha=0.5)
    means = np.linspace(0.2, 4.0, 5)
    assert_allclose(as_weighting(fitted).log_weight(fitted.link(means)),
                    np.log(fitted.weights(means)), rtol=1e-10)


@pytest.mark.parametrize("given, choices", [
    ("binomail", FAMILIES), (("binomial", "logitt"), LINKS), (("poisson", "logitt"), LINKS)])
def test_unknown_names_name_the_choices(given, choices):
    with pytest.raises(ValueError, match="must be one of") as error:
        as_weighting(given)
    assert all(repr(choice) in str(error.value) for choice in choices)
    assert repr(given if isinstance(given, str) else given[1]) in str(error.value)


@pytest.mark.parametrize("call, message", [
    (lambda: glm("poisson", "logit"), "not a link of the family 'poisson'"),
    (lambda: glm("poisson", alpha=1.0), "alpha must not be given"),
    (lambda: glm("binomial", "logit", link_power=2.0), "link_power must not be given"),
    (lambda: glm("tweedie"), "power must be given"),
    (lambda: glm("gamma", "power"), "link_power must be given"),
    (lambda: power(0.0), "q must not be 0"),
    (lambda: power(np.inf), "q must be finite"),
    (lambda: observed("binomial", "probit", [0.0, 2.0]), r"y must be in \[0, 1\], got 2.0"),
    (lambda: observed("gamma", "log", [1.0, -2.0]), "y must be at least 0, got -2.0"),
    (lambda: observed("gamma", "log", [1.0, np.nan]), "y must be finite"),
])
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("function", [glm, power, observed])
def test_examples(function):
    runner = doctest.DocTestRunner(verbose=False)
    for examples in doctest.DocTestFinder().find(function, function.__name__):
        runner.run(examples)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("value", [3, ("binomial",), ("a", "b", "c"), object()])
def test_other_objects(value):
    with pytest.raises(TypeError, match="weighting must be a family's name"):
        as_weighting(value)


# own objects

class Bell:
    """w = exp(-η²)."""

    name = "a bell"

    def log_weight(self, eta):
        return -eta ** 2

    def derivative(self, eta):
        return -2.0 * eta

    def second_derivative(self, eta):
        return np.full_like(eta, -2.0)


class Skewed(Bell):
    """w = exp(η - e^η)."""

    def log_weight(self, eta):
        with np.errstate(over="ignore"):
            return eta - np.exp(eta)

    def derivative(self, eta):
        with np.errstate(over="ignore"):
            return 1.0 - np.exp(eta)

    def second_derivative(self, eta):
        with np.errstate(over="ignore"):
            return -np.exp(eta)


class Flat(Bell):
    """w = e."""

    def log_weight(self, eta):
        return np.ones_like(eta)

    def derivative(self, eta):
        return np.zeros_like(eta)

    second_derivative = derivative


class Waves(Bell):
    """w = exp(sin η)."""

    def log_weight(self, eta):
        return np.sin(eta)

    def derivative(self, eta):
        return np.cos(eta)


def test_own_objects(rng):
    eta = rng.normal(size=5)
    bell = as_weighting(Bell())
    assert bell.kind == "peak"
    assert bell.name == "a bell"
    assert bell.mode == 0.0
    assert bell.even
    assert_allclose(bell.log_weight(eta), -eta ** 2)
    assert not as_weighting(Skewed()).even
    assert as_weighting(Waves()).kind == "other"
    flat = as_weighting(Flat())
    assert flat.kind == "constant"
    assert_array_equal(flat.log_weight(eta), 1.0)
    assert_array_equal(flat.derivative(eta), 0.0)


def test_an_even_object_has_a_mirror_image(rng):
    A, x = rng.normal(size=(40, 3)), np.array([1.0, 0.5, -0.3])
    scores = LeverageMap(A, weighting=Bell()).scores(x)
    found = invert_scores(A, None, scores, weighting=Bell(), rng=0)
    assert found.success
    assert not found.unique
    assert_allclose(found.alternatives, -found.x[None])
    assert_allclose(np.abs(found.x), np.abs(x))


@pytest.mark.parametrize("given", ["gaussian", ("gamma", "log"), ("poisson", "sqrt"), Flat()])
def test_constant_weightings(given):
    weighting, eta = as_weighting(given), np.array([-1.0, 0.5, 3.0])
    assert weighting.kind == "constant"
    assert np.ptp(weighting.log_weight(eta)) == 0.0
    assert_array_equal(weighting.derivative(eta), 0.0)
    assert weighting.remainder(eta) is None


# the way back

@pytest.mark.parametrize("name", ["logit", "probit", "cauchit", "cloglog", "loglog"])
def test_branches(name):
    weighting, exact = EXACT[name]
    gap = np.geomspace(1e-14, 20.0 if name == "cauchit" else 300.0, 40)
    lower, upper = weighting.branches(gap)
    assert np.all((lower < weighting.mode) & (weighting.mode < upper))
    with mpmath.workdps(60):
        mode = mpmath.findroot(lambda e: mpmath.diff(exact, e), weighting.mode)
        for eta in (lower, upper):
            found = [exact(mode) - exact(mode + (mpf(float(value)) - mpf(weighting.mode)))
                     for value in eta]
            assert_allclose(np.array(found, dtype=float), gap, rtol=1e-4)


@pytest.mark.parametrize("weighting, eta", [
    (glm("negative-binomial", alpha=0.75), np.linspace(-300.0, 20.0, 30)),
    (glm("negative-binomial", "canonical"), np.linspace(-30.0, -0.01, 30)),
    (glm("negative-binomial", "identity"), np.linspace(0.1, 30.0, 30)),
    (glm("binomial", "log"), np.linspace(-30.0, -0.01, 30))])
def test_inverse(weighting, eta):
    log_weight = weighting.log_weight(eta)
    assert_allclose(weighting.log_weight(weighting.inverse(log_weight)), log_weight, rtol=1e-7,
                    atol=1e-9)


@pytest.mark.parametrize("link", ["log", "logc"])
def test_binomial_log_links_keep_their_digits_where_the_mean_is_close_to_one(link):
    weighting, eta = glm("binomial", link), -10.0 ** np.arange(0.0, -33.0, -4.0)
    with mpmath.workdps(80):
        def tau(z):
            return z - mpmath.log(-mpmath.expm1(z))
        for order, name in enumerate(("log_weight", "derivative", "second_derivative")):
            exact = [float(mpmath.diff(tau, mpf(float(value)), order)) for value in eta]
            assert_allclose(getattr(weighting, name)(eta), exact, rtol=1e-14)


# observed information

@pytest.mark.parametrize("family, link, y, eta", [
    ("binomial", "probit", [0.0, 1.0, 0.3], [-20.0, -2.0, 0.1, 2.0, 6.0]),
    ("binomial", "cloglog", [0.0, 1.0, 0.3], [-40.0, -2.0, 0.1, 2.0]),
    ("binomial", "loglog", [0.0, 1.0, 0.3], [-2.0, 0.1, 2.0, 40.0]),
    ("binomial", "cauchit", [0.0, 1.0, 0.3], [-0.4, 0.1, 0.3]),
    ("gamma", "log", [0.5, 2.0], [-3.0, 0.5, 4.0]),
    ("gaussian", "log", [0.1], [0.5, 4.0]),
    ("poisson", "identity", [0.5, 2.0], [0.5, 4.0]),
    ("negative-binomial", "log", [0.0, 3.0], [-3.0, 0.5, 4.0])])
def test_observed(family, link, y, eta):
    """-ℓ'' and -ℓ''' by differentiation."""
    likelihood = {
        "binomial": lambda m, y: y * mpmath.log(m) + (1 - y) * mpmath.log(1 - m),
        "gamma": lambda m, y: -y / m - mpmath.log(m), "gaussian": lambda m, y: -(y - m) ** 2 / 2,
        "poisson": lambda m, y: y * mpmath.log(m) - m,
        "negative-binomial": lambda m, y: y * mpmath.log(m) - (1 + y) * mpmath.log(1 + m)}[family]
    mean = {"probit": normal, "cauchit": lambda e: mpf(1) / 2 + mpmath.atan(e) / mpmath.pi,
            "cloglog": lambda e: -mpmath.expm1(-mpmath.exp(e)),
            "loglog": lambda e: mpmath.exp(-mpmath.exp(-e)), "log": mpmath.exp,
            "identity": lambda e: e}[link]
    for response in y:
        weighting = observed(family, link, np.full(len(eta), response))
        values = np.exp(weighting.log_weight(np.array(eta)))
        slopes = values * weighting.derivative(np.array(eta))
        with mpmath.workdps(300 if link == "probit" else 200):
            def at(e, response=response):
                return likelihood(mean(e), mpf(response))

            for i, place in enumerate(eta):
                second = -mpmath.diff(at, mpf(place), 2)
                assert_allclose(values[i], float(second), rtol=1e-12)
                assert_allclose(slopes[i], float(-mpmath.diff(at, mpf(place), 3)), rtol=1e-11,
                                atol=1e-13 * values[i])


def test_observed_is_expected_for_canonical_links():
    eta = np.array([-2.0, 0.5, 3.0])
    y = np.array([1.0, 0.0, 1.0])
    for family in ("binomial", "poisson", "gaussian"):
        weighting = observed(family, None, y)
        assert_allclose(weighting.log_weight(eta), glm(family).log_weight(eta), rtol=1e-14)
        assert weighting.length == 3
    assert_allclose(np.exp(observed("binomial", None, y).log_weight(eta)),
                    scipy.special.expit(eta) * scipy.special.expit(-eta), rtol=1e-14)


@pytest.mark.parametrize("family, link, given, variance, mean", [
    ("gamma", "log", {}, lambda m: m ** 2, mpmath.exp),
    ("gamma", "identity", {}, lambda m: m ** 2, lambda eta: eta),
    ("poisson", "sqrt", {}, lambda m: m, lambda eta: eta ** 2),
    ("poisson", "identity", {}, lambda m: m, lambda eta: eta),
    ("gaussian", "log", {}, lambda m: mpmath.mpf(1), mpmath.exp),
    ("inverse-gaussian", "log", {}, lambda m: m ** 3, mpmath.exp),
    ("tweedie", "log", {"power": 1.5}, lambda m: m ** mpmath.mpf(1.5), mpmath.exp),
    ("tweedie", "power", {"power": 1.5, "link_power": 0.25}, lambda m: m ** mpmath.mpf(1.5),
     lambda eta: eta ** 4),
    ("negative-binomial", "log", {"alpha": 0.5}, lambda m: m + m ** 2 / 2, mpmath.exp),
])
@pytest.mark.parametrize("eta", [0.01, 1.0, 12.0])
def test_observed_weights_far_from_the_response(family, link, given, variance, mean, eta):
    """The terms of the definition are then large beside the weight."""
    y = 0.07

    def weight(at):
        def slope(t):                                    # of the log-likelihood
            return (y - mean(t)) * mpmath.diff(mean, t) / variance(mean(t))
        return -mpmath.diff(slope, at)

    with mpmath.workdps(60):
        exact = weight(mpmath.mpf(eta))
        derivative = mpmath.diff(weight, mpmath.mpf(eta)) / exact
    if exact < 0:
        pytest.skip("a negative weight")
    found = observed(family, link, [y], **given)
    assert_allclose(np.exp(found.log_weight(np.array([eta]))), float(exact), rtol=2e-13)
    assert_allclose(found.derivative(np.array([eta])), float(derivative), rtol=5e-13, atol=1e-14)
