"""Scores as they are published: rounded, truncated, in single precision, printed in per cent, wrong
in a row.
"""
import numpy as np
import pytest

import designs
from levinv import LeverageMap, invert_many, invert_scores, leverage_scores
from levinv.data import load_diabetes


def standardised(A, b):
    """z-scores beside the intercept, and the response's."""
    A = np.column_stack([A[:, :1], (A[:, 1:] - A[:, 1:].mean(axis=0)) / A[:, 1:].std(axis=0)])
    return A, (b - b.mean()) / b.std()


def random_design(n, d):
    rng = np.random.default_rng(n + d)
    return rng.standard_normal((n, d)), rng.standard_normal(n)


DESIGNS = {"diabetes": standardised(*load_diabetes()[:2]), "60 x 8": random_design(60, 8)}
for set_name, set_A, set_b in designs.regression_sets():
    if set_name in ("stackloss", "iris", "statecrime"):
        DESIGNS[set_name] = standardised(set_A, set_b)


@pytest.fixture(params=DESIGNS)
def published(request):
    """A, b, x and its scores; x is fitted to half of the rows."""
    A, b = DESIGNS[request.param]
    x = np.linalg.lstsq(A[::2], b[::2], rcond=None)[0]
    return A, b, x, LeverageMap(A, b).scores(x)


def assert_recovered(result, x, errors=5.0):
    assert result.success, result.message
    assert result.evidence["outliers"] == []
    assert np.all(np.abs(result.x - x) <= errors * result.standard_errors)


def truncated(c, decimals):
    return np.floor(c * 10.0 ** decimals) / 10.0 ** decimals


@pytest.mark.parametrize("decimals", [4, 6])
def test_rounded(published, decimals):
    A, b, x, c = published
    result = invert_scores(A, b, c.round(decimals), noise=10.0 ** -decimals / 12 ** 0.5, rng=0)
    assert_recovered(result, x)


@pytest.mark.parametrize("decimals", [4, 6])
def test_truncated(published, decimals):
    A, b, x, c = published
    unit, given = 10.0 ** -decimals, truncated(c, decimals)
    result = invert_scores(A, b, given, noise=unit / 3 ** 0.5, rng=0)
    assert_recovered(result, x)
    centred = invert_scores(A, b, given + 0.5 * unit, noise=unit / 12 ** 0.5, rng=0)
    assert_recovered(centred, x)
    # changes of the scores sum to 0: half a unit in every row is no change of x
    np.testing.assert_allclose(result.x, centred.x, rtol=0,
                               atol=0.05 * centred.standard_errors.max())


def test_single_precision(published):
    A, b, x, c = published
    single = c.astype(np.float32)
    result = invert_scores(A, b, single, noise=np.spacing(single) / 12 ** 0.5, rng=0)
    assert_recovered(result, x)


def test_single_precision_without_noise_is_said(published):
    A, b, _, c = published
    result = invert_scores(A, b, c.astype(np.float32), rng=0)
    assert not (result.success and result.unique)
    assert "single precision" in result.message


@pytest.mark.parametrize("decimals", [3, 5])
def test_rounded_without_noise_is_said(published, decimals):
    A, b, _, c = published
    result = invert_scores(A, b, c.round(decimals), rng=0)
    assert not result.success
    assert f"rounded to {decimals} decimals" in result.message or "score 0" in result.message


def test_printed_in_per_cent():
    A, b = DESIGNS["stackloss"]
    x = np.linalg.lstsq(A[::2], b[::2], rcond=None)[0]
    printed = [f"{100 * score:.1f} %" for score in LeverageMap(A, b).scores(x)]
    scores = np.array([float(entry.removesuffix(" %")) / 100 for entry in printed])
    assert scores.sum() != 4
    assert_recovered(invert_scores(A, b, scores, noise=1e-3 / 12 ** 0.5, rng=0), x)


def test_shares_in_per_cent_of_the_sum():
    A, b = DESIGNS["60 x 8"]
    x = np.linalg.lstsq(A[::2], b[::2], rcond=None)[0]
    shares = (100 * LeverageMap(A, b).scores(x) / 8).round(2)
    assert shares.sum() != 100
    assert_recovered(invert_scores(A, b, shares * 8 / 100, noise=8e-4 / 12 ** 0.5, rng=0), x)


def test_estimates(rng):
    """Means of squared projections onto random vectors, with their own standard errors."""
    A, b = DESIGNS["60 x 8"]
    x = np.linalg.lstsq(A[::2], b[::2], rcond=None)[0]
    q = np.linalg.qr(A / (A @ x - b)[:, None])[0]
    m = 10 ** 6
    squares = (q @ rng.standard_normal((8, m // 10))) ** 2
    for _ in range(9):
        squares += (q @ rng.standard_normal((8, m // 10))) ** 2
    squares /= 10
    noise = squares.std(axis=1) / (m // 10) ** 0.5
    assert_recovered(invert_scores(A, b, squares.mean(axis=1), noise=noise, rng=0), x)


def dithered(c, decimals, rng):
    """Rounded to ``decimals``, with rounding errors of their own each time."""
    unit = 10.0 ** -np.broadcast_to(decimals, c.shape).astype(float)
    shift = rng.uniform(-0.5, 0.5, len(c))
    return np.clip(unit * (np.round(c / unit + shift) - shift), 0.0, 1.0)


@pytest.mark.parametrize("name", ["diabetes", "stackloss"])
@pytest.mark.parametrize("per_row", [False, True])
def test_standard_errors(name, per_row, rng):
    A, b = DESIGNS[name]
    x = np.linalg.lstsq(A[::2], b[::2], rcond=None)[0]
    c = LeverageMap(A, b).scores(x)
    decimals = rng.integers(4, 7, len(c)) if per_row else np.full(len(c), 5)
    noise = 10.0 ** -decimals / 12 ** 0.5
    deviations = []
    for _ in range(100):
        result = invert_scores(A, b, dithered(c, decimals, rng), x0=x,
                               noise=noise if per_row else noise[0])
        assert result.success
        deviations.append((result.x - x) / result.standard_errors)
    rms = np.sqrt(np.mean(np.square(deviations), axis=0))
    assert np.all((0.7 < rms) & (rms < 1.4))


# outliers

@pytest.mark.parametrize("known", [True, False])
def test_a_shifted_score_is_named(published, known):
    A, b, x, c = published
    rng, noise = np.random.default_rng(0), 1e-5
    signs = np.sign(A @ x - b) if known else None
    for _ in range(5):
        given = np.clip(c + noise * rng.standard_normal(len(c)), 0, 1)
        row = int(rng.integers(len(c)))
        given[row] += 20 * noise if given[row] < 0.5 else -20 * noise
        result = invert_scores(A, b, given, signs=signs, noise=noise, rng=0)
        if row not in result.evidence["outliers"]:         # no other score could be its own
            assert leverage_in_jacobian(A, b, x, noise)[row] > 0.9
            continue
        assert not result.success
        assert result.evidence["outliers"] == [row]
        assert abs(abs(result.evidence["studentised_residuals"][0]) - 20) < 12
        assert f"row {row}" in result.message
        assert np.all(np.abs(result.x - x) <= 6 * result.standard_errors)


def leverage_in_jacobian(A, b, x, noise):
    q = np.linalg.qr(LeverageMap(A, b).jacobian(x))[0]
    return np.einsum("ij,ij->i", q, q)


def test_clean_scores_have_no_outliers(published):
    A, b, x, c = published
    rng, found = np.random.default_rng(0), 0
    for _ in range(20):
        given = np.clip(c + 1e-5 * rng.standard_normal(len(c)), 0, 1)
        result = invert_scores(A, b, given, noise=1e-5, x0=x)
        found += bool(result.evidence["outliers"])
    assert found <= 1


@pytest.mark.parametrize("shift", [1e-6, 1e-3])
def test_a_wrong_score_among_exact_ones(published, shift):
    A, b, x, c = published
    for row in (0, len(c) // 2):
        given = c.copy()
        given[row] += shift if c[row] < 0.5 else -shift
        result = invert_scores(A, b, given, rng=0)
        assert not result.success
        assert result.evidence["outliers"] == [row]
        assert f"row {row}" in result.message
        np.testing.assert_allclose(result.x, x, rtol=0, atol=1e-9 * np.abs(x).max())


@pytest.mark.parametrize("noise", [None, 1e-5 / 12 ** 0.5])
@pytest.mark.parametrize("known", [True, False])
def test_swapped_scores_are_named(noise, known):
    """However different the two are."""
    A, b = DESIGNS["diabetes"]
    x = np.linalg.lstsq(A[::2], b[::2], rcond=None)[0]
    c = LeverageMap(A, b).scores(x)
    order = np.argsort(c).tolist()
    for rows in ((order[-2], order[10]), (order[200], order[-30]), (order[-60], order[-9])):
        rows = sorted(rows)
        assert abs(c[rows[0]] - c[rows[1]]) > 1e-3
        given = c.copy() if noise is None else c.round(5)
        given[rows] = given[rows[::-1]]
        result = invert_scores(A, b, given, noise=noise, rng=0,
                               signs=np.sign(A @ x - b) if known else None)
        assert not result.success
        assert result.evidence["outliers"] == rows
        assert all(str(row) in result.message for row in rows)
        np.testing.assert_allclose(result.x, x, rtol=0, atol=1e-9 if noise is None else
                                   6 * result.standard_errors.max())


def test_the_largest_and_the_smallest_score_swapped():
    """Which spoils the magnitudes of all rows."""
    A, b = DESIGNS["60 x 8"]
    x = np.linalg.lstsq(A[::2], b[::2], rcond=None)[0]
    c = LeverageMap(A, b).scores(x)
    rows = sorted([int(np.argsort(c)[-6]), int(np.argmin(c))])
    given = c.copy()
    given[rows] = given[rows[::-1]]
    result = invert_scores(A, b, given, rng=0)
    assert result.evidence["outliers"] == rows
    np.testing.assert_allclose(result.x, x, rtol=0, atol=1e-9)


def test_a_larger_noise_in_the_row_is_the_remedy():
    A, b = DESIGNS["60 x 8"]
    x = np.linalg.lstsq(A[::2], b[::2], rcond=None)[0]
    given = LeverageMap(A, b).scores(x).round(5)
    given[7] += 1e-3
    noise = np.full(60, 1e-5 / 12 ** 0.5)
    wrong = invert_scores(A, b, given, noise=noise, rng=0)
    assert wrong.evidence["outliers"] == [7]
    noise[wrong.evidence["outliers"]] = 1.0
    result = invert_scores(A, b, given, noise=noise, rng=0)
    assert_recovered(result, x)
    np.testing.assert_allclose(result.x, wrong.x, rtol=0, atol=result.standard_errors.min())


def test_noise_that_is_too_small_makes_no_outliers():
    A, b = DESIGNS["diabetes"]
    x = np.linalg.lstsq(A[::2], b[::2], rcond=None)[0]
    c = LeverageMap(A, b).scores(x)
    result = invert_scores(A, b, c.round(4), noise=0.3e-4 / 12 ** 0.5, x0=x, rng=0)
    assert not result.success
    assert result.evidence["outliers"] == []
    assert "noise levels" in result.message


def test_an_outlier_that_chi_squared_does_not_see(rng):
    A, b, x = rng.standard_normal((3000, 3)), rng.standard_normal(3000), rng.standard_normal(3)
    c = leverage_scores(A, slack=A @ x - b)
    noise = 1e-6
    given = np.clip(c + 0.9 * noise * rng.standard_normal(3000), 0, 1)
    given[11] += 15 * noise
    result = invert_scores(A, b, given, noise=noise, x0=x)
    assert result.evidence["outliers"] == [11]
    assert not result.success


def test_studentised_residuals_are_those_of_the_definition(rng):
    from levinv.inverse.stages import whitened_jacobian as linearisation
    from levinv.inverse.verdict import outliers
    A, b = DESIGNS["stackloss"]
    x = np.linalg.lstsq(A[::2], b[::2], rcond=None)[0]
    c = LeverageMap(A, b).scores(x)
    noise = rng.uniform(1e-5, 1e-4, len(c))
    seen = []

    def spy(fit, weight, left_out):
        seen.append((fit.point, original(fit, weight, left_out), left_out))
        return seen[-1][1]

    original, outliers.studentised = outliers.studentised, spy
    try:
        given = np.clip(c + noise * rng.standard_normal(len(c)), 0, 1)
        given[3] += 40 * noise[3]
        invert_scores(A, b, given, noise=noise, x0=x)
    finally:
        outliers.studentised = original
    assert linearisation.leverages is outliers.leverages
    for point, deviations, left_out in seen:
        J = LeverageMap(A, b).jacobian(point.x) / noise[:, None]
        kept = J[~left_out]
        h = np.einsum("ij,jk,ik->i", J, np.linalg.inv(kept.T @ kept), J)
        expected = point.residual / noise / np.sqrt(np.where(left_out, 1 + h, 1 - h))
        np.testing.assert_allclose(deviations, expected, rtol=1e-4, atol=1e-6)
    assert [left_out.any() for _, _, left_out in seen][-1]


def test_many_refuses_what_one_refuses(rng):
    A, b = DESIGNS["60 x 8"]
    x = np.linalg.lstsq(A[::2], b[::2], rcond=None)[0]
    given = LeverageMap(A, b).scores(x).round(5)
    given[7] += 1e-3
    assert not invert_many(A, b[None], given[None], noise=1e-5 / 12 ** 0.5).success[0]


def test_decimals_are_the_noise_of_rounding(rng):
    A, b = DESIGNS["60 x 8"]
    x = np.linalg.lstsq(A[::2], b[::2], rcond=None)[0]
    given = LeverageMap(A, b).scores(x).round(5)
    found = invert_scores(A, b, given, decimals=5, rng=0)
    expected = invert_scores(A, b, given, noise=1e-5 / 12 ** 0.5, rng=0)
    np.testing.assert_allclose(found.standard_errors, expected.standard_errors, rtol=1e-3)
    assert np.all(np.abs(found.x - expected.x) < 3 * expected.standard_errors)
    with pytest.raises(ValueError, match="noise and decimals must not both be given"):
        invert_scores(A, b, given, decimals=5, noise=1e-5)
    for wrong, error in ((-1, ValueError), (2.0, TypeError), (True, TypeError)):
        with pytest.raises(error, match="decimals must be"):
            invert_scores(A, b, given, decimals=wrong)


def test_scores_in_other_forms_are_refused_with_what_to_do(rng):
    A = np.column_stack([np.ones(60), rng.standard_normal((60, 3))])
    slack = A @ rng.standard_normal(4) - rng.standard_normal(60)
    b, scores, weights = -slack, leverage_scores(A, slack=slack), slack ** -2
    with pytest.raises(ValueError, match=r"in \[0, 1\].*divide scores in per cent by 100"):
        invert_scores(A, b, 100 * scores)
    with pytest.raises(ValueError, match=r"in \[0, 1\], got -1.0 at index 0$"):
        invert_scores(A, b, np.append(-1.0, scores[1:]))
    unknown = np.append(np.nan, scores[1:])
    with pytest.raises(ValueError, match="index 0: give rows of unknown scores the noise 1"):
        invert_scores(A, b, unknown)
    centred = invert_scores(A, b, scores - weights / weights.sum(), rng=0)
    assert "rank 4, got 3, as if the share of an intercept were subtracted" in centred.message
    with pytest.raises(ValueError, match="decimals must be at most 308, got 400"):
        invert_scores(A, b, scores, decimals=400)
