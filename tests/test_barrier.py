"""VolumetricBarrier and GradientLoss."""
import mpmath
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal

import oracles
from designs import layouts
from levinv import GradientLoss, VolumetricBarrier, leverage_scores


@pytest.fixture
def polytope(rng):
    """A, b, a point x inside {A x > b}, a direction."""
    A, x = rng.normal(size=(30, 4)), rng.normal(size=4)
    return A, A @ x - rng.uniform(0.5, 2.0, 30), x, rng.normal(size=4)


def columns(product, x):
    return np.column_stack([product(x, axis) for axis in np.eye(len(x))])


# values

def test_hand_computed():
    # One row: V = -log s, and s = 2 at x = 0.
    barrier = VolumetricBarrier([[3.0]], [-2.0])
    assert_allclose(barrier.fun([0.0]), np.log(1.5), rtol=1e-15)
    assert_allclose(barrier.grad([0.0]), [-1.5], rtol=1e-15)
    assert_allclose(barrier.hess([0.0]), [[2.25]], rtol=1e-15)
    # r = -3/s - g, dr = 9/s² dx: with g = 0, L = ½ (3/s)², L' = -27/s³, L'' = 243/s⁴
    loss = GradientLoss([[3.0]], [-2.0], [0.0])
    assert_allclose(loss.fun([0.0]), 9 / 8, rtol=1e-15)
    assert_allclose(loss.grad([0.0]), [-27 / 8], rtol=1e-15)
    assert_allclose(loss.hess([0.0]), [[243 / 16]], rtol=1e-15)
    assert_allclose(loss.hessp([0.0], [2.0]), [243 / 8], rtol=1e-15)


def test_barrier_golden(golden):
    barrier, x = VolumetricBarrier(golden["A"], golden["b"]), golden["x"]
    assert_allclose(barrier.fun(x), golden["volumetric"], rtol=1e-13)
    assert_allclose(barrier.grad(x), golden["volumetric_gradient"], rtol=1e-12)
    assert_allclose(barrier.hess(x), golden["volumetric_hessian"], rtol=1e-12)
    assert_allclose(columns(barrier.hessp, x), golden["volumetric_hessian"], rtol=1e-12)


def test_golden_values_are_those_of_the_definition(golden):
    with mpmath.workdps(60):
        A, b, x = (oracles.exact(golden[name]) for name in "Abx")
        B = A / (A @ x - b)[:, None]
        value = mpmath.log(mpmath.det(mpmath.matrix((B.T @ B).tolist()))) / 2
        P = oracles.projection(B)
        gradient = -B.T @ np.diag(P)
        hessian = B.T @ (3 * np.diag(np.diag(P)) - 2 * P * P) @ B
        assert abs(float(value) - golden["volumetric"]) <= 4e-16 * abs(golden["volumetric"])
        assert oracles.worst_relative_error(golden["volumetric_gradient"], gradient) <= 2e-16
        assert oracles.worst_relative_error(golden["volumetric_hessian"], hessian) <= 2e-16


def test_gradient_loss_from_golden(golden):
    """Its value and gradient are made of the barrier's."""
    x, g = golden["x"], np.linspace(-1.0, 2.0, len(golden["x"])) * golden["volumetric_gradient"]
    loss = GradientLoss(golden["A"], golden["b"], g)
    residual = golden["volumetric_gradient"] - g
    assert_allclose(loss.fun(x), 0.5 * residual @ residual, rtol=1e-11)
    assert_allclose(loss.grad(x), golden["volumetric_hessian"] @ residual, rtol=1e-11)
    size = np.abs(loss.hess(x)).max()
    assert_allclose(columns(loss.hessp, x), loss.hess(x), rtol=0, atol=1e-12 * size)


def test_third_derivative_to_40_digits(golden):
    """The Hessian of the loss against differences of its gradient in multiple precision."""
    g = 0.3 * golden["volumetric_gradient"]
    with mpmath.workdps(60):
        A, b, x, target = (oracles.exact(part)
                           for part in (golden["A"], golden["b"], golden["x"], g))

        def gradient(point):
            B = A / (A @ point - b)[:, None]
            P = oracles.projection(B)
            return B.T @ (3 * np.diag(np.diag(P)) - 2 * P * P) @ B @ (-B.T @ np.diag(P) - target)

        step = mpmath.mpf(10) ** -20 * oracles.exact(np.eye(len(g)))
        expected = np.array([(gradient(x + h) - gradient(x - h)) / (2 * mpmath.mpf(10) ** -20)
                             for h in step])
    expected = expected.astype(float)
    assert_allclose(GradientLoss(golden["A"], golden["b"], g).hess(golden["x"]), expected,
                    rtol=1e-9, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (6, 6), (9, 4), (30, 20), (300, 40), (900, 3)])
def test_definition(rng, shape):
    A, b, x = rng.normal(size=shape), rng.normal(size=shape[0]), rng.normal(size=shape[1])
    B = A / (A @ x - b)[:, None]
    P = oracles.projection(B)
    barrier = VolumetricBarrier(A, b)
    assert barrier.shape == shape
    hessian = B.T @ (3 * np.diag(np.diag(P)) - 2 * P * P) @ B
    assert_allclose(barrier.fun(x), 0.5 * np.linalg.slogdet(B.T @ B)[1], rtol=0, atol=1e-10)
    gradient = -B.T @ np.diag(P)
    assert_allclose(barrier.grad(x), gradient, rtol=0, atol=1e-11 * np.abs(B).max())
    assert_allclose(barrier.hess(x), hessian, rtol=0, atol=1e-10 * np.abs(hessian).max())
    assert_allclose(barrier.hessp(x, x), hessian @ x, rtol=0,
                    atol=1e-10 * np.abs(hessian @ x).max())


def test_finite_differences(polytope):
    A, b, x, v = polytope
    barrier = VolumetricBarrier(A, b)
    loss = GradientLoss(A, b, [1.0, -2.0, 0.0, 3.0], ridge=np.linspace(0.0, 1.0, 30))
    for objective in (barrier, loss):
        slope = oracles.central_difference(objective.fun, x, v, 1e-3)
        curvature = oracles.central_difference(objective.grad, x, v, 1e-3)
        assert_allclose(objective.grad(x) @ v, slope, rtol=1e-8)
        assert_allclose(objective.hessp(x, v), curvature, rtol=1e-6)
        assert_allclose(objective.hess(x) @ v, objective.hessp(x, v), rtol=1e-12)
        assert_array_equal(objective.hess(x), objective.hess(x).T)
    value, gradient = loss.fun_and_grad(x)
    assert value == loss.fun(x)
    assert_array_equal(gradient, loss.grad(x))


def test_ridge(polytope):
    A, b, x, v = polytope
    rho = np.linspace(0.0, 2.0, 30)
    plain, ridged = GradientLoss(A, b, v), GradientLoss(A, b, v, ridge=rho)
    assert_allclose(ridged.fun(x) - plain.fun(x), 0.5 * np.sum((rho * (A @ x)) ** 2), rtol=1e-12)
    assert_allclose(ridged.hess(x) - plain.hess(x), A.T @ np.diag(rho ** 2) @ A, rtol=1e-8)
    assert (GradientLoss(A, b, v, ridge=0.5).fun(x)
            == GradientLoss(A, b, v, ridge=np.full(30, 0.5)).fun(x))


def test_sign_of_the_slack_does_not_matter_to_the_hessian(polytope):
    A, b, x, _ = polytope
    flip = np.where(np.arange(30) % 3, 1.0, -1.0)
    one, other = VolumetricBarrier(A, b), VolumetricBarrier(flip[:, None] * A, flip * b)
    assert_allclose(one.hess(x), other.hess(x), rtol=1e-12)
    assert_allclose(one.grad(x), other.grad(x), rtol=1e-12)
    assert_allclose(one.fun(x), other.fun(x), rtol=1e-13)


# hard points

def test_near_a_zero_slack():
    """To 60 digits, a row's slack down to 1e-100."""
    rng = np.random.default_rng(5)
    A = rng.normal(size=(8, 3))
    for tiny in (1e-8, 1e-30, 1e-100):
        s = rng.uniform(0.5, 2.0, 8)
        s[2] = tiny
        barrier, loss = VolumetricBarrier(A, -s), GradientLoss(A, -s, np.zeros(3))
        x = np.zeros(3)
        with mpmath.workdps(600):
            B = oracles.exact(A) / oracles.exact(s)[:, None]
            value = float(mpmath.log(mpmath.det(mpmath.matrix((B.T @ B).tolist()))) / 2)
            P = oracles.projection(B)
            gradient = (-B.T @ np.diag(P)).astype(float)
            Q, scores = P * P, np.diag(P)
            hessian = B.T @ (3 * np.diag(scores) - 2 * Q) @ B
            D = np.diag(-B @ (B.T @ scores))                   # the target is 0
            third = B.T @ (6 * np.diag(Q @ np.diag(D)) - 12 * D @ np.diag(scores)
                           + 6 * (D @ Q + Q @ D)
                           - 8 * P * (P @ D @ P)) @ B
            curvature = (hessian @ hessian + third).astype(float) if tiny > 1e-50 else None
            hessian = hessian.astype(float)
        assert_allclose(barrier.fun(x), value, rtol=1e-13)
        assert_allclose(barrier.grad(x), gradient, rtol=1e-12)
        assert_allclose(barrier.hess(x), hessian, rtol=1e-12)
        if curvature is not None:
            assert_allclose(loss.hess(x), curvature, rtol=1e-12)
            assert_allclose(columns(loss.hessp, x), curvature, rtol=1e-12)


def test_columns_of_wild_scale(polytope):
    """log det moves by the logs of the scales; nothing overflows."""
    A, b, x, _ = polytope
    scales = np.array([1e-150, 1e-3, 1e120, 1e150])
    plain, scaled = VolumetricBarrier(A, b), VolumetricBarrier(A * scales, b)
    assert_allclose(scaled.fun(x / scales), plain.fun(x) + np.log(scales).sum(), rtol=1e-12)
    assert_allclose(scaled.grad(x / scales), plain.grad(x) * scales, rtol=1e-10)


def test_a_coloop_far_away():
    """A row that alone spans a direction has score 1 at any slack: -log of its slack comes on
    top.
    """
    A = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 1.0]])
    for far in (1.0, 1e12, 1e200):
        barrier = VolumetricBarrier(A, [-1.0, -1.0, -far])
        assert_allclose(barrier.fun([0.0, 0.0]), 0.5 * np.log(2.0) - np.log(far), rtol=1e-13)
        assert_allclose(barrier.grad([0.0, 0.0]), [-1.0 / far, -1.0 / far], rtol=1e-13)


def test_zero_slack():
    A = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [1.0, 0.0]])
    b = -np.ones(5)
    for objective in (VolumetricBarrier(A, b), GradientLoss(A, b, np.zeros(2), ridge=1.0)):
        for x in ([1.0, 0.0], [-1.0, 0.0]):               # one row, two parallel rows
            assert objective.fun(x) == np.inf
            for call in (objective.grad, objective.hess,
                         lambda x: objective.hessp(x, x)):   # noqa: B023
                with pytest.raises(ValueError, match="zero slack"):
                    call(x)


def test_zero_rows_take_no_part(polytope):
    A, b, x, v = polytope
    wider, longer = np.vstack([A, np.zeros(4)]), np.append(b, 0.0)
    for one, other in ((VolumetricBarrier(A, b), VolumetricBarrier(wider, longer)),
                       (GradientLoss(A, b, v), GradientLoss(wider, longer, v))):
        assert_allclose(other.fun(x), one.fun(x), rtol=1e-13)
        assert_allclose(other.grad(x), one.grad(x), rtol=1e-11)
        assert_allclose(other.hess(x), one.hess(x), rtol=1e-11)


def test_layouts(polytope):
    A, b, x, v = polytope
    expected = GradientLoss(A, b, v).hess(x)
    for name, array in layouts(A):
        assert_allclose(GradientLoss(array, b, v).hess(x), expected, rtol=1e-11, err_msg=name)


# bounds and use

def test_hessian_lies_between_the_preconditioner_and_three_times_it(rng):
    for n, d in ((6, 5), (40, 4), (200, 12)):
        A, b, x = rng.standard_cauchy((n, d)), rng.normal(size=n), rng.normal(size=d)
        B = A / (A @ x - b)[:, None]
        G = B.T @ (leverage_scores(B)[:, None] * B)
        R = np.linalg.qr(B, mode="r")                      # both sides in an orthonormal basis
        H = np.linalg.solve(R.T, np.linalg.solve(R.T, VolumetricBarrier(A, b).hess(x)).T)
        G = np.linalg.solve(R.T, np.linalg.solve(R.T, G).T)
        values = np.linalg.eigvals(np.linalg.solve(G, H)).real
        assert values.min() >= 1 - 1e-6
        assert values.max() <= 3 + 1e-6


MINIMISERS = ("trust-exact", "trust-krylov", "trust-ncg", "Newton-CG", "L-BFGS-B", "BFGS")


@pytest.mark.parametrize("method", MINIMISERS)
def test_scipy_minimisers(polytope, method):
    A, b, x, v = polytope
    barrier = VolumetricBarrier(A, b)
    curvature = {} if "BFGS" in method else {"hess": 0} if method == "trust-exact" else {"hessp": 0}
    start = x + 0.05 * v
    assert (A @ start > b).all()
    for objective in (GradientLoss(A, b, barrier.grad(x)), barrier):
        given = {name: getattr(objective, name) for name in curvature}
        found = scipy.optimize.minimize(objective.fun, start, jac=objective.grad, method=method,
                                        tol=1e-10, **given)
        assert np.abs(objective.grad(found.x)).max() < 1e-4
        if objective is not barrier:
            assert_allclose(found.x, x, atol=1e-5)


# the door

def loss_of_zero(A, b):
    return GradientLoss(A, b, np.zeros(np.shape(A)[1]))


@pytest.mark.parametrize("build", [VolumetricBarrier, loss_of_zero])
def test_refused(build):
    A, b = np.eye(3)[:, :2] + 1.0, np.ones(3)
    with pytest.raises(ValueError, match="A must have full column rank, got rank 1"):
        build(np.ones((3, 2)), b)
    with pytest.raises(ValueError, match="full column rank"):
        build(np.ones((1, 2)), [0.0])
    with pytest.raises(ValueError, match="b must have length 3"):
        build(A, b[:2])
    with pytest.raises(TypeError, match="A must hold real numbers"):
        build(A * 1j, b)
    objective = build(A, b)
    with pytest.raises(ValueError, match="x must have length 2"):
        objective.fun([1.0])
    with pytest.raises(ValueError, match="x must be finite"):
        objective.grad([np.nan, 0.0])
    with pytest.raises(ValueError, match="p must have length 2"):
        objective.hessp([0.0, 0.0], [1.0])
    with pytest.raises(ValueError, match="overflows"):
        objective.fun([1e308, 1e308])


def test_overflow_is_refused():
    barrier = VolumetricBarrier([[1.0], [1.0]], [-1e-200, -1.0])
    assert np.isfinite(barrier.grad([0.0])).all()
    with pytest.raises(ValueError, match="x must not be so close to a zero slack"):
        barrier.hess([0.0])
    with pytest.raises(ValueError, match="x must not be so close to a zero slack"):
        GradientLoss([[1.0], [1.0]], [-1e-200, -1.0], [0.0]).grad([0.0])


def test_ridge_and_target_refused():
    A, b = np.eye(2), np.ones(2)
    with pytest.raises(ValueError, match="g must have length 2"):
        GradientLoss(A, b, [1.0])
    with pytest.raises(ValueError, match="ridge must be at least 0"):
        GradientLoss(A, b, [1.0, 1.0], ridge=-1.0)
    with pytest.raises(ValueError, match="ridge must be at least 0, got -1.0 at index 1"):
        GradientLoss(A, b, [1.0, 1.0], ridge=[0.0, -1.0])
    with pytest.raises(ValueError, match="ridge must have length 2"):
        GradientLoss(A, b, [1.0, 1.0], ridge=[0.0])


def test_inputs_are_not_written_to(polytope):
    A, b, x, v = (part.copy() for part in polytope)
    for part in (A, b, x, v):
        part.setflags(write=False)
    loss = GradientLoss(A, b, v)
    loss.fun_and_grad(x)
    loss.hess(x)
    loss.hessp(x, v)
    assert VolumetricBarrier(A, b).hess(x).flags.writeable


# inside one cell

TRIANGLE = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]), np.array([0.0, 0.0, -1.0])


@pytest.mark.parametrize("method", ["BFGS", "CG", "Newton-CG", "trust-exact", "trust-krylov",
                                    "SLSQP"])
@pytest.mark.parametrize("x0", [[0.01, 0.5], [0.3, 0.001], [0.49, 0.5]])
def test_minimisers_stay_in_the_cell(method, x0):
    # By symmetry the centre of a triangle is its centroid.
    barrier = VolumetricBarrier(*TRIANGLE, signs=1)
    hess = {} if method in ("BFGS", "CG", "SLSQP") else {"hess": barrier.hess}
    found = scipy.optimize.minimize(barrier.fun, x0, jac=barrier.grad, method=method, **hess)
    assert_allclose(found.x, [1 / 3, 1 / 3], atol=1e-3)


def test_signs_of_the_cell():
    A, b = TRIANGLE
    barrier, inside = VolumetricBarrier(A, b), VolumetricBarrier(A, b, signs=[1, 1, 1])
    assert inside.fun([0.2, 0.3]) == barrier.fun([0.2, 0.3])
    assert inside.fun([2.0, 2.0]) == np.inf > barrier.fun([2.0, 2.0])
    assert VolumetricBarrier(A, b, signs=[1, 1, -1]).fun([2.0, 2.0]) == barrier.fun([2.0, 2.0])
    zero_row = VolumetricBarrier(np.vstack([A, [0.0, 0.0]]), np.append(b, 1.0), signs=1)
    assert_allclose(zero_row.fun([0.2, 0.3]), barrier.fun([0.2, 0.3]), rtol=1e-15)
    with pytest.raises(ValueError, match="signs"):
        VolumetricBarrier(A, b, signs=[1, 1, 0])


@pytest.mark.parametrize("design", ["normal", "categorical", "ill-conditioned", "almost zero",
                                    "sparse", "column-major", "zero row"])
def test_value_gradient_and_hessian_at_once(rng, design):
    A, b, x = rng.standard_normal((60, 5)), rng.standard_normal(60), rng.standard_normal(5)
    if design == "categorical":
        A[:, 1:] = np.eye(5)[rng.integers(0, 5, 60)][:, 1:]
        A[:, 0] = 1.0
    if design == "ill-conditioned":
        A[:, 1] = A[:, 0] + 1e-5 * A[:, 1]
    if design == "almost zero":
        b[7] = A[7] @ x - 1e-6
    if design == "zero row":
        A[3] = 0.0
    given = {"sparse": scipy.sparse.csr_array, "column-major": np.asfortranarray}.get(design,
                                                                                     np.array)(A)
    barrier = VolumetricBarrier(given, b)
    apart = VolumetricBarrier(given, b)
    value, gradient, hessian = barrier.fun_grad_hess(x)
    assert value == pytest.approx(apart.fun(x), rel=1e-12)
    tolerance = 1e-9 if design in ("ill-conditioned", "almost zero") else 1e-11
    assert_allclose(gradient, apart.grad(x), rtol=tolerance)
    assert_allclose(hessian, apart.hess(x), rtol=tolerance, atol=tolerance * np.abs(hessian).max())
    rows = A.any(axis=1)
    B = A[rows] / (A[rows] @ x - b[rows])[:, None]
    with mpmath.workdps(40):
        P = oracles.projection(oracles.exact(B))
        exact = (B.T @ (3 * np.diag(np.diag(P)) - 2 * P * P) @ B).astype(float)
    assert_allclose(hessian, exact, rtol=tolerance,
                    atol=tolerance * np.abs(hessian).max())
    assert (barrier._map.at_once(x) is not None) == (design in ("normal", "categorical"))


def test_at_once_where_there_is_no_value(rng):
    A, b, x = rng.standard_normal((30, 4)), rng.standard_normal(30), rng.standard_normal(4)
    slack = A @ x - b
    inside = VolumetricBarrier(A, b, signs=np.sign(slack))
    outside = VolumetricBarrier(A, b, signs=-np.sign(slack))
    assert inside.fun_grad_hess(x)[0] == inside.fun(x) < np.inf
    assert outside.fun_grad_hess(x)[0] == np.inf
    assert_allclose(outside.fun_grad_hess(x)[2], inside.hess(x), rtol=1e-12)
    b[2] = A[2] @ x
    with pytest.raises(ValueError, match="x must have no zero slack"):
        VolumetricBarrier(A, b).fun_grad_hess(x)
    with pytest.raises(ValueError, match="x must be finite"):
        inside.fun_grad_hess(np.full(4, np.nan))
    with pytest.raises(ValueError, match="x must have length 4"):
        inside.fun_grad_hess(np.ones(3))
