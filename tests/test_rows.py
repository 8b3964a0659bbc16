"""The same A, however its rows are stored: every public function and every primitive."""
import functools

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal

import levinv
from levinv import (
    GradientLoss,
    LeverageMap,
    ScoreLoss,
    VolumetricBarrier,
    _validate,
    forster_weights,
    invert_gradient,
    invert_scores,
    leverage_scores,
)
from levinv.storage import DenseRows, SparseRows, StoredSparseRows, StreamedRows, of

N, D = 150, 5
SPARSE = [f"{name}_{kind}" for name in ("csr", "csc", "coo") for kind in ("array", "matrix")]
MAPPED = {"mapped": (np.float64, "C"), "mapped, Fortran": (np.float64, "F"),
          "mapped, float32": (np.float32, "C")}
KINDS = ["dense", "Fortran", "strided", *SPARSE, *MAPPED, "h5py", "sliced", "sliced, sparse",
         "frame", "dask"]


class Sliced:
    """What zarr's arrays have: a shape, a dtype and slices of rows."""

    def __init__(self, array):
        self._array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, index):
        assert isinstance(index, slice)
        return self._array[index]


@functools.cache
def matrix():
    """A third of it zeros, one row of them, every entry exact in float32."""
    rng = np.random.default_rng(7)
    A = rng.standard_normal((N, D)) * (rng.random((N, D)) < 0.7)
    A[11] = 0.0
    A = A.astype(np.float32).astype(np.float64)
    A.setflags(write=False)
    return A


@pytest.fixture(params=KINDS)
def stored(request, tmp_path, monkeypatch):
    """A, stored in one way; passes are made in many chunks."""
    monkeypatch.setattr(levinv._source, "PASS_ENTRIES", 100)
    monkeypatch.setattr(levinv.storage.stored_sparse, "PASS_ENTRIES", 100)
    monkeypatch.setattr(levinv.storage.dense, "CHUNK_WORK", 1 << 10)
    monkeypatch.setattr(levinv.storage.dense, "PASS_ENTRIES", 1 << 9)
    A, kind = matrix(), request.param
    if kind in SPARSE:
        return getattr(scipy.sparse, kind)(A)
    if kind in MAPPED:
        dtype, order = MAPPED[kind]
        np.save(tmp_path / "A.npy", A.astype(dtype, order=order))
        return np.load(tmp_path / "A.npy", mmap_mode="r")
    if kind == "h5py":
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / "A.h5", "w") as file:
            file.create_dataset("A", data=A, chunks=(40, 2))
        file = h5py.File(tmp_path / "A.h5")
        request.addfinalizer(file.close)
        return file["A"]
    if kind == "dask":
        dask = pytest.importorskip("dask")
        scheduler = dask.config.set(scheduler="threads")
        request.addfinalizer(lambda: scheduler.__exit__(None, None, None))
        return pytest.importorskip("dask.array").from_array(A, chunks=((70, 1, 79), (3, 2)))
    return {"dense": A.copy, "Fortran": lambda: np.asfortranarray(A),
            "strided": lambda: np.repeat(A, 2, axis=0)[::2],
            "sliced": lambda: Sliced(A),
            "sliced, sparse": lambda: Sliced(scipy.sparse.csr_array(A)),
            "frame": lambda: pytest.importorskip("pandas").DataFrame(A)}[kind]()


X = np.array([0.3, -0.2, 0.1, 0.4, -0.1])
V = np.array([1.0, 2.0, -1.0, 0.5, 3.0])


@functools.cache
def given():
    """Slack, b, y, a cell's b, scores at X and its barrier's gradient, all from A in memory."""
    rng, A = np.random.default_rng(8), matrix()
    slack, y = rng.choice([-1.0, 1.0], N) * rng.uniform(0.5, 2.0, N), rng.standard_normal(N)
    b, cell = A @ X - slack, A @ X - np.abs(slack)
    return (slack, b, y, cell, leverage_scores(A, slack=slack), VolumetricBarrier(A, cell).grad(X))


SLACK, B, Y, CELL, SCORES, GRADIENT = given()
SIGNS = np.where(SLACK < 0, -1.0, 1.0)
CASES = {
    "scores": lambda A: leverage_scores(A),
    "scores by QR": lambda A: leverage_scores(A, slack=SLACK, method="qr"),
    "scores at a slack": lambda A: leverage_scores(A, slack=SLACK),
    "scores with weights": lambda A: leverage_scores(A, weights=np.maximum(Y, 0.0)),
    "scores at zero slack": lambda A: leverage_scores(A, slack=np.where(np.arange(N) == 5, 0.0,
                                                                        SLACK)),
    "scores, far apart": lambda A: leverage_scores(A, slack=10.0 ** (4.0 * Y)),
    "map": lambda A: LeverageMap(A, B).scores(X),
    "jvp": lambda A: LeverageMap(A, B).jvp(X, V),
    "vjp": lambda A: LeverageMap(A, B).vjp(X, Y),
    "jacobian": lambda A: LeverageMap(A, B).jacobian(X),
    "score loss": lambda A: ScoreLoss(A, B, SCORES ** 2, ridge=0.1).fun(X),
    "its gradient": lambda A: ScoreLoss(A, B, SCORES ** 2, ridge=0.1).grad(X),
    "its Hessian": lambda A: ScoreLoss(A, B, SCORES ** 2, ridge=0.1).hess(X),
    "its product": lambda A: ScoreLoss(A, B, SCORES ** 2, ridge=0.1).hessp(X, V),
    "gradient loss": lambda A: GradientLoss(A, CELL, 0.9 * GRADIENT).fun(X),
    "gradient loss, gradient": lambda A: GradientLoss(A, CELL, 0.9 * GRADIENT).grad(X),
    "gradient loss, Hessian": lambda A: GradientLoss(A, CELL, 0.9 * GRADIENT).hess(X),
    "gradient loss, product": lambda A: GradientLoss(A, CELL, 0.9 * GRADIENT).hessp(X, V),
    "barrier": lambda A: VolumetricBarrier(A, CELL).fun(X),
    "barrier, gradient": lambda A: VolumetricBarrier(A, CELL).grad(X),
    "barrier, Hessian": lambda A: VolumetricBarrier(A, CELL).hess(X),
    "barrier, product": lambda A: VolumetricBarrier(A, CELL).hessp(X, V),
    "inversion, signs known": lambda A: invert_scores(A, B, SCORES, signs=SIGNS).x,
    "inversion, signs unknown": lambda A: invert_scores(A, B, SCORES, rng=0).x,
    "inversion of a gradient": lambda A: invert_gradient(A, CELL, GRADIENT, signs=1).x,
    "Forster's weights": lambda A: forster_weights(A),
}


@functools.cache
def expected(case):
    """The answer for A in memory."""
    return CASES[case](matrix())


@pytest.mark.parametrize("case", CASES)
def test_public_functions(stored, case):
    wanted = expected(case)
    assert_allclose(CASES[case](stored), wanted, rtol=1e-10,
                    atol=1e-10 * np.abs(wanted).max())


def test_inversions_find_x():
    for case in CASES:
        if case.startswith("inversion"):
            assert_allclose(expected(case), X, rtol=1e-9)


def test_kind_of_rows(stored, request):
    rows = of(_validate.matrix(stored, "A", sparse=True))
    kind = request.node.callspec.params["stored"]
    if kind == "dask":
        from levinv.storage.dask_rows import DaskRows as wanted
    else:
        wanted = (SparseRows if kind in SPARSE
                  else StreamedRows if kind in ("h5py", "sliced", "mapped, float32")
                  else StoredSparseRows if kind == "sliced, sparse"
                  else DenseRows)
    assert type(rows) is wanted


def literal(A, rng):
    """For each primitive: arguments, and what they give in plain NumPy."""
    k, m = 4, 3
    scale, T = rng.uniform(0.5, 2.0, N), rng.standard_normal((D, k))
    scale[20:30] = 0.0
    u = scale[:, None] * A @ T
    w, r, scores, inverse_slack, diagonal = rng.standard_normal((5, N))
    inverse_slack[scale == 0] = 0.0
    columns, vectors = rng.standard_normal((D, m)), rng.standard_normal((N, m))
    form, forms = rng.standard_normal((k, k)), rng.standard_normal((k, k, m))
    form, forms = form + form.T, forms + forms.swapaxes(0, 1)
    upper = np.triu_indices(k)
    products = u[:, upper[0]] * u[:, upper[1]]
    thirds = rng.standard_normal((len(products[0]), D))
    scaled = inverse_slack[:, None] * A
    image = products @ thirds
    centred = image - scores[:, None] * scaled
    tall = (4 * centred.T @ centred + (diagonal[:, None] * scaled).T @ scaled,
            (r[:, None] * scaled).T @ image)
    basis = np.ascontiguousarray(np.linalg.qr(A)[0])
    index = np.array([149, 3, 37, 37, 88])
    yield "matvec", (V,), A @ V
    yield "matvec", (columns,), A @ columns
    yield "rmatvec", (w,), A.T @ w
    yield "rmatvec", (vectors,), A.T @ vectors
    yield "abs_matvec", (np.abs(V),), np.abs(A) @ np.abs(V)
    yield "gram", (), A.T @ A
    yield "gram", (scale, T), u.T @ u
    yield "gram", (scale, T, w), u.T @ (w[:, None] * u)
    yield "gram", (None, None, w), A.T @ (w[:, None] * A)
    yield "quad", (), (A ** 2).sum(axis=1)
    yield "quad", (scale, T), (u ** 2).sum(axis=1)
    yield "quad", (scale, T, form), ((u @ form) * u).sum(axis=1)
    yield "moments", (scale, T, vectors), np.einsum("im,ia,ib->abm", vectors, u, u)
    yield "contract", (scale, T, forms), np.einsum("ia,abm,ib->im", u, forms, u)
    yield "third_moments", (scale, T, inverse_slack), products.T @ scaled
    yield "tall_hessian", (scale, T, inverse_slack, thirds, scores, r, diagonal), tall
    yield "row_norms", (), np.linalg.norm(A, axis=1)
    yield "column_norms", (), np.linalg.norm(A, axis=0)
    yield "column_max", (), np.abs(A).max(axis=0)
    yield "nonzero", (), A.any(axis=1)
    yield "block", (index,), A[index]
    yield "block", (slice(60, 90),), A[60:90]
    yield "block", (scale > 0,), A[scale > 0]
    yield "scaled", (w,), w[:, None] * A
    yield "squares", (basis, vectors), (basis @ basis.T) ** 2 @ vectors


def test_primitives(stored, rng):
    A = matrix()
    rows = of(_validate.matrix(stored, "A", sparse=True))
    assert rows.shape == (N, D)
    assert rows.flops > 0
    assert rows.copy_limit >= 0
    for name, arguments, wanted in literal(A, rng):
        assert_allclose(getattr(rows, name)(*arguments), wanted, rtol=1e-12,
                        atol=1e-12 * np.abs(wanted).max(), err_msg=name)
    for given in ((), (np.abs(Y),), (np.abs(Y), np.eye(D, 3))):
        scaled = A if not given else np.abs(Y)[:, None] * A
        scaled = scaled @ given[1] if len(given) == 2 else scaled
        triangle = rows.triangle(*given)
        assert_array_equal(np.tril(triangle, -1), 0.0)
        assert_allclose(triangle.T @ triangle, scaled.T @ scaled, rtol=1e-12, atol=1e-12 * N)
    for chosen in (slice(60, 90), np.array([3, 7, 11, 120]), np.arange(N) % 3 == 0):
        assert_array_equal(rows.part(chosen).block(slice(None)), A[chosen])
    assert_array_equal(rows.with_columns_times(V).block(slice(0, N)), A * V)
    assert_array_equal(rows.as_sparse().toarray(), A)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
def test_norms_of_rows_whose_squares_are_no_numbers(rng, size):
    A = rng.standard_normal((40, 3))
    assert_allclose(of(size * A).row_norms() / size, np.linalg.norm(A, axis=1), rtol=1e-14)
