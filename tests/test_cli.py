"""The command line: what it computes, what it prints, and how it ends."""
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from levinv import LeverageMap, leverage_scores
from levinv._json import plain
from levinv.cli import main, progress
from levinv.weighting import glm, power
from levinv.weighting.names import FAMILIES

SUCCESS, NO_SOLUTION, BAD_INPUT, INTERNAL_ERROR, INTERRUPTED = 0, 1, 2, 70, 130


@pytest.fixture
def problem(tmp_path, monkeypatch):
    """A, b, x, scores and slack in files of the current directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    A, b, x = rng.standard_normal((30, 4)), rng.standard_normal(30), rng.standard_normal(4)
    at = LeverageMap(A, b)
    problem = SimpleNamespace(A=A, b=b, x=x, scores=at.scores(x), slack=at.slack(x))
    for name, array in vars(problem).items():
        np.save(f"{name}.npy", array)
    np.save("signs.npy", np.sign(problem.slack))
    return problem


def run(*arguments, **kwargs):
    return subprocess.run([sys.executable, "-m", "levinv", *arguments], capture_output=True,
                          text=True, timeout=60, check=False, **kwargs)


def strict_json(text):
    def refuse(constant):
        raise AssertionError(f"not JSON: {constant}")

    return json.loads(text, parse_constant=refuse)


def one_line(text):
    assert text.endswith("\n")
    assert text.count("\n") == 1, text
    return text


class TestUsage:
    def test_entry_point(self):
        [script] = importlib.metadata.entry_points(group="console_scripts", name="levinv")
        assert script.load() is main

    @pytest.mark.parametrize("command", [[], ["demo"], ["scores"], ["invert"]])
    def test_help_lists_the_exit_statuses(self, command, capsys):
        with pytest.raises(SystemExit) as ended:
            main([*command, "--help"])
        assert ended.value.code == SUCCESS
        text = capsys.readouterr().out
        assert "exit status:" in text
        for known in ("0    success", "1    no solution", "2    bad input", "130  interrupted"):
            assert known in text
        assert max(map(len, text.splitlines())) <= 110

    def test_version(self):
        ended = run("--version")
        assert ended.returncode == SUCCESS
        assert ended.stdout == f"levinv {importlib.metadata.version('levinv')}\n"

    @pytest.mark.parametrize("arguments", [
        [], ["nonsense"], ["scores"], ["scores", "A.npy"], ["scores", "A.npy", "-o"],
        ["scores", "A.npy", "-o", "o.npy", "--slack", "s.npy", "--weights", "w.npy"],
        ["scores", "A.npy", "-o", "o.npy", "--method", "lu"],
        ["scores", "A.npy", "-o", "o.npy", "--meth", "qr"],
        ["invert", "A.npy", "b.npy", "-o", "o.npy"],
        ["invert", "A.npy", "b.npy", "c.npy", "-o", "o.npy", "--noise", "1", "--decimals", "2"],
        ["invert", "A.npy", "b.npy", "c.npy", "-o", "o.npy", "--decimals", "-1"],
        ["invert", "A.npy", "b.npy", "c.npy", "-o", "o.npy", "--decimals", "two"],
        ["invert", "A.npy", "b.npy", "c.npy", "-o", "o.npy", "--seed", "x"],
        ["invert", "A.npy", "b.npy", "c.npy", "-o", "o.npy", "--seed", "-1"],
    ])
    def test_wrong_usage(self, arguments, capsys):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == BAD_INPUT
        assert "usage:" in capsys.readouterr().err

    def test_first_steps(self, capsys):
        with pytest.raises(SystemExit):
            main([])
        assert "recover a regression from its hat values" in capsys.readouterr().err
        for command, option in ("audit", "--response"), ("invert", "--scores"):
            with pytest.raises(SystemExit):
                main([command, "A.csv"])
            assert (f"(of a regression on columns of A: {option} COLUMN --family FAMILY)\n"
                    in capsys.readouterr().err)


class TestScores:
    def test_plain(self, problem, capsys):
        assert main(["scores", "A.npy", "-o", "out.npy"]) == SUCCESS
        np.testing.assert_array_equal(np.load("out.npy"), leverage_scores(problem.A))
        assert "30 leverage scores, sum 4, largest" in capsys.readouterr().out

    @pytest.mark.parametrize("method", ["auto", "cholesky", "qr"])
    def test_slack_weights_and_point_agree(self, problem, method):
        np.save("weights.npy", problem.slack ** -2)
        arguments = ["scores", "A.npy", "--method", method, "-o", "out.csv", "--force"]
        for scale in (["--slack", "slack.npy"], ["--weights", "weights.npy"],
                      ["--b", "b.npy", "--x", "x.npy"]):
            assert main([*arguments, *scale]) == SUCCESS
            np.testing.assert_allclose(np.loadtxt("out.csv"), problem.scores, rtol=1e-12)

    @pytest.mark.parametrize("name", ["A.npz", "A.csv", "A.mtx", "sparse.mtx"])
    def test_formats(self, problem, name):
        if name == "A.npz":
            scipy.sparse.save_npz(name, scipy.sparse.csc_array(problem.A))
        elif name == "A.csv":
            np.savetxt(name, problem.A, delimiter=",", header="p,q,r,s", comments="", fmt="%.17g")
        else:
            dense = name == "A.mtx"
            scipy.io.mmwrite(name, problem.A if dense else scipy.sparse.coo_matrix(problem.A),
                             precision=17)
        assert main(["scores", name, "--slack", "slack.npy", "-o", "out.npy"]) == SUCCESS
        np.testing.assert_allclose(np.load("out.npy"), problem.scores, rtol=1e-12)

    def test_quiet(self, problem, capsys):
        assert main(["scores", "A.npy", "-o", "out.npy", "-q"]) == SUCCESS
        assert capsys.readouterr() == ("", "")

    @pytest.mark.parametrize("arguments, message", [
        (["--b", "b.npy"], "--b and --x belong together"),
        (["--x", "x.npy"], "--b and --x belong together"),
        (["--slack", "slack.npy", "--x", "x.npy"], "--b and --x belong together"),
        (["--slack", "x.npy"], "slack must have length 30"),
        (["--weights", "b.npy"], "weights must be at least 0"),
        (["--b", "x.npy", "--x", "x.npy"], "b must have length 30"),
        (["--b", "b.npy", "--x", "b.npy"], "x must have length 4"),
        (["--slack", "absent.npy"], "absent.npy: No such file"),
        (["--slack", "A.npy"], "A.npy: expected a vector"),
    ])
    def test_bad_input(self, problem, arguments, message, capsys):
        assert main(["scores", "A.npy", *arguments, "-o", "out.npy"]) == BAD_INPUT
        out, err = capsys.readouterr()
        assert out == ""
        assert one_line(err).startswith("levinv: error: ")
        assert message in err
        assert not os.path.exists("out.npy")

    def test_warning_is_one_line(self, problem):
        np.save("hard.npy", np.vander(np.linspace(1, 2, 40), 14))
        ended = run("scores", "hard.npy", "--method", "cholesky", "-o", "out.npy")
        assert ended.returncode == SUCCESS
        assert one_line(ended.stderr).startswith("levinv: warning: method='cholesky' cannot be "
                                                 "accurate")


class TestInvert:
    def test_recovers_x(self, problem, capsys):
        assert (main(["invert", "A.npy", "b.npy", "scores.npy", "-o", "out.npy", "--seed", "0"])
                == SUCCESS)
        np.testing.assert_allclose(np.load("out.npy"), problem.x, rtol=1e-9)
        out, err = capsys.readouterr()
        assert err == ""
        assert out.startswith("solved: ")
        assert "unique: yes" in out
        assert "standard error" not in out
        assert f"x[0]  {problem.x[0]:>16.9g}" in out
        assert "written to out.npy" in out

    def test_json(self, problem, capsys):
        arguments = ["invert", "A.npy", "b.npy", "scores.npy", "-o", "out.csv", "--seed", "0",
                     "--json"]
        assert main(arguments) == SUCCESS
        out, err = capsys.readouterr()
        report = strict_json(out)
        assert err == ""
        assert report["success"] is True
        assert report["unique"] is True
        assert report["output"] == "out.csv"
        assert report["noise"] is None
        assert report["score_error"] < 1e-12
        np.testing.assert_array_equal(report["x"], np.loadtxt("out.csv"))
        assert len(report["standard_errors"]) == 4
        assert np.shape(report["null_space"]) == (4, 0)

    @pytest.mark.parametrize("accuracy",
                             [["--decimals", "6"], ["--noise", str(1e-6 / np.sqrt(12))]])
    def test_rounded_scores(self, problem, accuracy, capsys):
        np.save("rounded.npy", problem.scores.round(6))
        assert main(["invert", "A.npy", "b.npy", "rounded.npy", "-o", "out.npy", *accuracy,
                     "--seed", "0", "--json"]) == SUCCESS
        report = strict_json(capsys.readouterr().out)
        assert report["noise"] == pytest.approx(1e-6 / np.sqrt(12), rel=1e-14)
        deviation = (np.load("out.npy") - problem.x) / np.array(report["standard_errors"])
        assert np.abs(deviation).max() < 6

    def test_standard_errors_are_shown_with_noise(self, problem, capsys):
        np.save("rounded.npy", problem.scores.round(6))
        assert main(["invert", "A.npy", "b.npy", "rounded.npy", "-o", "out.npy", "--decimals", "6",
                     "--seed", "0"]) == SUCCESS
        assert "standard error" in capsys.readouterr().out

    def test_what_was_checked_is_shown(self, problem, capsys):
        arguments = ["invert", "A.npy", "b.npy", "scores.npy", "-o", "out.npy", "--seed", "0"]
        assert main(arguments) == SUCCESS
        out = capsys.readouterr().out
        assert "fit of 30 rows: largest error" in out
        assert "rank of A: 4, pivots" in out
        assert "signs: all 16 vectors compared, no other fits" in out
        assert main([*arguments, "--noise", "1e-6", "--force"]) == SUCCESS
        assert "on 26 degrees of freedom" in capsys.readouterr().out

    def test_an_outlier_is_named(self, problem, capsys):
        rounded = problem.scores.round(6)
        rounded[3] += 1e-4
        np.save("rounded.npy", rounded)
        arguments = ["invert", "A.npy", "b.npy", "rounded.npy", "-o", "out.npy", "--decimals", "6",
                     "--seed", "0"]
        assert main(arguments) == NO_SOLUTION
        assert "outliers in rows 3\n" in capsys.readouterr().out
        assert main([*arguments, "--json"]) == NO_SOLUTION
        assert strict_json(capsys.readouterr().out)["evidence"]["outliers"] == [3]

    def test_signs_from_a_file(self, problem):
        arguments = ["invert", "A.npy", "b.npy", "scores.npy", "--signs", "signs.npy", "-o",
                     "out.npy"]
        assert main(arguments) == SUCCESS
        np.testing.assert_allclose(np.load("out.npy"), problem.x, rtol=1e-9)

    @pytest.mark.parametrize("signs, direction", [("positive", -1), ("negative", 1)])
    def test_signs_by_name(self, problem, signs, direction):
        b = problem.A @ problem.x + direction * np.abs(problem.slack)
        np.save("b.npy", b)
        assert (main(["invert", "A.npy", "b.npy", "scores.npy", "--signs", signs, "-o", "out.npy"])
                == SUCCESS)
        np.testing.assert_allclose(np.load("out.npy"), problem.x, rtol=1e-9)

    def test_start(self, problem):
        assert (main(["invert", "A.npy", "b.npy", "scores.npy", "--x0", "x.npy", "-o", "out.npy"])
                == SUCCESS)
        np.testing.assert_allclose(np.load("out.npy"), problem.x, rtol=1e-9)

    def test_not_determined(self, problem, capsys):
        # Only one row uses the last column: its score is 1, whatever the last coefficient is.
        A = np.zeros((31, 5))
        A[:30, :4], A[30, 4] = problem.A, 1.0
        np.save("A.npy", A)
        np.save("b.npy", np.append(problem.b, 1.0))
        np.save("scores.npy", np.append(problem.scores, 1.0))
        arguments = ["invert", "A.npy", "b.npy", "scores.npy", "-o", "out.npy", "--seed", "0"]
        assert main([*arguments, "--json"]) == SUCCESS
        report = strict_json(capsys.readouterr().out)
        assert report["unique"] is False
        assert report["standard_errors"][4] is None
        assert None not in report["standard_errors"][:4]
        assert np.shape(report["null_space"]) == (5, 1)
        assert main([*arguments, "--force"]) == SUCCESS
        out = capsys.readouterr().out
        assert "unique: no, x can move along 1 direction" in out
        assert out.count("not determined") == 1

    @pytest.mark.parametrize("flags", [[], ["--json"], ["-q"]])
    def test_no_solution(self, problem, flags, capsys):
        np.save("scores.npy", np.full(30, 0.25))        # they sum to 7.5, not to 4
        assert (main(["invert", "A.npy", "b.npy", "scores.npy", "-o", "out.npy", *flags])
                == NO_SOLUTION)
        out, err = capsys.readouterr()
        assert err == ""
        assert not os.path.exists("out.npy")
        if flags == ["--json"]:
            report = strict_json(out)
            assert report["success"] is False
            assert report["output"] is None
            assert report["message"]
        elif flags == ["-q"]:
            assert out == ""
        else:
            assert out.startswith("no solution: ")
            assert "closest found" in out
            assert "unique" not in out
            assert "nothing written" in out

    @pytest.mark.parametrize("arguments, message", [
        (["A.npy", "b.npy", "x.npy"], "scores must have length 30"),
        (["A.npy", "x.npy", "scores.npy"], "b must have length 30"),
        (["b.npy", "b.npy", "scores.npy"], "b.npy: expected a matrix"),
        (["A.npy", "b.npy", "absent.csv"], "absent.csv: No such file"),
        (["A.npy", "b.npy", "slack.npy"], "scores must"),
        (["A.npy", "b.npy", "scores.npy", "--noise", "-1"], "noise must be"),
        (["A.npy", "b.npy", "scores.npy", "--tol", "nan"], "tol must be"),
        (["A.npy", "b.npy", "scores.npy", "--maxiter", "0"], "maxiter must be"),
        (["A.npy", "b.npy", "scores.npy", "--method", "guess"], "method must be one of"),
        (["A.npy", "b.npy", "scores.npy", "--signs", "b.npy"], "signs must"),
        (["A.npy", "b.npy", "scores.npy", "--signs", "upwards"], "upwards: cannot read"),
        (["A.npy", "b.npy", "scores.npy", "--x0", "b.npy"], "x0 must have length 4"),
        (["nan.csv", "b.npy", "scores.npy"], "A must be finite"),
        (["object.npy", "b.npy", "scores.npy"],
         "object.npy: not a .npy file of numbers: Python objects"),
        (["complex.npy", "b.npy", "scores.npy"], "A must hold real numbers"),
    ])
    @pytest.mark.parametrize("flags", [[], ["--json"]])
    def test_bad_input(self, problem, arguments, message, flags, capsys):
        np.savetxt("nan.csv", np.where(problem.A > 2, np.nan, problem.A), delimiter=",")
        np.save("object.npy", problem.A.astype(object), allow_pickle=True)
        np.save("complex.npy", problem.A.astype(complex))
        assert main(["invert", *arguments, "-o", "out.npy", *flags]) == BAD_INPUT
        out, err = capsys.readouterr()
        assert out == ""
        assert one_line(err).startswith("levinv: error: ")
        assert message in err
        assert not os.path.exists("out.npy")

    @pytest.mark.parametrize("output, message", [
        ("x.npy", "x.npy: exists; --force"), ("absent/x.npy", "absent"), ("x.txt", "suffix '.txt'"),
    ])
    def test_output_is_refused_before_the_work(self, problem, monkeypatch, output, message, capsys):
        monkeypatch.setattr("levinv.cli.invert.invert_scores",
                            lambda *_, **__: pytest.fail("worked in vain"))
        before = problem.x.tobytes()
        assert main(["invert", "A.npy", "b.npy", "scores.npy", "-o", output]) == BAD_INPUT
        assert message in one_line(capsys.readouterr().err)
        assert np.load("x.npy").tobytes() == before

    def test_in_a_process_of_its_own(self, problem):
        arguments = ["invert", "A.npy", "b.npy", "scores.npy", "-o", "out.npy", "--seed", "0",
                     "--json"]
        ended = run(*arguments)
        assert ended.returncode == SUCCESS
        assert ended.stderr == ""
        np.testing.assert_allclose(strict_json(ended.stdout)["x"], problem.x, rtol=1e-9)
        ended = run(*arguments)
        assert ended.returncode == BAD_INPUT
        assert ended.stdout == ""
        assert "out.npy: exists" in one_line(ended.stderr)

    @pytest.mark.parametrize("flags, terminal, shown", [
        ([], True, True), ([], False, False), (["--json"], True, False), (["--quiet"], True, False),
    ])
    def test_progress_is_for_terminals(self, problem, monkeypatch, flags, terminal, shown):
        asked = []
        monkeypatch.setattr("sys.stderr",
                            SimpleNamespace(isatty=lambda: terminal, write=None, flush=None))
        monkeypatch.setattr("levinv.cli.invert.Progress",
                            lambda shown: asked.append(shown) or progress.Progress(False))
        assert main(["invert", "A.npy", "b.npy", "scores.npy", "-o", "out.npy", *flags]) == SUCCESS
        assert asked == [shown]


class TestWeighting:
    """scores and invert of regressions."""

    @pytest.fixture
    def model(self, problem):
        rng = np.random.default_rng(6)
        np.save("offset.npy", rng.standard_normal(30))
        np.save("minus.npy", -np.load("offset.npy"))
        np.save("trials.npy", rng.integers(1, 9, 30))
        return problem

    @pytest.mark.parametrize("flags, weighting", [
        (["--weighting", "binomial"], "binomial"),
        (["--weighting", "binomial:probit"], ("binomial", "probit")),
        (["--weighting=negative-binomial:log", "--alpha", "0.5"],
         glm("negative-binomial", "log", alpha=0.5)),
        (["--weighting", "tweedie", "--power", "1.5"], glm("tweedie", power=1.5)),
        (["--weighting", "power:1"], power(1.0)),
    ])
    def test_there_and_back(self, model, flags, weighting, capsys):
        given = [*flags, "--offset", "offset.npy", "--prior-weights", "trials.npy"]
        assert main(["scores", "A.npy", "--x", "x.npy", "-o", "hat.npy", *given]) == SUCCESS
        offset, trials = np.load("offset.npy"), np.load("trials.npy")
        expected = LeverageMap(model.A, weighting=weighting, offset=offset,
                               prior_weights=trials).scores(model.x)
        np.testing.assert_array_equal(np.load("hat.npy"), expected)
        assert main(["invert", "A.npy", "hat.npy", "-o", "out.npy", "--seed", "0", *given,
                     "--json"]) == SUCCESS
        capsys.readouterr()
        np.testing.assert_allclose(np.load("out.npy"), model.x, rtol=1e-7)
        b = [*flags, "--b", "minus.npy", "--prior-weights", "trials.npy", "--force"]
        assert main(["scores", "A.npy", "--x", "x.npy", "-o", "hat.npy", *b]) == SUCCESS
        np.testing.assert_array_equal(np.load("hat.npy"), expected)
        assert main(["invert", *b, "A.npy", "-o", "out.npy", "hat.npy", "-q"]) == SUCCESS

    def test_the_other_sign_is_told(self, model, capsys):
        hat = LeverageMap(model.A, weighting="binomial").scores(model.x)
        np.save("hat.npy", hat)
        command = ["invert", "A.npy", "hat.npy", "-o", "out.npy", "--weighting", "binomial",
                   "--seed", "0", "--force"]
        assert main(command) == SUCCESS
        assert "unique: no, -x has these scores as well" in capsys.readouterr().out
        assert main([*command, "--json"]) == SUCCESS
        report = strict_json(capsys.readouterr().out)
        [other] = report["alternatives"]
        np.testing.assert_allclose(other, -np.array(report["x"]), rtol=1e-12)
        np.testing.assert_allclose(np.abs(report["x"]), np.abs(model.x), rtol=1e-9)

    def test_a_sign_of_a_coefficient_settles_it(self, model, capsys):
        np.save("hat.npy", LeverageMap(model.A, weighting="binomial").scores(model.x))
        np.save("known.npy", [np.sign(model.x[0]), 0, 0, 0])
        assert main(["invert", "A.npy", "hat.npy", "-o", "out.npy", "--weighting", "binomial",
                     "--coefficient-signs", "known.npy", "--seed", "0"]) == SUCCESS
        assert "unique: yes" in capsys.readouterr().out
        np.testing.assert_allclose(np.load("out.npy"), model.x, rtol=1e-9)

    def test_no_alternatives_with_the_weights_of_the_papers(self, model, capsys):
        assert main(["invert", "A.npy", "b.npy", "scores.npy", "-o", "out.npy", "--json"]) == 0
        assert strict_json(capsys.readouterr().out)["alternatives"] == []

    @pytest.mark.parametrize("arguments, message", [
        (["invert", "A.npy", "scores.npy", "--weighting", "binomail"],
         "family must be one of 'binomial', 'poisson'"),
        (["invert", "A.npy", "scores.npy", "--weighting", "binomial:prob"],
         "link must be one of 'logit', 'probit'"),
        (["invert", "A.npy", "scores.npy", "--weighting", "power:two"], "needs a number Q"),
        (["invert", "A.npy", "scores.npy", "--weighting", "power:2", "--alpha", "1"],
         "--alpha and --power must not be given"),
        (["invert", "A.npy", "scores.npy", "--weighting", "power:0"], "q must not be 0"),
        (["invert", "A.npy", "scores.npy", "--weighting", "tweedie"], "power must be given"),
        (["invert", "A.npy", "scores.npy", "--weighting", "poisson", "--alpha", "1"],
         "alpha must not be given for family 'poisson'"),
        (["invert", "A.npy", "scores.npy", "--weighting", "gaussian"], "the same for every x"),
        (["invert", "A.npy", "scores.npy", "--weighting", "binomial", "--offset", "x.npy"],
         "offset must have length 30"),
        (["invert", "A.npy", "b.npy", "scores.npy", "--alpha", "1"], "--alpha needs --weighting"),
        (["invert", "A.npy", "b.npy", "scores.npy", "--offset", "b.npy"],
         "b and offset must not both be given"),
        (["scores", "A.npy", "--weighting", "binomial"], "--weighting needs --x"),
        (["scores", "A.npy", "--x", "x.npy", "--offset", "b.npy"], "--b and --x belong together"),
        (["scores", "A.npy", "--offset", "b.npy"], "--offset needs --weighting"),
        (["scores", "A.npy", "--x", "x.npy", "--weighting", "binomial", "--method", "qr"],
         "must not be given with --weighting"),
    ])
    def test_bad_input(self, model, arguments, message, capsys):
        assert main([*arguments, "-o", "out.npy"]) == BAD_INPUT
        out, err = capsys.readouterr()
        assert out == ""
        assert message in one_line(err)
        assert not os.path.exists("out.npy")

    @pytest.mark.parametrize("command", ["scores", "invert", "audit"])
    @pytest.mark.parametrize("more", [[], ["--weighting", "binomial"]])
    def test_help_names_the_families(self, command, more, capsys):
        with pytest.raises(SystemExit):
            main([command, *more, "--help"])
        text = " ".join(capsys.readouterr().out.replace("-\n", "-").split())
        for family in FAMILIES:
            assert family in text.replace("- ", "-")


class TestEnds:
    def test_internal_error_is_not_taken_for_no_solution(self, problem, monkeypatch, capsys):
        def broken(*_, **__):
            raise np.linalg.LinAlgError("SVD did not converge")

        monkeypatch.setattr("levinv.cli.invert.invert_scores", broken)
        assert main(["invert", "A.npy", "b.npy", "scores.npy", "-o", "out.npy"]) == INTERNAL_ERROR
        assert "Traceback" in capsys.readouterr().err

    def test_more_than_memory(self, problem, monkeypatch, capsys):
        def large(*_, **__):
            return np.ones(2 ** 50)

        monkeypatch.setattr("levinv.cli.scores.leverage_scores", large)
        assert main(["scores", "A.npy", "-o", "out.npy"]) == BAD_INPUT
        assert "error: more than fits in memory: " in one_line(capsys.readouterr().err)

    @pytest.mark.skipif(os.name != "posix", reason="SIGINT")
    def test_interrupted(self, problem):
        program = textwrap.dedent("""
            import signal, sys, time
            import levinv.cli.scores
            from levinv.cli import main
            # A background job of a shell starts with SIGINT ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            def wait(*_, **__):
                print("waiting", flush=True)
                time.sleep(60)
            levinv.cli.scores.leverage_scores = wait
            sys.exit(main(["scores", "A.npy", "-o", "out.npy"]))
        """)
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as child:
            assert child.stdout.readline() == "waiting\n"
            child.send_signal(signal.SIGINT)
            _, err = child.communicate(timeout=30)
        assert child.returncode == INTERRUPTED
        assert err == "levinv: interrupted\n"
        assert not os.path.exists("out.npy")

    @pytest.mark.skipif(os.name != "posix", reason="pipes of a shell")
    def test_reader_that_leaves(self, problem):
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as closed:
            ended = subprocess.run([sys.executable, "-m", "levinv", "scores", "A.npy", "-o",
                                    "out.npy"],
                                   stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60,
                                   check=False)
        assert ended.returncode == 141
        assert ended.stderr == ""
        assert os.path.exists("out.npy")


class TestProgress:
    STATES = (SimpleNamespace(stage="scaling", nit=1, error=0.5), SimpleNamespace(nit=2, fun=1e-3),
              SimpleNamespace(nit=3))

    def show(self):
        with progress.Progress() as shown:
            for state in self.STATES:
                shown(state)

    def test_bar(self, monkeypatch, capsys):
        pytest.importorskip("tqdm")
        monkeypatch.setattr(progress, "PROGRESS_DELAY", 0.0)
        self.show()
        out, err = capsys.readouterr()
        assert out == ""
        assert "iterations" in err

    def test_bar_shows_a_slow_stage_after_a_fast_one(self, monkeypatch, capsys):
        pytest.importorskip("tqdm")
        monkeypatch.setattr(progress, "PROGRESS_DELAY", 0.0)
        shown = progress.Progress()
        for _ in range(2):                                 # it can be entered again
            with shown:
                start = time.monotonic()
                while time.monotonic() - start < 0.35:     # some pictures of the fast stage
                    shown(self.STATES[0])
                time.sleep(0.15)                           # longer than two pictures are apart
                shown(SimpleNamespace(stage="polish", nit=1, error=None))
            assert "polish" in capsys.readouterr().err

    def test_lines_without_tqdm(self, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "tqdm", None)
        monkeypatch.setattr(progress, "PROGRESS_DELAY", 0.0)
        monkeypatch.setattr(progress, "PROGRESS_INTERVAL", 0.0)
        self.show()
        out, err = capsys.readouterr()
        assert out == ""
        assert err.splitlines() == ["levinv: scaling, 1 iterations, 0 s, error 5.0e-01",
                                    "levinv: inverting, 2 iterations, 0 s, error 1.0e-03",
                                    "levinv: inverting, 3 iterations, 0 s"]

    @pytest.mark.parametrize("installed", [True, False])
    def test_short_work_shows_nothing(self, monkeypatch, capsys, installed):
        if not installed:
            monkeypatch.setitem(sys.modules, "tqdm", None)
        self.show()
        assert capsys.readouterr() == ("", "")

    def test_hidden(self, capsys):
        with progress.Progress(False) as hidden:
            hidden(self.STATES[0])
        assert capsys.readouterr() == ("", "")


def test_plain():
    value = {"a": np.array([1.0, np.inf, np.nan]), 2: (np.int64(3), np.True_, None, "text"),
             "s": {1}, "o": object}
    assert plain(value) == {"a": [1.0, None, None], "2": [3, True, None, "text"], "s": [1],
                            "o": str(object)}
    assert type(plain(np.float64(1.0))) is float


@pytest.mark.parametrize("encoding", ["cp1251", "cp932", "ascii"])
def test_characters_that_the_console_lacks(tmp_path, encoding, rng):
    table = tmp_path / "table.csv"
    np.savetxt(table, rng.standard_normal((8, 2)), delimiter=",", header="年齢,ä", comments="",
               encoding="utf-8")
    for name, vector in (("b", rng.standard_normal(8)), ("x", [1.0, -1.0])):
        np.save(tmp_path / f"{name}.npy", vector)
    ended = subprocess.run(
        [sys.executable, "-m", "levinv", "audit", table, tmp_path / "b.npy", tmp_path / "x.npy",
         "--decimals", "3"], capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding})
    assert ended.returncode == 0, ended.stderr
    assert "\\xe4" in ended.stdout.decode(encoding)
