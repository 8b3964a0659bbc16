"""Rounded scores: x is the centre of the set of all x that round to them."""
import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from levinv import LeverageMap, invert_scores
from levinv.data import load_diabetes
from levinv.inverse.stages.polytope import analytic_centre, least_largest


def cases():
    """A, b, the weighting, x and the number of decimals: random, categorical and real designs."""
    rng = np.random.default_rng(3)
    A = rng.standard_normal((200, 3))
    x = np.array([0.5, -1.0, 0.8])
    yield "slacks in [1, 2]", A, A @ x - rng.uniform(1, 2, 200), None, x, 4
    yield ("logit", np.column_stack([np.ones(200), A]), None, "binomial",
           np.array([0.3, -1.0, 0.5, 0.8]), 3)
    levels = np.eye(4)[rng.integers(0, 4, 120)]
    yield ("factor", np.column_stack([levels, rng.standard_normal(120)]), None, "binomial",
           np.array([0.5, -0.4, 1.0, 0.2, -0.7]), 4)
    design = load_diabetes()[0].copy()
    design[:, 1:] = (design[:, 1:] - design[:, 1:].mean(axis=0)) / design[:, 1:].std(axis=0)
    yield "diabetes", design, None, "poisson", np.linspace(-0.5, 0.5, design.shape[1]), 4


CASES = {name: case for name, *case in cases()}


@pytest.fixture(params=CASES)
def rounded(request):
    A, b, weighting, x, decimals = CASES[request.param]
    forward = LeverageMap(A, b, weighting=weighting)

    def invert(**noise):
        return invert_scores(A, b, scores, weighting=weighting, rng=0, **noise)

    scores = forward.scores(x).round(decimals)
    return forward, x, scores, decimals, invert


def nearest(result, x):
    """x or the alternative nearest to the true x, outside the null space."""
    differences = np.vstack([result.x, result.alternatives]) - x
    differences -= differences @ result.null_space @ result.null_space.T
    return differences[np.argmin(np.linalg.norm(differences, axis=1))]


def test_scores_round_to_those_given(rounded):
    _, _, scores, decimals, invert = rounded
    result = invert(decimals=decimals)
    assert result.success
    assert np.abs(result.scores - scores).max() <= 0.5 * 10.0 ** -decimals
    fit = result.evidence["fit"]
    assert fit["largest_error"] <= fit["half_unit"]
    assert fit["half_unit"] == pytest.approx(0.5 * 10.0 ** -decimals)


@pytest.mark.parametrize("name", CASES)
def test_more_accurate_than_least_squares(name):
    A, b, weighting, x, decimals = CASES[name]
    forward = LeverageMap(A, b, weighting=weighting)
    errors = []
    for seed in range(4):
        true = x * (1.0 + 0.05 * np.random.default_rng(seed).standard_normal(len(x)))
        scores = forward.scores(true).round(decimals)
        errors.append([
            np.linalg.norm(forward.jvp(true, nearest(invert_scores(
                A, b, scores, weighting=weighting, x0=true, rng=0, **noise), true)))
            for noise in ({"decimals": decimals}, {"noise": 10.0 ** -decimals / 12 ** 0.5})])
    centre, least_squares = np.linalg.norm(errors, axis=0)
    assert centre < 0.8 * least_squares


def test_maximum_of_the_barrier(rounded):
    forward, _, scores, decimals, invert = rounded
    result = invert(decimals=decimals)
    half = 0.5 * 10.0 ** -decimals
    basis = np.linalg.qr(np.column_stack([result.null_space, np.eye(len(result.x))]))[0]
    basis = basis[:, result.null_space.shape[1]:len(result.x)]

    def barrier(y):
        room = 1.0 - ((forward.scores(result.x + basis @ y) - scores) / half) ** 2
        return -np.log(room).sum() if room.min() > 0 else np.inf

    least = barrier(np.zeros(basis.shape[1]))
    scale = result.standard_errors.min()
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert barrier(0.3 * scale * rng.standard_normal(basis.shape[1])) > least - 1e-6


def test_counts_small_where_rounding_errors_depend_on_each_other():
    # Scores of 0.0005 on average at three decimals: most round to 0 or 0.001.
    rng = np.random.default_rng(1)
    A = np.column_stack([np.ones(4000), rng.integers(0, 3, (4000, 2)), rng.integers(0, 2, 4000)])
    x = np.array([0.1, 0.4, -0.6, 0.5])
    forward = LeverageMap(A.astype(float), weighting="poisson")
    result = invert_scores(A, None, forward.scores(x).round(3), weighting="poisson", decimals=3,
                           rng=0)
    assert result.success
    assert np.abs(forward.scores(result.x) - forward.scores(x)).max() <= 1e-3
    jacobian = forward.jacobian(x)[np.unique(A, axis=0, return_index=True)[1]]
    errors = 1e-3 / 12 ** 0.5 / np.linalg.svd(jacobian, compute_uv=False)[:3]
    assert np.linalg.norm(nearest(result, x)) <= 3 * np.linalg.norm(errors)


def test_no_x_in_the_intervals():
    # One score is off by a unit: least squares still explains the scores.
    A, _, weighting, x, decimals = CASES["logit"]
    forward = LeverageMap(A, weighting=weighting)
    scores = forward.scores(x).round(decimals)
    scores[7] += 1.5 * 10.0 ** -decimals
    result = invert_scores(A, None, scores, weighting=weighting, decimals=decimals, rng=0)
    noisy = invert_scores(A, None, scores, weighting=weighting,
                          noise=10.0 ** -decimals / 12 ** 0.5, rng=0)
    assert result.success and noisy.success
    assert result.evidence["fit"]["largest_error"] > result.evidence["fit"]["half_unit"]
    np.testing.assert_array_equal(result.x, noisy.x)


@pytest.mark.parametrize("seed", range(5))
def test_linear_program_by_cutting_planes(seed):
    rng = np.random.default_rng(seed)
    changes, residual = rng.standard_normal((500, 6)), 5.0 * rng.standard_normal(500)
    changes[100:200] = changes[:100]
    y = least_largest(changes, residual)
    level = -np.ones((500, 1))
    whole = linprog(np.append(np.zeros(6), 1.0),
                    A_ub=np.block([[changes, level], [-changes, level]]),
                    b_ub=np.concatenate([-residual, residual]), bounds=[(None, None)] * 7)
    assert np.abs(residual + changes @ y).max() == pytest.approx(whole.fun, rel=1e-7)


@pytest.mark.parametrize("seed", range(5))
def test_analytic_centre(seed):
    rng = np.random.default_rng(seed)
    changes, residual = rng.standard_normal((80, 3)), rng.uniform(-0.98, 0.98, 80)
    y, decrement = analytic_centre(changes, residual)

    def barrier(at):
        room = 1.0 - (residual + changes @ at) ** 2
        return -np.log(room).sum() if room.min() > 0 else np.inf

    other = minimize(barrier, np.zeros(3), method="Nelder-Mead",
                     options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 5000})
    np.testing.assert_allclose(y, other.x, atol=1e-6)
    assert decrement > 1e-3
    assert analytic_centre(changes, residual + changes @ y)[1] < 1e-6


def test_alternatives_differ_on_few_components():
    rng = np.random.default_rng(20)
    level = rng.integers(0, 8, 120)
    A = np.column_stack([np.ones(120), np.eye(8)[level][:, 1:]])
    x, b = rng.standard_normal(8), rng.standard_normal(120)
    scores = LeverageMap(A, b).scores(x).round(2)
    result = invert_scores(A, b, scores, decimals=2, rng=0)
    assert result.success and len(result.alternatives) > 1
    for other in result.alternatives:
        moved = np.abs(A @ (other - result.x)) > 1e-9
        assert 1 <= len(np.unique(level[moved])) <= 2


def test_no_slack_passes_zero():
    # Beyond a zero slack another branch begins: the centre stays on that of least squares.
    rng = np.random.default_rng(7)
    for seed in range(5):
        A, b = rng.standard_normal((30, 3)), rng.standard_normal(30)
        scores = LeverageMap(A, b).scores(rng.standard_normal(3)).round(2)
        pair = [invert_scores(A, b, scores, rng=seed, **noise)
                for noise in ({"decimals": 2}, {"noise": 0.01 / 12 ** 0.5})]
        np.testing.assert_array_equal(*(found.signs for found in pair))


def test_unique_with_known_sides():
    A, _, weighting, x, decimals = CASES["logit"]
    forward = LeverageMap(A, weighting=weighting)
    result = invert_scores(A, None, forward.scores(x).round(decimals), weighting=weighting,
                           decimals=decimals, signs=np.sign(A @ x), rng=0)
    assert result.success and result.unique and not len(result.alternatives)
