"""The command line with data: fits, audits, scores and inversions by names of columns."""
import io
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from levinv import LeverageMap, audit, leverage_scores
from levinv.cli import main
from levinv.cli.status import in_options
from levinv.data import load_anes96

SUCCESS, NO_SOLUTION, BAD_INPUT = 0, 1, 2
A, VOTE, NAMES = load_anes96()
VOTES = pd.DataFrame(A[:, 1:], columns=NAMES[1:]).assign(vote=VOTE)
FEW = "self,party,income"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    VOTES.to_csv("votes.csv", index=False)
    return tmp_path


@pytest.fixture(scope="module")
def fit():
    sm = pytest.importorskip("statsmodels.api")
    return sm.GLM(VOTES["vote"], A, family=sm.families.Binomial()).fit(tol=1e-12)


def told(capsys, *arguments, status=SUCCESS):
    assert main(list(arguments)) == status
    out, err = capsys.readouterr()
    return json.loads(out, parse_constant=pytest.fail) if "--json" in arguments else (out, err)


def refused(capsys, *arguments):
    out, err = told(capsys, *arguments, status=BAD_INPUT)
    assert out == ""
    assert err.startswith("levinv: error: ")
    assert err.count("\n") == 1
    return err


BINOMIAL = ["--response", "vote", "--family", "binomial"]


class TestAudit:
    def test_of_data(self, fit, capsys):
        report = told(capsys, "audit", "votes.csv", *BINOMIAL, "--decimals", "4", "--json")
        assert report["names"] == ["intercept", *NAMES[1:]]
        np.testing.assert_allclose(report["x"], fit.params, rtol=1e-8)
        reference = audit(A, x=fit.params, weighting="binomial", decimals=4)
        np.testing.assert_allclose(report["standard_errors"], reference.standard_errors, rtol=1e-6)
        assert report["verdict"].startswith("GIVEN AWAY up to one common sign. Whoever has the "
                                            "design matrix finds all 9 coefficients")
        assert report["row_labels"] is None

    def test_is_the_audit_of_the_coefficients(self, fit, capsys):
        chosen = ["--columns", FEW, "--decimals", "4"]
        text = told(capsys, "audit", "votes.csv", *BINOMIAL, *chosen)[0]
        sm = pytest.importorskip("statsmodels.api")
        X = sm.add_constant(VOTES[FEW.split(",")])
        params = sm.GLM(VOTES["vote"], X, family=sm.families.Binomial()).fit(tol=1e-12).params
        params[::-1].to_csv("params.csv")            # in another order: labels decide
        same = ["audit", "votes.csv", "params.csv", "--family", "binomial", *chosen]
        assert told(capsys, *same, "--intercept")[0] == text
        assert ("x has an entry for 'const', which A's header has not; --intercept adds a column"
                in refused(capsys, *same))
        X.to_csv("X.csv", index=False)
        assert told(capsys, "audit", "X.csv", "params.csv", "--weighting", "binomial",
                    "--decimals", "4")[0].replace("const    ", "intercept") == text

    def test_an_index_is_no_predictor(self, capsys):
        text = told(capsys, "audit", "votes.csv", *BINOMIAL, "--columns", FEW)[0]
        VOTES[[*FEW.split(","), "vote"]].to_csv("index.csv")
        again, err = told(capsys, "audit", "index.csv", *BINOMIAL)
        assert again == text
        assert err == (
            "levinv: note: index.csv: the first column has no name and is taken for the labels of "
            "the rows (--no-index: for numbers)\nlevinv: note: index.csv: fitted a logistic "
            "regression of 'vote' on 'intercept', 'self', 'party', 'income', 944 rows\n")

    def test_labels_of_rows(self, capsys):
        VOTES.assign(who=[f"p{row}" for row in range(len(VOTES))], town="Bonn").to_csv(
            "named.csv", index=False)
        given = ["audit", "named.csv", *BINOMIAL, "--index", "who"]
        report = told(capsys, *given, "--json")
        assert report["row_labels"][:2] == ["p0", "p1"]
        text, err = told(capsys, *given)
        row = int(np.argmax(report["row_influence"]))
        assert f"\n  p{row} " in text
        assert "left out, because they are not numbers: 'town'" in err

    def test_offset_weights_and_no_intercept(self, capsys):
        sm = pytest.importorskip("statsmodels.api")
        rng = np.random.default_rng(0)
        frame = pd.DataFrame({"trials": rng.integers(0, 9, 60), "z": rng.standard_normal(60),
                              "known": rng.uniform(-0.5, 0.5, 60), "a": rng.standard_normal(60)})
        frame["share"] = rng.binomial(frame["trials"], 0.4) / frame["trials"].clip(lower=1)
        frame.to_csv("trials.csv")
        of = sm.families.Binomial(sm.families.links.CLogLog())
        fitted = sm.GLM(frame["share"], frame[["z", "a"]], family=of, offset=frame["known"],
                        var_weights=frame["trials"]).fit(
                            start_params=[0.0, 0.0], tol=1e-13, tol_criterion="params")
        given = ["trials.csv", "--response", "share", "--weighting", "binomial:cloglog", "--offset",
                 "known", "--prior-weights", "trials", "--no-intercept"]
        report = told(capsys, "audit", *given, "--json")
        assert report["names"] == ["z", "a"]
        np.testing.assert_allclose(report["x"], fitted.params, rtol=1e-9)
        used = np.flatnonzero(frame["trials"])
        assert report["row_labels"] == [str(row) for row in used]
        assert told(capsys, "scores", *given, "-o", "hat.csv", "-q") == ("", "")
        hat = pd.read_csv("hat.csv", index_col=0)["score"]
        np.testing.assert_allclose(hat, fitted.get_hat_matrix_diag(observed=False), atol=1e-9)
        assert not hat[frame["trials"] == 0].any()

    @pytest.mark.parametrize("family, link, name", [
        ("gaussian", [], "a gaussian regression with the identity link"),
        ("gamma", ["--link", "log"], "a gamma regression with the log link"),
        ("poisson", ["--link", "sqrt"], "a Poisson regression with the sqrt link")])
    def test_nothing_to_give_away(self, family, link, name, capsys):
        sentence = (f"NOT GIVEN AWAY. The hat values of {name} depend on the design and on known "
                    "weights alone: they give nothing of the coefficients away.")
        given = ["--response", "age", "--family", family, *link]
        assert told(capsys, "audit", "votes.csv", *given) == (sentence + "\n", "")
        assert told(capsys, "audit", "votes.csv", *given, "--html", "page.html")[0].endswith(
            "nothing written to page.html\n")
        assert told(capsys, "audit", "votes.csv", *given, "--json")["verdict"] == sentence
        np.save("x.npy", np.ones(9))
        assert told(capsys, "audit", "votes.csv", "x.npy", *given[2:]) == (sentence + "\n", "")

    def test_page(self, folder, monkeypatch, capsys):
        monkeypatch.setattr("levinv.auditing.report.AuditReport.to_html",
                            lambda report, **_: ", ".join(report.names))
        assert told(capsys, "audit", "votes.csv", *BINOMIAL, "--columns", "income", "--html",
                    "page.html")[0].endswith("written to page.html\n")
        assert (folder / "page.html").read_text(encoding="utf-8") == "intercept, income"

    @pytest.mark.parametrize("signs", ["positive", "signs.npy"])
    def test_signs(self, signs, capsys):
        _, err = told(capsys, "audit", "votes.csv", *BINOMIAL, "--signs", signs, status=BAD_INPUT)
        assert "signs must be" in err


    def test_with_the_runtime_dependencies_alone(self):
        bare = ("import sys; sys.modules.update(dict.fromkeys(['tqdm', 'sklearn', 'statsmodels', "
                "'pandas', 'pyarrow'])); from levinv.cli import main; sys.exit(main(sys.argv[1:]))")
        ended = subprocess.run([sys.executable, "-c", bare, "audit", "votes.csv", *BINOMIAL,
                                "--columns", FEW], capture_output=True, text=True, timeout=60,
                               check=False)
        assert (ended.returncode, ended.stdout[:10]) == (SUCCESS, "GIVEN AWAY")


class TestScoresAndInversion:
    def test_there_and_back(self, fit, capsys):
        out, _ = told(capsys, "scores", "votes.csv", *BINOMIAL, "-o", "hat.npy")
        hat = np.load("hat.npy")
        np.testing.assert_allclose(hat, fit.get_hat_matrix_diag(observed=False), atol=1e-9)
        assert "944 leverage scores, sum 9, largest" in out
        VOTES.drop(columns="vote").assign(hat=hat).to_csv("published.csv")
        out, _ = told(capsys, "invert", "published.csv", "--scores", "hat", "--family", "binomial",
                      "-o", "x.csv", "--seed", "0")
        assert "-x has these scores as well" in out
        x = pd.read_csv("x.csv", index_col=0)["x"]
        assert list(x.index) == ["intercept", *NAMES[1:]]
        np.testing.assert_allclose(np.abs(x), np.abs(fit.params), rtol=1e-7)
        assert f"\n    party  {x['party']:>16.9g}\n" in out
        told(capsys, "audit", "votes.csv", "x.csv", "--intercept", "--family", "binomial",
             "--columns", ",".join(NAMES[1:]), "--json")
        report = told(capsys, "invert", "published.csv", "--scores=hat", "--family=binomial", "-o",
                      "x.csv", "--json", "--force")
        assert report["names"] == list(x.index)

    def test_labels_are_kept_and_read(self, capsys):
        rng = np.random.default_rng(5)
        frame = pd.DataFrame(rng.standard_normal((30, 4)), columns=list("pqrs"),
                             index=[f"row {i}" for i in range(30)]).rename_axis("who")
        b = pd.Series(rng.standard_normal(30), frame.index, name="b")
        x = pd.Series([1.0, -2.0, 0.5, 3.0], list("pqrs"), name="x")
        frame.to_csv("A.csv")
        b[::-1].to_csv("b.csv")
        x.iloc[[2, 0, 3, 1]].to_csv("x.csv")
        given = ["A.csv", "--index", "who"]
        told(capsys, "scores", *given, "--b", "b.csv", "--x", "x.csv", "-o", "h.csv", "-q")
        h = pd.read_csv("h.csv", index_col="who")["score"]
        assert list(h.index) == list(frame.index)
        np.testing.assert_allclose(h, LeverageMap(frame.to_numpy(), b.to_numpy()).scores(x),
                                   rtol=1e-12)
        h.sample(frac=1.0, random_state=0).to_csv("h.csv")
        x.to_csv("x0.csv")
        told(capsys, "invert", given[0], "b.csv", "h.csv", *given[1:], "-o", "found.csv", "--x0",
             "x0.csv")
        found = pd.read_csv("found.csv", index_col=0)["x"]
        np.testing.assert_allclose(found[x.index], x, rtol=1e-9)
        h.iloc[1:].to_csv("h.csv")
        assert "h.csv: scores has no entry for 'row 0'" in refused(
            capsys, "invert", given[0], "b.csv", "h.csv", *given[1:], "-o", "other.csv")

    def test_standard_input_and_output(self, monkeypatch, capsys):
        text = VOTES.drop(columns="vote").to_csv(index=False)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        out, err = told(capsys, "scores", "-", "-o", "-")
        np.testing.assert_allclose(np.loadtxt(io.StringIO(out)), leverage_scores(A[:, 1:]),
                                   rtol=1e-12)
        assert "944 leverage scores" in err
        assert "written to standard output" in err
        assert "A and slack cannot both be read" in refused(capsys, "scores", "-", "--slack", "-",
                                                            "-o", "-")


def test_names_with_commas(fit, capsys):
    named = VOTES.rename(columns={"age": "age, years", "income": 'income "net"'})
    named.to_csv("named.csv", index=False)
    report = told(capsys, "audit", "named.csv", *BINOMIAL, "--decimals", "4", "--json", "--columns",
                  'self, "age, years",party,income "net"')
    assert report["names"] == ["intercept", "self", "age, years", "party", 'income "net"']
    assert "--columns \"age: unexpected end of data" in refused(
        capsys, "audit", "named.csv", *BINOMIAL, "--columns", '"age')


class TestRefused:
    @pytest.mark.parametrize("arguments, message", [
        (["--response", "vote"], "data need the family of their regression: --family"),
        (["--response", "vote", "--family", "binomail"], "family must be one of 'binomial'"),
        (["--response", "vote", "--family", "binomial", "--link", "prob"], "link must be one of"),
        (["--response", "vote", "--weighting", "power:2"], "--response needs a family"),
        (["--response", "vote", "--weighting", "poisson", "--family", "poisson"], "only one"),
        (["--response", "vote", "--link", "log"], "--link needs --family"),
        (["--response", "votes", "--family", "binomial"],
         "votes.csv: no column is named 'votes'; there are 'tv_news', 'self'"),
        ([*BINOMIAL, "--columns", "age,vote"], "column 'vote' has two parts to play"),
        ([*BINOMIAL, "--offset", "vote"], "column 'vote' has two parts to play"),
        ([*BINOMIAL, "--offset", "offset.npy"], "no column is named 'offset.npy'"),
        (["--response", "age", "--family", "binomial"],
         "the responses of a logistic regression must be from 0 to 1, got 36 in row 0"),
    ])
    def test_options(self, arguments, message, capsys):
        assert message in refused(capsys, "audit", "votes.csv", *arguments)

    @pytest.mark.parametrize("change, message", [
        ({"twice": 2.0 * VOTES["age"]}, "linearly dependent, so that their coefficients are not "
                                        "determined (columns 'age', 'twice')"),
        ({"ones": 1.0}, "'ones' is constant, as the intercept is that levinv adds: --no-inter"),
        ({"vote": VOTES["party"] > 3}, "separated: a combination of columns divides ones and"),
        ({"vote": 1}, "all responses are 1"),
        ({"age": VOTES["age"].where(VOTES["age"] > 20)}, "votes.csv, line 3: data must be finite, "
                                                         "got '' in column 'age'"),
        ({"vote": np.where(VOTES["vote"] > 0, "Dole", "Clinton")},
         "votes.csv, line 2: expected a number in column 'vote', got 'Dole'"),
    ])
    def test_data(self, change, message, capsys):
        VOTES.assign(**change).to_csv("votes.csv", index=False)
        assert message in refused(capsys, "audit", "votes.csv", *BINOMIAL)

    def test_no_names(self, capsys):
        np.savetxt("bare.csv", A[:, 1:], delimiter=",")
        assert "bare.csv: the columns need names, in the first line" in refused(
            capsys, "audit", "bare.csv", *BINOMIAL)

    def test_negative_weights(self, capsys):
        VOTES.assign(v=-1.0).to_csv("votes.csv", index=False)
        assert "prior weights must be at least 0, got -1 in column 'v'" in refused(
            capsys, "audit", "votes.csv", *BINOMIAL, "--prior-weights", "v")

    @pytest.mark.parametrize("arguments, message", [
        (["--x", "x.npy"], "--x and --b must not be given with --response"),
        (["--slack", "x.npy"], "--slack, --weights, --method, --rtol and --seed must not"),
        (["--method", "qr"], "--slack, --weights, --method, --rtol and --seed must not"),
    ])
    def test_scores(self, arguments, message, capsys):
        assert message in refused(capsys, "scores", "votes.csv", *BINOMIAL, *arguments, "-o",
                                  "hat.csv")

    @pytest.mark.parametrize("arguments", [
        ["votes.csv", "x.csv", *BINOMIAL], ["votes.csv", *BINOMIAL, "--delimiter", "ab"],
        ["votes.csv", *BINOMIAL, "--decimal", ";"], ["votes.csv", *BINOMIAL, "--delimiter", "1"],
        ["votes.csv", *BINOMIAL, "--index", "a", "--no-index"],
    ])
    def test_usage(self, arguments, capsys):
        with pytest.raises(SystemExit) as ended:
            main(["audit", *arguments])
        assert ended.value.code == BAD_INPUT
        assert "usage:" in capsys.readouterr().err


class TestAdvice:
    def test_rounded_scores(self, capsys):
        hat = LeverageMap(A, weighting="binomial").scores(np.linspace(-0.2, 0.2, 9)).round(4)
        VOTES.drop(columns="vote").assign(hat=hat).to_csv("published.csv", index=False)
        given = ["invert", "published.csv", "--scores", "hat", "--family", "binomial", "-o",
                 "x.csv"]
        out, _ = told(capsys, *given, status=NO_SOLUTION)
        assert "the scores look rounded to 4 decimals: give --decimals 4" in out
        assert "noise=" not in out
        message = told(capsys, *given, "--json", status=NO_SOLUTION)["message"]
        assert "give --decimals 4" in message
        assert main([*given, "--decimals", "4"]) == SUCCESS

    @pytest.mark.parametrize("message, told", [
        ("look single: give noise=np.spacing(np.float32(scores)) / 12**0.5.",
         "look single: give --noise 1.7e-8."),
        ("in 9 starts (try options={'restarts': ...}, or give noise if the scores are rounded)",
         "in 9 starts (try another --seed, or give --decimals or --noise if the scores are "
         "rounded)"),
        ("correct this score (or give noise, large in this row).", "correct this score."),
        ("correct these scores or give these rows a larger noise.",
         "correct these scores or give a larger --noise."),
        ("if the scores are rounded or estimated, give noise.",
         "if the scores are rounded or estimated, give --decimals or --noise."),
    ])
    def test_in_options(self, message, told):
        assert in_options(message) == told
