"""One door for data: the same table is taken, or refused, by every public function; labels decide
the order of rows and columns, and come back.
"""
import decimal
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

import levinv
from levinv import audit, forster_weights, hat_entries, invert_many, invert_scores, leverage_scores
from levinv.weighting import observed

pd = pytest.importorskip("pandas")

N = 18
RNG = np.random.default_rng(0)
ROWS = [f"row {i}" for i in range(N)]
NAMES = ["size", "count", "member"]
A = np.column_stack([RNG.standard_normal(N).round(3), RNG.integers(0, 6, N),
                     RNG.integers(0, 2, N)])
X = np.array([0.3, -0.2, 0.4])
B = A @ X - RNG.uniform(1.0, 2.0, N)
SLACK = A @ X - B
SCORES = leverage_scores(A, slack=SLACK)
GRADIENT = levinv.VolumetricBarrier(A, B).grad(X)
POSITIVE = RNG.uniform(0.5, 2.0, N)
ORDER = RNG.permutation(N)
SIGNS = np.where(ORDER % 3, 1.0, -1.0)
FRAME = pd.DataFrame({"size": A[:, 0], "count": A[:, 1].astype(int),
                      "member": A[:, 2].astype(bool)}, index=ROWS)

# Each public function, as a function of A.
FUNCTIONS = {
    "leverage_scores": leverage_scores,
    "leverage_scores by QR": lambda A: leverage_scores(A, method="qr"),
    "leverage_scores, ridge": lambda A: leverage_scores(A, ridge=1.0),
    "leverage_scores, rank": lambda A: leverage_scores(A, rank=2),
    "leverage_scores, rows": lambda rows: leverage_scores(A, rows=rows),
    "hat_entries": lambda A: hat_entries(A, [0, 3]),
    "forster_weights": forster_weights,
    "LeverageMap": lambda A: levinv.LeverageMap(A, B).jacobian(X),
    "ScoreLoss": lambda A: levinv.ScoreLoss(A, B, 0.9 * SCORES).grad(X),
    "VolumetricBarrier": lambda A: levinv.VolumetricBarrier(A, B).grad(X),
    "JeffreysPenalty": lambda A: levinv.JeffreysPenalty(A, weighting="poisson").grad(X),
    "GradientLoss": lambda A: levinv.GradientLoss(A, B, 1.1 * GRADIENT).grad(X),
    "invert_scores": lambda A: invert_scores(A, B, SCORES, signs=1, rng=0).x,
    "invert_many": lambda A: invert_many(A, B[None], SCORES[None], signs=1, rng=0).x,
    "invert_gradient": lambda A: levinv.invert_gradient(A, B, GRADIENT, signs=1).x,
    "audit": lambda A: audit(A, x=X, weighting="poisson", decimals=6).scores,
    "papers": lambda A: levinv.papers.scaled_rows(A, B, X),
    "theory": lambda A: levinv.theory.slack_bound(A, B, X, radius=0.1),
}
EXPECTED = {name: np.asarray(function(A)) for name, function in FUNCTIONS.items()}


def polars_frame(**changes):
    polars = pytest.importorskip("polars")
    return polars.DataFrame({name: FRAME[name].to_numpy() for name in NAMES} | changes)


def arrow_table(**changes):
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.table({name: FRAME[name].to_numpy() for name in NAMES} | changes)


def arrow_types(kind):
    pytest.importorskip("pyarrow")
    return FRAME.astype(dict(zip(NAMES, kind, strict=True)))


def labelled_array(values=A):
    xarray = pytest.importorskip("xarray")
    return xarray.DataArray(values, dims=("person", "column"),
                            coords={"person": ROWS, "column": NAMES}, attrs={"units": "kg"})


TABLES = {
    "bool, int and float": lambda: FRAME,
    "one dtype": lambda: FRAME.astype(float),
    "two precisions": lambda: FRAME.astype({"count": np.float32}),
    "get_dummies": lambda: pd.get_dummies(FRAME.assign(member=FRAME.member.map(
        {True: "yes", False: "no"}))).drop(columns="member_no"),
    "nullable": lambda: FRAME.astype({"size": "Float64", "count": "Int64", "member": "boolean"}),
    "pyarrow dtypes": lambda: arrow_types(["double[pyarrow]", "int16[pyarrow]", "bool[pyarrow]"]),
    "objects": lambda: FRAME.astype(object),
    "decimals": lambda: FRAME.assign(size=[decimal.Decimal(str(v)) for v in FRAME["size"]]),
    "categories that are numbers": lambda: FRAME.astype({"count": "category"}),
    "sparse columns": lambda: FRAME.assign(count=pd.arrays.SparseArray(FRAME["count"])),
    "columns of the same name": lambda: FRAME.set_axis(["a", "a", "b"], axis=1),
    "many labels": lambda: FRAME.set_axis(pd.MultiIndex.from_product(
        [range(N // 3), ["a", "b", "c"]]), axis=0),
    "polars": polars_frame,
    "polars decimals": lambda: polars_frame().cast(
        {"count": pytest.importorskip("polars").Decimal(10, 2)}),
    "pyarrow": arrow_table,
    "pyarrow batch": lambda: arrow_table().to_batches()[0],
    "pyarrow dictionary": lambda: arrow_table(count=pytest.importorskip("pyarrow").array(
        FRAME["count"]).dictionary_encode()),
    "xarray": labelled_array,
    "xarray of objects": lambda: labelled_array(A.astype(object)),
    "masked without a mask": lambda: np.ma.MaskedArray(A),
    "lists": A.tolist,
}


@pytest.mark.parametrize("table", TABLES)
def test_numbers_are_numbers_in_any_dtype(table):
    given = TABLES[table]()
    for name, function in FUNCTIONS.items():
        found = np.asarray(function(given))
        assert found.dtype == np.float64
        assert_allclose(found, EXPECTED[name], rtol=1e-9, atol=1e-12, err_msg=name)


def with_entry(value, dtype):
    return FRAME.assign(count=pd.Series([value, *FRAME["count"][1:]], index=ROWS, dtype=dtype))


MISSING = "must have no missing values, got 1, the first in column 'count', row 'row 0': drop"
TEXT = r"must hold real numbers, got dtype .* in column 'count', row 'row 0' \('x'\): encode groups"
OTHER = "must hold real numbers, got dtype .* in column 'count', row 'row 0' .*: convert it"
BY_NUMBER = "in column 'count', row 0"

REFUSED = {
    "NA": (lambda: with_entry(pd.NA, "Int64"), ValueError, MISSING),
    "None": (lambda: with_entry(None, object), ValueError, MISSING),
    "NaT": (lambda: with_entry(pd.NaT, object), ValueError, MISSING),
    "NaN": (lambda: with_entry(np.nan, float), ValueError,
            "must be finite, got nan in column 'count', row 'row 0': drop these rows"),
    "inf": (lambda: with_entry(np.inf, float), ValueError,
            "must be finite, got inf in column 'count', row 'row 0'$"),
    "missing category": (lambda: with_entry(None, "category"), ValueError, MISSING),
    "category": (lambda: FRAME.assign(count=pd.Categorical(["x", "y"] * (N // 2))), TypeError,
                 TEXT),
    "strings": (lambda: FRAME.assign(count=["x"] * N), TypeError, TEXT),
    "one string": (lambda: with_entry("x", object), TypeError, TEXT),
    "dates": (lambda: FRAME.assign(count=pd.date_range("2020", periods=N)), TypeError, OTHER),
    "durations": (lambda: FRAME.assign(count=pd.timedelta_range("1s", periods=N)), TypeError,
                  OTHER),
    "complex": (lambda: FRAME.astype({"count": complex}), TypeError, OTHER),
    "huge": (lambda: with_entry(10 ** 400, object), ValueError,
             "must be finite, got '1000.* in column 'count', row 'row 0'"),
    "polars null": (lambda: polars_frame(count=[None, *FRAME["count"][1:]]), ValueError,
                    f"must have no missing values, got 1, the first {BY_NUMBER}"),
    "polars strings": (lambda: polars_frame(count=["x"] * N), TypeError,
                       f"must hold real numbers, got dtype String {BY_NUMBER} "),
    "polars dates": (lambda: polars_frame(count=pd.date_range("2020", periods=N).to_numpy()),
                     TypeError, f"must hold real numbers, got dtype .* {BY_NUMBER} "),
    "polars categories": (lambda: polars_frame(count=["x"] * N).cast(
        {"count": pytest.importorskip("polars").Categorical}), TypeError,
        f"must hold real numbers, got dtype Categorical.* {BY_NUMBER} "),
    "pyarrow null": (lambda: arrow_table(count=[None, *FRAME["count"][1:]]), ValueError,
                     f"must have no missing values, got 1, the first {BY_NUMBER}"),
    "pyarrow strings": (lambda: arrow_table(count=["x"] * N), TypeError,
                        f"must hold real numbers, got dtype string {BY_NUMBER} "),
    "xarray NaN": (lambda: labelled_array(np.where(np.arange(3) == 1, np.nan, A)), ValueError,
                   "must be finite, got nan in column 'count', row 'row 0'"),
    "xarray strings": (lambda: labelled_array(A.astype(str)), TypeError,
                       "must hold real numbers, got dtype .* in column 'size', row 'row 0'"),
    "mask": (lambda: np.ma.masked_array(A, mask=np.arange(N)[:, None] + np.zeros(3) == 4),
             TypeError, r"must not have masked entries, got 3, the first at index \(4, 0\): drop"),
    "masks in a list": (lambda: [np.ma.masked_array(row, mask=row == row[0]) for row in A],
                        TypeError, r"must not have masked entries, got \d+, the first at"),
}


@pytest.mark.parametrize("table", REFUSED)
def test_refused_with_column_row_and_remedy(table):
    make, error, message = REFUSED[table]
    given = make()
    for name, function in FUNCTIONS.items():
        argument = "rows" if name.endswith("rows") else "A"
        with pytest.raises(error, match=f"^{argument} {message}"):
            function(given)


# Each argument with a number for each row of A: its values, and the call.
def models(**given):
    return levinv.LeverageMap(FRAME, weighting="poisson", **given).scores(X)


VECTORS = {
    "slack": (SLACK, lambda value: leverage_scores(FRAME, slack=value)),
    "weights": (POSITIVE, lambda value: leverage_scores(FRAME, weights=value)),
    "weights with ridge": (POSITIVE, lambda value: leverage_scores(FRAME, weights=value, ridge=1)),
    "slack of hat_entries": (SLACK, lambda value: hat_entries(FRAME, [0], slack=value)),
    "b": (B, lambda value: levinv.LeverageMap(FRAME, value).scores(X)),
    "offset": (POSITIVE, lambda value: models(offset=value)),
    "prior_weights": (POSITIVE, lambda value: models(prior_weights=value)),
    "y": (POSITIVE, lambda value: levinv.LeverageMap(FRAME, B).vjp(X, value)),
    "y of observed": (POSITIVE, lambda value: levinv.LeverageMap(
        FRAME, weighting=observed("gamma", "log", value)).scores(X)),
    "scores": (0.9 * SCORES, lambda value: levinv.ScoreLoss(FRAME, B, value).grad(X)),
    "ridge": (POSITIVE, lambda value: levinv.ScoreLoss(FRAME, B, SCORES, ridge=value).grad(X)),
    "b of barrier": (B, lambda value: levinv.VolumetricBarrier(FRAME, value).grad(X)),
    "offset of penalty": (POSITIVE, lambda value: levinv.JeffreysPenalty(
        FRAME, weighting="poisson", offset=value).grad(X)),
    "ridge of GradientLoss": (POSITIVE, lambda value: levinv.GradientLoss(
        FRAME, B, 1.1 * GRADIENT, ridge=value).grad(X)),
    "b of invert_scores": (B, lambda value: invert_scores(FRAME, value, SCORES, signs=1).x),
    "scores of invert_scores": (SCORES, lambda value: invert_scores(FRAME, B, value, signs=1).x),
    "noise": (1e-6 * POSITIVE, lambda value: invert_scores(
        FRAME, B, SCORES, signs=1, noise=value).standard_errors),
    "signs": (SIGNS, lambda value: invert_scores(
        FRAME, A @ X - SIGNS * POSITIVE, leverage_scores(A, slack=POSITIVE), signs=value).x),
    "b of invert_gradient": (B, lambda value: levinv.invert_gradient(
        FRAME, value, GRADIENT, signs=1).x),
    "scores of forster_weights": (np.linspace(0.9, 1.1, N) * 3 / N,
                                  lambda value: forster_weights(FRAME, value)),
    "noise of invert_many": (1e-6 * POSITIVE, lambda value: invert_many(
        FRAME, B[None], SCORES[None], signs=1, noise=value, rng=0).x),
    "c": (SCORES * 0.9, lambda value: levinv.papers.gradient(FRAME, B, value, X)),
    "b of theory": (B, lambda value: levinv.theory.slack_bound(FRAME, value, X, radius=0.1)),
}


def series(values, dtype=None):
    return pd.Series(values, index=ROWS, dtype=dtype)


def xarray_vector(values):
    xarray = pytest.importorskip("xarray")
    return xarray.DataArray(values, dims="person", coords={"person": ROWS})


IN_ORDER = {
    "series": series,
    "another order": lambda values: series(values).iloc[ORDER],
    "nullable": lambda values: series(values, "Float64").iloc[ORDER],
    "objects": lambda values: series(values, object).iloc[ORDER],
    "xarray": lambda values: xarray_vector(values)[ORDER],
    "numbered rows": pd.Series,
    "polars": lambda values: pytest.importorskip("polars").Series(values),
    "pyarrow": lambda values: pytest.importorskip("pyarrow").chunked_array([values]),
    "array of pandas": lambda values: pd.array(values, dtype="Float64"),
}


@pytest.fixture(scope="module")
def results_of_arrays():
    return {argument: call(values) for argument, (values, call) in VECTORS.items()}


@pytest.mark.parametrize("kind", IN_ORDER)
def test_vectors_are_brought_into_the_order_of_the_rows(kind, results_of_arrays):
    for argument, (values, call) in VECTORS.items():
        assert_allclose(call(IN_ORDER[kind](values)), results_of_arrays[argument], rtol=1e-9,
                        atol=1e-12, err_msg=argument)


@pytest.mark.parametrize("change, message", [
    (lambda values: series(values).rename({"row 2": "row two"}),
     "must have the labels of A's rows, but 'row two' is a label of {} only: give {} without"),
    (lambda values: series(values).rename({"row 2": "row 3"}).iloc[ORDER],
     "must have the labels of A's rows, but 'row 2' is a label of A's rows only"),
    (lambda values: series(values, "Float64").where(np.arange(N) != 4, pd.NA),
     "must have no missing values, got 1, the first in row 'row 4': drop these rows"),
    (lambda values: series(values).where(np.arange(N) != 4),
     "must be finite, got nan in row 'row 4': drop these rows"),
    (lambda values: series(values).iloc[:-1], "must have (length 18,|one response per) "),
    (lambda values: np.ma.masked_array(values, mask=np.arange(N) == 4),
     "must not have masked entries, got 1, the first at index 4"),
])
def test_vectors_of_other_labels_are_refused(change, message):
    for argument, (values, call) in VECTORS.items():
        name = argument.split()[0]
        words = f"^({name}|weighting) {message.format(name, name)}"
        with pytest.raises((ValueError, TypeError), match=words):
            call(change(values))


def test_labels_that_occur_twice():
    twice = [*ROWS[:-1], "row 3"]
    frame, slack = FRAME.set_axis(twice), pd.Series(SLACK, index=twice)
    assert_allclose(leverage_scores(frame, slack=slack), SCORES, rtol=1e-12)
    with pytest.raises(ValueError, match="^slack must have labels that occur once, or in the "
                                         "order of A, got 'row 3' more than once"):
        leverage_scores(frame, slack=slack.iloc[ORDER])


def test_numbered_rows_in_another_order_are_labels():
    frame, slack = FRAME.reset_index(drop=True), pd.Series(SLACK).sort_values()
    assert_allclose(leverage_scores(frame, slack=slack), SCORES, rtol=1e-12)
    assert_allclose(leverage_scores(frame.iloc[ORDER], slack=slack).sort_index(), SCORES,
                    rtol=1e-12)


def test_vectors_without_labels_of_A_have_one_order():
    b, scores = series(B), series(SCORES)
    assert_allclose(invert_scores(A, b, scores, signs=1).x, X, rtol=1e-9)
    assert_allclose(invert_scores(A, B, scores, signs=1).x, X, rtol=1e-9)
    with pytest.raises(ValueError, match="^scores must have its labels in the order of b, got "):
        invert_scores(A, b, scores.iloc[ORDER], signs=1)
    with pytest.raises(ValueError, match="^prior_weights must have its labels in the order of b"):
        levinv.LeverageMap(A, b, weighting="poisson", prior_weights=series(POSITIVE)[::-1])


COEFFICIENTS = {
    "x": lambda x: levinv.LeverageMap(FRAME, B).scores(x),
    "x of a loss": lambda x: levinv.ScoreLoss(FRAME, B, SCORES, ridge=0.1).fun(x),
    "v": lambda v: levinv.LeverageMap(FRAME, B).jvp(X, v),
    "p": lambda p: levinv.VolumetricBarrier(FRAME, B).hessp(X, p),
    "g": lambda g: levinv.GradientLoss(FRAME, B, g, ridge=0.1).grad(X),
    "g of invert_gradient": lambda g: levinv.invert_gradient(FRAME, B, g, signs=1).x,
    "x0": lambda x: invert_scores(FRAME, B, SCORES, x0=x, method="newton").x,
    "ridge": lambda x: leverage_scores(FRAME, ridge=abs(x)),
    "x of papers": lambda x: levinv.papers.leverage_matrix(FRAME, B, x),
    "x0 of papers": lambda x: levinv.papers.first_order_method(FRAME, B, SCORES, x, 1.0, 2),
}


@pytest.mark.parametrize("argument", COEFFICIENTS)
def test_coefficients_are_brought_into_the_order_of_the_columns(argument):
    call = COEFFICIENTS[argument]
    x = pd.Series(GRADIENT if argument.startswith("g") else X, index=NAMES)
    assert_allclose(call(x.iloc[[2, 0, 1]]), call(x), rtol=1e-9)
    assert_allclose(call(x.set_axis(["a", "b", "c"])), call(x), rtol=1e-9)   # other names
    with pytest.raises(ValueError, match=f"^{argument.split()[0]} must have its labels in the "
                                         "order of A's columns, got 'size' at 1, where it is at 0"):
        call(x.set_axis(["other", "size", "member"]))


def test_columns_of_new_rows():
    new = FRAME[["member", "size", "count"]].iloc[:4]
    found = leverage_scores(FRAME, rows=new)
    assert list(found.index) == ROWS[:4]
    assert_allclose(found, leverage_scores(A, rows=A[:4]), rtol=1e-12)


def test_tables_of_many_problems():
    b = pd.DataFrame([B, B], index=["first", "second"], columns=ROWS)
    scores = pd.DataFrame([SCORES, leverage_scores(A, slack=2 * SLACK)], index=b.index,
                          columns=ROWS)
    expected = invert_many(A, b.to_numpy(), scores.to_numpy(), signs=1, rng=0).x
    for given in (FRAME, A):
        assert_allclose(invert_many(given, b, scores, signs=1, rng=0).x, expected, rtol=1e-9)
    turned = scores[[*ROWS[::-1]]]
    assert_allclose(invert_many(FRAME, b, turned, signs=1, rng=0).x, expected, rtol=1e-9)
    with pytest.raises(ValueError, match="^scores must have its labels in the order of b"):
        invert_many(A, b, turned, signs=1)
    with pytest.raises(ValueError, match="^scores must have its labels in the order of b"):
        invert_many(FRAME, b, scores.iloc[::-1], signs=1)


# --- labels come back ----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"method": "qr"}, {"weights": POSITIVE}, {"ridge": 1.0},
                                     {"rank": 2}, {"slack": np.where(ORDER == 3, 0.0, SLACK)}])
def test_a_series_for_a_frame(options):
    found = leverage_scores(FRAME, **options)
    assert isinstance(found, pd.Series)
    assert found.name == "leverage_score"
    assert found.index.equals(FRAME.index)
    assert_allclose(found, leverage_scores(A, **options), rtol=1e-12)


def test_labels_of_weights_and_of_xarray():
    assert forster_weights(FRAME).index.equals(FRAME.index)
    found = leverage_scores(labelled_array())
    assert (found.dims, list(found.person.values), found.name) == (("person",), ROWS,
                                                                   "leverage_score")
    assert not found.attrs
    assert "column" not in found.coords
    assert type(leverage_scores(labelled_array().to_numpy())) is np.ndarray


def test_a_frame_of_sparse_columns_stays_sparse():
    groups = pd.get_dummies(pd.Series([*"abcabdacbd"]), sparse=True)
    plain = groups.astype(float)
    rows = levinv.storage.of(levinv._validate.matrix(groups, "A", sparse=True))
    assert isinstance(rows, levinv.storage.SparseRows)
    assert_allclose(leverage_scores(groups), leverage_scores(plain), rtol=1e-12)
    assert leverage_scores(groups).index.equals(groups.index)
    assert_allclose(levinv.papers.scaled_rows(groups, -np.ones(10), np.ones(4)), plain / 2)
    plain.iloc[2] = np.nan
    groups = plain.astype(pd.SparseDtype(float, 0.0))
    with pytest.raises(ValueError, match="A must be finite, got nan in column 'a', row 2: drop"):
        levinv.LeverageMap(groups, np.ones(10))


@pytest.mark.parametrize("make", [polars_frame, arrow_table])
def test_tables_without_row_labels_give_arrays(make):
    assert type(leverage_scores(make())) is np.ndarray


@pytest.mark.parametrize("make, rows", [(polars_frame, None), (arrow_table, None),
                                        (labelled_array, ROWS), (lambda: FRAME, ROWS)])
def test_names_in_the_audit(make, rows):
    report = audit(make(), x=X, weighting="poisson")
    assert report.names == NAMES
    assert report.row_labels == rows


def test_audit_takes_rows_in_the_order_of_A_only():
    with pytest.raises(ValueError, match="noise must have its labels in the order of A's rows"):
        audit(FRAME, x=X, weighting="poisson", noise=series(POSITIVE)[::-1])
    with pytest.raises(ValueError, match="b must have the labels of A's rows, but 'a'"):
        audit(FRAME, B * pd.Series(1.0, index=[*"abcdefghijklmnopqr"]), X)


def test_xarray_in_blocks_of_dask(rng):
    xarray, da = pytest.importorskip("xarray"), pytest.importorskip("dask.array")
    values = rng.standard_normal((300, 3))
    found = leverage_scores(xarray.DataArray(da.from_array(values, chunks=(100, 3)),
                                             dims=("n", "d"), coords={"n": np.arange(300) * 2}))
    assert list(found.n.values[:3]) == [0, 2, 4]
    assert_allclose(found, leverage_scores(values), rtol=1e-12)


def test_fits_of_scikit_learn():
    linear = pytest.importorskip("sklearn.linear_model")
    fit = linear.LogisticRegression().fit(FRAME, FRAME["size"] > 0)
    expected = levinv.hat_values(fit, FRAME)
    assert_allclose(levinv.hat_values(fit, FRAME.astype({"count": "Int64"})), expected)
    assert_allclose(levinv.hat_values(fit, FRAME.astype({"count": "category"})), expected)
    weights = series(POSITIVE)
    fit = linear.LogisticRegression().fit(FRAME, FRAME["size"] > 0, sample_weight=weights)
    given = levinv.diagnostics(fit, FRAME, FRAME["size"] > 0, sample_weight=weights)
    turned = levinv.diagnostics(fit, FRAME, (FRAME["size"] > 0).iloc[ORDER],
                                sample_weight=weights.iloc[::-1])
    assert_allclose(turned, given)
    with pytest.raises(ValueError, match="X must have its labels in the order of the fit's"):
        levinv.hat_values(fit, FRAME[NAMES[::-1]])
    with pytest.raises(TypeError, match="X must hold real numbers, got dtype .* 'count', row"):
        levinv.hat_values(fit, FRAME.assign(count="tall"))


def test_masks_of_scalars_and_numbers_of_rows():
    with pytest.raises(TypeError, match="ridge must be a real number, got MaskedConstant"):
        leverage_scores(A, ridge=np.ma.masked)
    with pytest.raises(TypeError, match="i must not have masked entries"):
        hat_entries(A, np.ma.masked_array([0, 1], mask=[True, False]))


def test_masks_of_stored_matrices():
    class Masked:
        shape, dtype = A.shape, A.dtype

        def __getitem__(self, index):
            return np.ma.masked_array(A, mask=A == A[4, 0])[index]

    with pytest.raises(TypeError, match="A must not have masked entries, got some in rows 0 to 17"):
        leverage_scores(Masked())


def test_no_library_is_imported():
    code = ("import sys, numpy as np, levinv; A = np.eye(3)[[0, 1, 2, 0]];"
            "levinv.leverage_scores(A.tolist(), weights=[1, 2, 3, 4]);"
            "levinv.LeverageMap(A, np.ones(4)).scores(np.zeros(3));"
            "print(*{'pandas', 'polars', 'pyarrow', 'xarray'} & {*sys.modules})")
    ran = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert ran.stdout.strip() == ""
