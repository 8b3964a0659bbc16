"""How an audit is reported: text, page, pictures, numbers, command line."""
import datetime
import doctest
import html.parser
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import numpy as np
import pytest

import levinv
from levinv import audit, plot
from levinv.auditing.render import text
from levinv.cli import main, progress
from levinv.data import load_anes96, load_diabetes

figure = pytest.importorskip("matplotlib.figure")

AWKWARD = "<i>&$w^{$ \"of\" a very long name, indeed"
PICTURES = [plot.error_against_decimals, plot.coefficients, plot.row_influence,
            plot.singular_values]


@pytest.fixture(scope="module")
def report():
    A, b, names = load_diabetes()
    x = np.linalg.lstsq(A[:200], b[:200], rcond=None)[0]
    return audit(A, b, x, decimals=3, names=[AWKWARD, *names[1:]])


@pytest.fixture(scope="module")
def page(report):
    return report.to_html()


class Page(html.parser.HTMLParser):
    """Text, tags and attributes of a page; checks that its tags are balanced."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


class TestText:
    def test_verdict_first(self, report):
        text = report.to_text()
        assert " ".join(text.split()).startswith(report.verdict)
        assert max(map(len, text.splitlines())) <= 100
        assert not any(line.endswith(" ") for line in text.splitlines())

    def test_figures_are_those_of_the_report(self, report):
        rows = {line.split()[0]: line.split() for line in report.to_text().splitlines()
                if line.startswith("  ")}
        for j in range(1, 11):
            x, error, relative = rows[report.names[j]][1:4]
            assert float(x) == pytest.approx(report.x[j], rel=1e-5)
            assert float(error) == pytest.approx(report.predicted_errors[j], rel=0.06)
            assert float(relative) == pytest.approx(100 * report.relative_errors[j], rel=0.06)
        top = np.argsort(-report.row_influence)[:10]
        assert set(map(str, top)) <= set(rows)

    def test_says_who_knows_what(self, report):
        text = " ".join(report.to_text().split())
        for said in ("attacker knows: A (442 x 11), b,", "attacker does not know: x or any sign",
                     "rounded to 3 decimals", "Cramér-Rao bound", "knows something of x beforehand",
                     "least squares of b on A misses x by 10 %"):
            assert said in text

    def test_many_coefficients_are_cut(self):
        rng = np.random.default_rng(0)
        text = audit(rng.standard_normal((120, 40)), rng.standard_normal(120),
                     np.ones(40)).to_text()
        assert "x[29]" in text
        assert "... and 10 more" in text


@pytest.fixture(scope="module")
def coarse():
    rng = np.random.default_rng(2)
    A = np.column_stack([np.ones(400), rng.standard_normal((400, 4))])
    x = rng.standard_normal(5)
    # one decimal is coarser than most of 400 scores, which add up to 5
    return audit(A, A @ x - 3.0 * rng.standard_normal(400), x, decimals=1)


class TestNoContradiction:
    """Where attacks fail, the report does not say that x is found, nor that nothing is safe."""

    def test_verdict_and_table(self, coarse):
        assert coarse.recovered_error > 0.2
        assert coarse.predicted_error < 0.01
        assert "it is not known how much of x can be found" in coarse.verdict
        assert f"missed x by {text.percent(coarse.recovered_error)}" in coarse.verdict
        assert "A better attack may find up to 5 of 5, by the bound of 0." in coarse.verdict
        told = " ".join(coarse.to_text().split())
        assert "none is safe by the bound" in told
        assert "none is safe " not in told.replace("none is safe by the bound", "")
        assert "can prove that scores are safe, but not that they are not" in told

    def test_reason_is_the_right_one(self, coarse):
        assert coarse.departure <= 0.3
        assert coarse.verdict.startswith("IN DOUBT. The attack ")
        A, b, _ = load_diabetes()
        loud = audit(A, b, np.linalg.lstsq(A[:200], b[:200], rcond=None)[0], noise=0.3)
        assert loud.departure > 0.3
        assert loud.verdict.startswith("IN DOUBT. The noise is too large for the prediction")
        assert loud.least_squares_error < loud.recovered_error
        assert "Ordinary least squares, without the scores, misses x by only 10 %." in loud.verdict

    @pytest.mark.parametrize("fraction, said, brief", [
        (0.0, "less than 0.001 %", "< 0.001 %"), (1e-14, "less than 0.001 %", "< 0.001 %"),
        (9.9e-6, "less than 0.001 %", "< 0.001 %"), (1e-5, "0.001 %", "0.001 %"),
        (0.123, "12 %", "12 %"), (9.4, "940 %", "940 %"),
        (1e9, "more than 1000 %", "> 1000 %"), (np.inf, "any amount", "any amount")])
    def test_percent(self, fraction, said, brief):
        assert text.percent(fraction) == said
        assert text.percent(fraction, brief=True) == brief

    def test_exact_scores_need_no_powers_of_ten(self):
        A, b, names = load_diabetes()
        x = np.linalg.lstsq(A[:200], b[:200], rcond=None)[0]
        verdict = audit(A, b, x, names=names).verdict
        assert "missed x by less than 0.001 %, where less than 0.001 % is predicted" in verdict


class TestProgress:
    def test_callback_hears_of_each_part(self):
        rng = np.random.default_rng(0)
        A, b, x = rng.standard_normal((40, 3)), rng.standard_normal(40), np.ones(3)
        stages = []
        report = audit(A, b, x, decimals=3, callback=lambda intermediate_result: stages.append(
            intermediate_result.stage))
        parts = list(dict.fromkeys(stage.partition(":")[0] for stage in stages))
        assert parts == ["what the scores determine", "attack on 3 decimals", "standard errors"]
        assert any(stage.startswith("attack on 3 decimals: ") for stage in stages)
        assert report.to_dict() == audit(A, b, x, decimals=3).to_dict()
        stages.clear()
        assert len(report.decimals_attacked) == 13
        assert {f"attack on {k} decimals" for k in range(2, 13)} <= set(stages)
        assert "attack on 1 decimal" in stages

    def test_cannot_stop_the_audit(self):
        def stop(intermediate_result):
            if intermediate_result.nit:
                raise StopIteration

        rng = np.random.default_rng(0)
        with pytest.raises(RuntimeError, match="must not stop an audit"):
            audit(rng.standard_normal((40, 3)), rng.standard_normal(40), np.ones(3), callback=stop)


def test_dict_is_strict_json(report):
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert told["verdict"] == report.verdict
    assert told["names"][0] == " ".join(AWKWARD.split())
    np.testing.assert_array_equal(told["row_influence"], report.row_influence)
    assert told["safe"][0] == {"target": 0.01, "decimals": report.safe_decimals(0.01),
                               "noise": report.safe_noise(0.01)}
    A = np.eye(3)
    nothing = audit(A, np.zeros(3), np.ones(3)).to_dict()
    assert json.loads(json.dumps(nothing, allow_nan=False))["standard_errors"] == [None] * 3


class TestPage:
    def test_stands_alone(self, page):
        read = Page(page)
        assert "script" not in read.tags
        names = {name for name, _ in read.attributes}
        assert not names & {"src", "onclick", "onload"}
        targets = [value for name, value in read.attributes if name in ("href", "xlink:href")]
        assert {target for target in targets if not target.startswith("#")} == {"data:,"}
        assert not re.search(r"@import|url\((?!#)", page)
        for address in re.findall(r"https?://[^\s\"<]+", page):
            assert "w3.org" in address or "purl.org" in address or "matplotlib.org" in address \
                or "creativecommons.org" in address              # names of formats

    def test_is_for_phones_and_for_printers(self, page):
        assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
        assert "@media print" in page
        assert "@media (max-width" in page

    def test_has_a_dark_scheme_but_not_in_print(self, page):
        assert "@media screen and (prefers-color-scheme: dark)" in page
        assert "color-scheme: light" in page

    def test_says_when_with_what_and_from_what_it_was_made(self, report):
        read = Page(report.to_html(inputs={"A": "<b>design.csv", "x": "x.csv"}))
        foot = read.text[read.text.index("What the figures mean"):]
        assert datetime.date.today().isoformat() in foot
        assert f"made by levinv {levinv.__version__}" in " ".join(foot.split())
        assert "A <b>design.csv x x.csv" in " ".join(foot.split())

    def test_holds_all_parts(self, report, page):
        read = Page(page)
        assert report.verdict.partition(". ")[2] in read.text
        for heading in ("Error of x against decimals", "Coefficients", "Rows that give most away",
                        "Singular values of the Jacobian", "What the figures mean"):
            assert heading in read.text
        assert read.tags.count("svg") == 4
        low, high = report.intervals[3]
        assert f"{low:.6g} to {high:.6g}" in read.text

    def test_names_are_escaped(self, page):
        assert "<i>" not in page
        assert "&lt;i&gt;&amp;$w^{$" in page
        assert "<i>&$w^{$" in Page(page).text

    def test_pictures_are_well_formed_and_do_not_share_names(self, page):
        seen = []
        for svg in re.findall(r"<svg .*?</svg>", page, re.DOTALL):
            root = ElementTree.fromstring(svg)
            assert root.get("role") == "img"
            assert root.get("aria-label")
            seen += re.findall(r'<clipPath id="(\w+)"', svg)
        assert len(seen) == len(set(seen)) > 0

    def test_is_the_same_each_time(self, report, page):
        assert report.to_html() == page

    def test_style_of_the_user_is_left_alone(self, report, page):
        import matplotlib
        with matplotlib.rc_context({"font.size": 40, "axes.facecolor": "black"}):
            assert report.to_html() == page
            assert matplotlib.rcParams["font.size"] == 40

    def test_without_matplotlib(self, report, page, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        bare = Page(report.to_html())
        assert "svg" not in bare.tags
        assert bare.text.count('pip install "levinv[plot]"') == 4
        assert bare.tags.count("table") == Page(page).tags.count("table")


@pytest.fixture(scope="module")
def model():
    A, _, names = load_anes96()
    x = np.array([-2.25, 0.017, 0.59, -0.87, -0.43, 1.03, 0.0023, 0.044, 0.023])
    return audit(A, x=x, weighting="binomial", decimals=4, names=names)


class TestPageOfAModel:
    def test_speaks_of_the_model(self, model):
        read = Page(model.to_html())
        for said in ("What these hat values give away", "GIVEN AWAY up to one common sign",
                     "944 hat values of your logistic regression, rounded to 4 decimals",
                     "the design matrix (944 x 9), and how the hat values were made",
                     "the coefficients, any response or the sign of any linear predictor",
                     "up to one common sign, which no hat value shows",
                     "Error of the coefficients against decimals", "with the right sign"):
            assert said in read.text
        for word in ("residual", "slack", "A x", "least squares", "{x}", "{scores}", "$"):
            assert word not in read.text
        assert 'class="verdict unsafe"' in model.to_html()

    def test_dict(self, model):
        told = json.loads(json.dumps(model.to_dict(), allow_nan=False))
        assert told["weighting"] == "a logistic regression"
        np.testing.assert_allclose(told["alternatives"], [-model.x], rtol=1e-8)
        assert told["attack"]["success"] is True

    def test_attacks_are_measured_with_the_right_sign(self, model):
        assert max(at["recovered_error"] for at in model.decimals_attacked[4:]) < 1e-2

    def test_pictures_speak_of_hat_values(self, model):
        ax = plot.error_against_decimals(model, figure.Figure().add_subplot())
        assert ax.get_xlabel() == "decimals in the hat values"
        assert ax.get_ylabel() == "relative error of the coefficients"


class TestPlots:
    @pytest.fixture
    def ax(self):
        return figure.Figure().add_subplot()

    def test_error_against_decimals(self, report, ax):
        assert plot.error_against_decimals(report, ax) is ax
        predicted, found = (line.get_ydata() for line in ax.get_lines()[:2])
        np.testing.assert_array_equal(predicted,
                                      [at["predicted_error"] for at in report.decimals_attacked])
        np.testing.assert_array_equal(found, [at["recovered_error"] for at in
                                              report.decimals_attacked if at["success"]])
        assert len(found) > 10
        assert ax.get_yscale() == "log"

    def test_coefficients(self, report, ax):
        plot.coefficients(report, ax)
        order = np.argsort(report.relative_errors)
        [found] = (line for line in ax.get_lines() if line.get_label() == "error of the attack")
        np.testing.assert_allclose(
            found.get_xdata(), (abs(report.recovered_x - report.x) / abs(report.x))[order])
        assert ax.get_yticklabels()[0].get_text() == report.names[order[0]]

    def test_row_influence(self, report, ax):
        plot.row_influence(report, ax)
        widths = [bar.get_width() for bar in ax.patches]
        np.testing.assert_array_equal(widths, np.sort(report.row_influence)[::-1][:15])

    def test_singular_values(self, report, ax):
        plot.singular_values(report, ax)
        np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), report.singular_values)

    @pytest.mark.parametrize("draw", PICTURES)
    def test_nothing_to_draw(self, draw, ax):
        drawn = draw(audit(np.eye(2), np.zeros(2), np.ones(2)), ax)
        drawn.figure.canvas.draw()

    def test_importing_levinv_does_not_import_matplotlib(self):
        import subprocess
        code = "import sys, levinv, levinv.plot; sys.exit('matplotlib' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


class TestCommand:
    @pytest.fixture
    def files(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        rng = np.random.default_rng(5)
        A, b, x = rng.standard_normal((30, 3)), rng.standard_normal(30), np.array([1.0, -2.0, 3.0])
        np.savetxt("A.csv", A, delimiter=",", header="age,height,weight", comments="")
        for name, array in (("A", A), ("b", b), ("x", x), ("signs", np.sign(A @ x - b))):
            np.save(f"{name}.npy", array)
        return A, b, x

    def test_text(self, files, capsys):
        assert main(["audit", "A.csv", "b.npy", "x.npy", "--decimals", "4"]) == 0
        assert capsys.readouterr().out == audit(
            *files, decimals=4, names=["age", "height", "weight"]).to_text() + "\n"

    @pytest.mark.parametrize("flags, given", [
        ([], {}), (["--noise", "1e-3"], {"noise": 1e-3}), (["--decimals", "2"], {"decimals": 2})])
    def test_json(self, files, flags, given, capsys):
        assert main(["audit", "A.npy", "b.npy", "x.npy", "--json", *flags]) == 0
        told = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
        report = audit(*files, **given)
        assert told["command"] == "audit"
        assert told["verdict"] == report.verdict
        assert told["standard_errors"] == pytest.approx(report.standard_errors.tolist())

    def test_signs(self, files, capsys):
        assert main(["audit", "A.npy", "b.npy", "x.npy", "--signs", "signs.npy"]) == 0
        assert "b, the signs of A x - b, and how" in capsys.readouterr().out
        assert main(["audit", "A.npy", "b.npy", "x.npy", "--signs", "positive"]) == 2
        assert "signs must be those of A x - b" in capsys.readouterr().err

    def test_page(self, files, tmp_path, capsys):
        command = ["audit", "A.csv", "b.npy", "x.npy", "--html", "report.html"]
        assert main(command) == 0
        assert capsys.readouterr().out.endswith("written to report.html\n")
        first = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert "height" in Page(first).text
        assert main(command) == 2
        assert "report.html: exists; --force overwrites it" in capsys.readouterr().err
        assert main([*command, "--force", "--decimals", "1"]) == 0
        assert (tmp_path / "report.html").read_text(encoding="utf-8") != first
        assert not list(tmp_path.glob("*.tmp"))

    def test_page_names_its_files(self, files, tmp_path, capsys):
        command = ["audit", "A.csv", "b.npy", "x.npy", "--html", "report.html"]
        assert main(command) == 0
        foot = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
        assert "A A.csv b b.npy x x.npy" in " ".join(foot.split())

    def test_text_is_printed_before_the_page_is_drawn(self, files, capsys, monkeypatch):
        said = []
        draw = levinv.AuditReport.to_html

        def watched(self, **given):
            said.append(capsys.readouterr().out)
            return draw(self, **given)

        monkeypatch.setattr(levinv.AuditReport, "to_html", watched)
        assert main(["audit", "A.csv", "b.npy", "x.npy", "--html", "report.html"]) == 0
        assert "GIVEN AWAY" in said[0]
        assert capsys.readouterr().out == "\nwritten to report.html\n"

    @pytest.mark.parametrize("terminal, flags, shown", [
        (True, [], True), (True, ["--json"], False), (False, [], False)])
    def test_progress(self, files, capsys, monkeypatch, terminal, flags, shown):
        seen = []

        class Watched(progress.Progress):
            def __init__(self, shown):
                super().__init__(False)
                seen.append(shown)

            def __call__(self, intermediate_result):
                seen.append(intermediate_result.stage)

        monkeypatch.setattr("levinv.cli.audit.Progress", Watched)
        monkeypatch.setattr("sys.stderr", SimpleNamespace(
            isatty=lambda: terminal, write=None, flush=None))
        assert main(["audit", "A.csv", "b.npy", "x.npy", *flags]) == 0
        assert seen[0] is shown
        assert "attack" in seen

    @pytest.mark.parametrize("arguments, message", [
        (["x.npy", "--html", "report.txt"], "cannot write a file with suffix '.txt', only .html"),
        (["x.npy", "--html", "none/report.html"], "the directory"),
        (["b.npy"], "x must have length 3"),
        (["x.npy", "--noise", "0"], "noise must be above 0"),
        (["none.npy"], "none.npy: No such file"),
    ])
    def test_refused(self, files, arguments, message, capsys):
        assert main(["audit", "A.npy", "b.npy", *arguments]) == 2
        told = capsys.readouterr()
        assert message in told.err
        assert told.err.count("\n") == 1
        assert told.out == ""

    def test_page_is_refused_before_the_work(self, files, capsys):
        assert main(["audit", "none.npy", "b.npy", "x.npy", "--html", "report.txt"]) == 2
        assert "report.txt" in capsys.readouterr().err

    def test_weighting(self, files, capsys):
        A, _, x = files
        np.save("offset.npy", np.linspace(0.0, 1.0, 30) ** 2)
        assert main(["audit", "A.csv", "x.npy", "--weighting", "binomial", "--decimals", "5"]) == 0
        assert capsys.readouterr().out == audit(
            A, x=x, weighting="binomial", decimals=5,
            names=["age", "height", "weight"]).to_text() + "\n"
        assert main(["audit", "A.npy", "x.npy", "--weighting=binomial:probit", "--offset",
                     "offset.npy", "--json"]) == 0
        told = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
        assert told["unique"] is True
        assert told["alternatives"] == []
        assert told["weighting"] == "a probit regression"

    def test_help(self, capsys):
        with pytest.raises(SystemExit) as ended:
            main(["audit", "--help"])
        assert ended.value.code == 0
        assert "exit status:" in capsys.readouterr().out


def test_documentation():
    pytest.importorskip("statsmodels")
    pytest.importorskip("sklearn")
    path = pathlib.Path(__file__).parents[1] / "docs" / "audit.md"
    found = doctest.testfile(str(path), module_relative=False, encoding="utf-8")
    assert found.attempted > 10
    assert found.failed == 0
