"""The demo and its data."""
import json
import subprocess
import sys

import numpy as np
import pytest

from levinv.cli import demo, main
from levinv.data import load_anes96, load_diabetes

# As if only the runtime dependencies were installed.
BARE = ("import sys; sys.modules.update(dict.fromkeys(['tqdm', 'sklearn', 'statsmodels', "
        "'pandas']));from levinv.cli import main; sys.exit(main(['demo', '--json']))")


@pytest.fixture(scope="module")
def report():
    ended = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True,
                           timeout=100, check=False)
    assert ended.stderr == ""
    report = json.loads(ended.stdout, parse_constant=pytest.fail)
    assert (ended.returncode
            == (0 if all(recovery["success"] for recovery in report["recoveries"]) else 1))
    return report


def test_data_are_the_published_ones():
    datasets = pytest.importorskip("sklearn.datasets")
    A, b, names = load_diabetes()
    source = datasets.load_diabetes(scaled=False)
    np.testing.assert_array_equal(A, np.column_stack([np.ones(442), source.data]))
    np.testing.assert_array_equal(b, source.target)
    assert names == ["intercept", "age", "sex", "bmi", "bp", "tc", "ldl", "hdl", "tch", "ltg",
                     "glu"]


def test_votes_are_the_published_ones():
    datasets = pytest.importorskip("statsmodels.api").datasets
    A, y, names = load_anes96()
    source = datasets.anes96.load_pandas().data
    columns = ["TVnews", "selfLR", "ClinLR", "DoleLR", "PID", "age", "educ", "income"]
    np.testing.assert_array_equal(A, np.column_stack([np.ones(944), source[columns]]))
    np.testing.assert_array_equal(y, source["vote"])
    assert len(names) == 9


def test_opens_with_a_logistic_regression(report):
    sm = pytest.importorskip("statsmodels.api")
    A, y, names = load_anes96()
    logistic = report["logistic"]
    fit = sm.GLM(y, A, family=sm.families.Binomial()).fit()
    np.testing.assert_allclose(logistic["fitted"], fit.params, rtol=1e-8)
    np.testing.assert_allclose(logistic["hat_values"],
                               fit.get_influence().hat_matrix_diag.round(4), atol=1.1e-4)
    assert logistic["coefficients"] == names
    exact, rounded = logistic["recoveries"]
    assert (exact["decimals"], rounded["decimals"]) == (None, 4)
    for recovery in (exact, rounded):
        assert recovery["success"] is True
        assert (recovery["unique"], recovery["alternatives"]) == (False, 1)
        assert recovery["relative_error"] <= max(1e-10, 3 * recovery["expected_error"])
    np.testing.assert_allclose(exact["x"], fit.params, rtol=1e-8)
    off = np.array(rounded["x"]) - fit.params
    assert np.abs(off / np.array(rounded["standard_errors"])).max() < 5


def test_logistic_regression_stands_first(report, monkeypatch, capsys):
    monkeypatch.setattr(demo, "recover", lambda *_: report["recoveries"][0])
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("1. A logistic regression. 944 people")
    shown = [f"{value:.4f}" for value in report["logistic"]["hat_values"][:8]]
    assert ", ".join(shown) in " ".join(out.split())
    row = next(line.split() for line in out.splitlines() if line.startswith("party"))
    assert float(row[1]) == pytest.approx(report["logistic"]["fitted"][5], rel=1e-6)
    assert float(row[3]) == pytest.approx(report["logistic"]["fitted"][5], rel=1e-3)


def test_recovers_the_model_up_to_what_rounding_destroyed(report):
    A, _, names = load_diabetes()
    true = np.array(report["true"])
    assert report["coefficients"] == names
    assert [recovery["decimals"] for recovery in report["recoveries"]] == [None, 6, 4, 3]
    assert report["refit_error"] > 0.05
    for recovery in report["recoveries"]:
        assert recovery["success"] is True
        assert recovery["unique"] is True
        error = demo.relative_size(A, np.array(recovery["x"]) - true, true)
        assert recovery["relative_error"] == pytest.approx(error, rel=1e-3)
        assert error <= max(1e-10, 3 * recovery["expected_error"])
    assert sum(recovery["seconds"] for recovery in report["recoveries"]) < 20


def test_table_is_computed_and_fits(report, monkeypatch, capsys):
    recoveries = {recovery["decimals"]: recovery | {"success": True}
                  for recovery in report["recoveries"]}
    monkeypatch.setattr(demo, "recover",
                        lambda A, b, scores, true, decimals, seed: recoveries[decimals])
    assert main(["demo"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= 100
    assert "\x1b" not in out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    for j, name in enumerate(report["coefficients"]):
        columns = [report["true"], *(recovery["x"] for recovery in report["recoveries"])]
        assert [float(figure) for figure in rows[name]] == pytest.approx([x[j] for x in columns],
                                                                         rel=1e-6)


def test_failure_is_reported(report, monkeypatch, capsys):
    failed = report["recoveries"][0] | {"success": False, "message": "The reason. " * 20}
    monkeypatch.setattr(demo, "recover", lambda *_: failed)
    assert main(["demo"]) == 1
    out = capsys.readouterr().out
    assert "exact: no solution found. The reason." in out
    assert max(map(len, out.splitlines())) <= 100
