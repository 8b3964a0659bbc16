"""Real regressions from statsmodels and scikit-learn: coefficients from leverage scores."""
import numpy as np
import pytest

import designs
import limits
from levinv import LeverageMap, invert_scores

SETS = {name: (A, b) for name, A, b in designs.regression_sets()}


@pytest.fixture(params=SETS)
def regression(request):
    A, b = SETS[request.param]
    x = np.linalg.lstsq(A, b, rcond=None)[0]
    return A, b, x, LeverageMap(A, b).scores(x)


def test_exact_scores(regression):
    A, b, x, c = regression
    result = invert_scores(A, b, c, rng=0)
    assert result.success
    assert result.unique
    assert np.linalg.norm(result.x - x) <= 1e-8 * np.linalg.norm(x)


@pytest.mark.parametrize("decimals", [8, 6, 5, 4, 3])
def test_rounded_scores(regression, decimals):
    A, b, x, c = regression
    noise = 10.0 ** -decimals / np.sqrt(12)
    bound = np.linalg.norm(limits.bound_at(A, b, x, noise))
    if bound > 0.2 * np.linalg.norm(x):
        pytest.skip("the Cramér-Rao bound itself is above 20 %")
    result = invert_scores(A, b, c.round(decimals), noise=noise, rng=0)
    assert result.success, result.message
    assert np.linalg.norm(result.x - x) <= 3 * bound
