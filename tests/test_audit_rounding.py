"""What an audit says of rounded scores: their errors are bounded, and confine x to a set F."""
import dataclasses
import warnings

import numpy as np
import pytest
from scipy.optimize import linprog

from acceptance_rooms.audit import equal_slacks, is_broken
from levinv import LeverageMap, audit
from levinv.auditing.rounding import ellipsoid
from levinv.data import load_diabetes


def designs():
    """A, b, x, decimals, the weighting: slacks of similar and of all sizes, a factor, real data."""
    rng = np.random.default_rng(2)
    A, b, x = equal_slacks(400, 3, 0)
    yield "slacks in [1, 2]", A, b, x, 5, None
    yield "normal slacks", A, rng.standard_normal(400), x, 4, None
    levels = np.eye(4)[rng.integers(0, 4, 300)]
    yield ("factor", np.column_stack([levels, rng.standard_normal(300)]), None,
           np.array([0.5, -0.4, 1.0, 0.2, -0.7]), 4, "binomial")
    A, b, _ = load_diabetes()
    yield "diabetes", A, b, np.linalg.lstsq(A[::2], b[::2], rcond=None)[0], 4, None


DESIGNS = {name: case for name, *case in designs()}


def signs_of(A, b, x):
    return np.sign(A @ x - (0.0 if b is None else b))


@pytest.fixture(scope="module", params=DESIGNS)
def case(request):
    """The report, r and G of F at the true x, and the steps of x for the coordinates y."""
    A, b, x, decimals, weighting = DESIGNS[request.param]
    report = audit(A, b, x, weighting=weighting, decimals=decimals, signs=signs_of(A, b, x))
    forward, half = LeverageMap(A, b, weighting=weighting), 0.5 * 10.0 ** -decimals
    steps = report.rounding.steps * half / 3 ** 0.5
    r = (forward.scores(x) - forward.scores(x).round(decimals)) / half
    return report, r, forward.jacobian(x) @ steps / half, steps


def on_the_boundary(inner, rng, count=500):
    u = rng.standard_normal((len(inner.axes), count))
    return inner.centre[:, None] + inner.axes @ (u / np.linalg.norm(u, axis=0))


def test_ellipsoid_is_inside(case):
    report, r, G, steps = case
    inner = ellipsoid(report.rounding._confined(report.published.decimals, None))
    y = on_the_boundary(inner, np.random.default_rng(0))
    assert np.abs(r[:, None] + G @ y).max() <= 1 + 1e-9
    np.testing.assert_allclose(
        report.predicted_errors, np.minimum(np.linalg.norm(steps @ inner.axes, axis=1),
                                            report.standard_errors), rtol=1e-6)


@pytest.mark.parametrize("name", ["slacks in [1, 2]", "factor"])
def test_all_its_scores_round_to_those_published(name):
    A, b, x, _, weighting = DESIGNS[name]
    forward = LeverageMap(A, b, weighting=weighting)
    report = audit(A, b, x, weighting=weighting, decimals=7, signs=signs_of(A, b, x))
    inner = ellipsoid(report.rounding._confined(7, None))
    steps = report.rounding.steps * 1e-7 / 12 ** 0.5
    for dx in (0.99 * steps @ on_the_boundary(inner, np.random.default_rng(0), 50)).T:
        np.testing.assert_array_equal(forward.scores(x + dx).round(7), forward.scores(x).round(7))


def test_deviations_over_the_set_are_of_the_predicted_size(case):
    # hit and run: uniform on F
    report, r, G, steps = case
    inner = ellipsoid(report.rounding._confined(report.published.decimals, None))
    rng, k, chains = np.random.default_rng(1), len(inner.axes), 50
    y = np.repeat(inner.centre[:, None], chains, axis=1)
    seen = []
    for step in range(100 * k):
        move = inner.axes @ rng.standard_normal((k, chains))
        image, moved = r[:, None] + G @ y, G @ move
        with np.errstate(divide="ignore"):
            middle, half = -image / moved, np.abs(1.0 / moved)
        least, most = (middle - half).max(axis=0), (middle + half).min(axis=0)
        y = y + move * (least + (most - least) * rng.random(chains))
        if step >= 20 * k:
            seen.append(steps @ y)
    deviations = np.std(np.hstack(seen), axis=1)
    ratios = deviations / np.linalg.norm(steps @ inner.axes, axis=1)
    assert ratios.min() > 0.75
    assert ratios.max() < 2.2


def test_intervals_are_those_of_linear_programs_with_all_rows(case):
    report, r, G, steps = case
    walls, room = np.vstack([G, -G]), np.concatenate([1 - r, 1 + r])
    scale = np.linalg.norm(steps, axis=1)
    for j, step in enumerate(steps):
        ends = [report.x[j] + sign * scale[j] * linprog(
            sign * step / scale[j], A_ub=walls, b_ub=room, bounds=(None, None)).fun
            for sign in (1, -1)]
        np.testing.assert_allclose(report.intervals[j], ends, rtol=1e-12,
                                   atol=1e-4 * report.half_widths[j])
    assert np.all(report.intervals[:, 0] <= report.x)
    assert np.all(report.x <= report.intervals[:, 1])
    assert np.all(report.half_widths >= report.predicted_errors)


def test_nothing_is_certain_of_noise():
    A, b, x = equal_slacks(60, 3, 0)
    for published in ({"noise": 1e-5}, {}):
        report = audit(A, b, x, **published)
        assert np.isinf(report.intervals).all()
        assert np.isinf(report.half_widths).all()
        np.testing.assert_array_equal(report.predicted_errors, report.standard_errors)


def test_no_audit_is_broken():
    hidden, levels = 0, set()
    for n, d, seed in ((5000, 3, 0), (5000, 4, 1), (8000, 3, 2)):
        for decimals in (2, 3, 4):
            report = audit(*equal_slacks(n, d, seed), signs=1, decimals=decimals)
            broken = is_broken(report)
            assert not (broken and report.level == "not given away")
            hidden += broken and (report.standard_errors / report.sizes).min() > 0.1
            levels.add(str(report.level))
    assert hidden >= 2                                  # by standard errors they would be safe
    assert {"given away", "not given away"} <= levels


@pytest.mark.parametrize("target", [1e-3, 0.1, 0.5])
def test_safe_decimals(target):
    problem = equal_slacks(5000, 3, 0)
    report = audit(*problem, signs=1, noise=1e-5)
    decimals = report.safe_decimals(target)
    assert audit(*problem, signs=1, decimals=decimals).relative_errors.min() > target
    assert audit(*problem, signs=1, decimals=decimals + 1).relative_errors.min() <= target
    assert decimals < -np.log10(report.safe_noise(target) * 12 ** 0.5) - 1


def test_an_attack_that_finds_everything_is_no_matter_of_chance():
    problem = equal_slacks(5000, 3, 0)
    for published, level in (({"decimals": 5}, "given away"), ({"noise": 1e-8}, "not given away")):
        report = audit(*problem, signs=1, **published)
        assert np.all(np.abs(report.recovered_x - report.x) <= 0.1 * report.sizes)
        doubtful = dataclasses.replace(report, predicted_errors=0.2 * report.sizes)
        assert doubtful.level == level


def test_attack_on_a_matrix_in_a_file(tmp_path):
    A, b, x = equal_slacks(5000, 3, 0)
    np.save(tmp_path / "A.npy", A)
    mapped = audit(np.load(tmp_path / "A.npy", mmap_mode="r"), b, x, signs=1, decimals=4)
    report = audit(A, b, x, signs=1, decimals=4)
    assert mapped.prediction_holds
    assert np.all(np.abs(mapped.recovered_x - report.recovered_x) < 0.1 * report.predicted_errors)


def test_scores_between_two_roundings():
    # equal rows of a factor: scores of exactly 1/8, which two decimals round to even
    A = np.kron(np.eye(2), np.ones((8, 1)))
    A = np.column_stack([A, np.tile([1.0, -1.0], 8)])
    x = np.array([0.5, 0.5, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for decimals in (0, 1, 2, 16, 30):
            report = audit(A, x=x, weighting="binomial", decimals=decimals)
            assert not np.isnan(report.intervals).any()
            assert not np.isnan(report.predicted_errors).any()


def test_without_directions_there_is_no_ellipsoid():
    report = audit(np.diag([1.0, 2.0, 3.0]), np.zeros(3), np.ones(3), decimals=2)
    assert np.isinf(report.predicted_errors).all()
    assert np.isinf(report.intervals).all()


def test_rows_far_away_are_looked_at():
    # 200 rows of one level have their walls nearest, and say nothing of the other
    rng = np.random.default_rng(0)
    A = np.zeros((203, 2))
    A[:200, 0], A[200:, 1] = rng.uniform(1, 2, 200), rng.uniform(1, 2, 3)
    b = A @ np.ones(2) - rng.uniform(1, 2, 203)
    rounding = audit(A, b, np.ones(2), signs=1, noise=1.0).rounding
    given = rounding._confined(5, None)
    residual = np.where(np.arange(203) < 200, 0.999, 0.9) * np.sign(given.residual)
    given = dataclasses.replace(given, residual=residual)
    inner = ellipsoid(given)
    assert inner.rows.max() >= 200
    y = on_the_boundary(inner, rng)
    moved = given.changes(np.arange(203)) @ y
    assert np.abs(residual[:, None] + moved).max() <= 1 + 1e-9
