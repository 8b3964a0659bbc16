"""Tables as people have them: names, labels of rows, separators, compressed files, Parquet."""
import gzip
import io
import sys

import numpy as np
import pandas as pd
import pytest

from levinv.cli.files import read_labelled, read_table, write_vector
from levinv.cli.status import InputError
from levinv.cli.tables import LabelledVector, Layout, Wanted

FRAME = pd.DataFrame({"age": [51, 32, 47, 60], "bmi": [22.5, 31.25, 27.0, 19.75],
                      "smokes": [True, False, False, True]})
NUMBERS = FRAME.to_numpy(dtype=float)
CASES = {"semicolons": ({"sep": ";"}, Layout(delimiter=";")),
         "tabs": ({"sep": "\t"}, Layout(delimiter="\t")),
         "spaces": ({"sep": " "}, Layout(delimiter=" ")),
         "decimal comma": ({"sep": ";", "decimal": ","}, Layout(delimiter=";", decimal=","))}


def saved(tmp_path, text, name="A.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refused(message, *arguments, **given):
    with pytest.raises(InputError) as caught:
        read_table(*arguments, **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


class TestIndex:
    @pytest.mark.parametrize("index", [range(4), [3, 5, 8, 9], ["p", "q", "r", "s"]])
    def test_of_pandas(self, tmp_path, index):
        FRAME.set_axis(index).to_csv(tmp_path / "A.csv")
        table = read_table(tmp_path / "A.csv")
        np.testing.assert_array_equal(table.numbers, NUMBERS)
        assert table.columns == ["age", "bmi", "smokes"]
        assert table.labels == [str(label) for label in index]
        assert "the first column has no name and is taken for the labels" in table.notes[0]

    def test_saved_twice(self, tmp_path):
        FRAME.to_csv(tmp_path / "A.csv")
        pd.read_csv(tmp_path / "A.csv").to_csv(tmp_path / "B.csv", index=False)
        table = read_table(tmp_path / "B.csv")
        assert table.columns == ["age", "bmi", "smokes"]
        assert (table.labels, table.index) == (["0", "1", "2", "3"], "")

    def test_of_r(self, tmp_path):                      # write.csv(data)
        path = saved(tmp_path, '"","age","bmi"\n"1",51,22.5\n"2",32,31.25\n')
        table = read_table(path)
        np.testing.assert_array_equal(table.numbers, NUMBERS[:2, :2])
        assert table.labels == ["1", "2"]

    def test_without_names(self, tmp_path):
        pd.DataFrame(NUMBERS).to_csv(tmp_path / "A.csv")
        table = read_table(tmp_path / "A.csv")
        assert (table.columns, table.labels) == (["0", "1", "2"], ["0", "1", "2", "3"])
        np.testing.assert_array_equal(table.numbers, NUMBERS)

    @pytest.mark.parametrize("given", ["patient", "2"])
    def test_declared(self, tmp_path, given):
        path = saved(tmp_path, "age,patient,bmi\n51,Ann,22.5\n32,Bob,31.25\n")
        table = read_table(path, Layout(index=given))
        np.testing.assert_array_equal(table.numbers, NUMBERS[:2, :2])
        assert (table.labels, table.index, table.notes) == (["Ann", "Bob"], "patient", ())
        refused("no column is named 'name'; there are 'age', 'patient', 'bmi'", path,
                Layout(index="name"))
        refused("columns are counted from 1 to 3", path, Layout(index="4"))
        refused("A.csv, line 2: expected a number in column 'patient', got 'Ann'", path)

    def test_declined(self, tmp_path):
        FRAME.to_csv(tmp_path / "A.csv")
        table = read_table(tmp_path / "A.csv", Layout(index=False))
        assert table.labels is None
        assert table.columns == ["column 1", "age", "bmi", "smokes"]

    @pytest.mark.parametrize("start", [0, 1])
    def test_without_a_header_is_asked_for(self, tmp_path, start):
        path = tmp_path / "A.csv"
        FRAME.set_axis(range(start, start + 4)).to_csv(path, header=False)
        refused("the first column counts the rows: --index 1 takes it for their labels, --no-index",
                path)
        assert read_table(path, Layout(index=False)).numbers.shape == (4, 4)
        table = read_table(path, Layout(index="1"))
        np.testing.assert_array_equal(table.numbers, NUMBERS)
        assert table.labels == [str(row) for row in range(start, start + 4)]
        np.savetxt(path, np.column_stack([np.arange(4.0), NUMBERS]), delimiter=",")
        assert read_table(path).numbers.shape == (4, 4)         # as NumPy writes a trend


class TestHeader:
    @pytest.mark.parametrize("text", [
        "0,1,2\n0.5,2,1\n0.25,1,7\n", "0,1,2\n5,2,1\n8,1,7\n", "1,2,3\n0.5,2,1\n0.25,1,7\n",
        "2019,2020\n0.5,1.5\n0.25,1e-3\n", "0\n0.5\n0.25\n", ",7,8\n1,2,3\n",
    ])
    def test_numbers_are_asked_for(self, tmp_path, text):
        path = saved(tmp_path, text)
        refused("may be names or numbers: --header takes the line for names, --no-header for "
                "numbers", path)
        lines = text.splitlines()
        table = read_table(path, Layout(header=True))
        assert len(table.numbers) == len(lines) - 1
        assert table.columns == [name for name in lines[0].split(",") if name]
        if not text.startswith(","):
            assert len(read_table(path, Layout(header=False)).numbers) == len(lines)

    @pytest.mark.parametrize("text", ["1,2\n3,4\n", "1,51,22.5\n1,32,31.25\n", "1,0\n0,1\n",
                                      "3,5,8\n1,2,2\n", "1,2,3\n"])
    def test_rows_of_numbers_are_not(self, tmp_path, text):
        assert len(read_table(saved(tmp_path, text)).numbers) == text.count("\n")

    def test_mixed(self, tmp_path):
        path = saved(tmp_path, "age,2020\n51,22.5\n")
        refused("A.csv, line 1: expected names or numbers, got 'age' beside '2020': --header", path)
        assert read_table(path, Layout(header=True)).columns == ["age", "2020"]


class TestText:
    @pytest.mark.parametrize("case", CASES)
    @pytest.mark.parametrize("name", ["A.csv", "A.csv.gz"])
    def test_separators(self, tmp_path, case, name):
        given, layout = CASES[case]
        FRAME.to_csv(tmp_path / name, index=False, **given)
        np.testing.assert_array_equal(read_table(tmp_path / name, layout).numbers, NUMBERS)

    @pytest.mark.parametrize("name", ["A.tsv", "A.tsv.gz"])
    def test_tabs_by_suffix(self, tmp_path, name):
        FRAME.to_csv(tmp_path / name, sep="\t")
        np.testing.assert_array_equal(read_table(tmp_path / name).numbers, NUMBERS)

    def test_undeclared(self, tmp_path):
        FRAME.to_csv(tmp_path / "A.csv", sep=";", index=False)
        refused("(--delimiter ';' if that divides the columns)", tmp_path / "A.csv")
        FRAME.to_csv(tmp_path / "A.csv", sep="\t", index=False)
        refused("(--delimiter tab if that divides the columns)", tmp_path / "A.csv")
        FRAME.to_csv(tmp_path / "A.csv", sep=";", decimal=",", index=False)
        refused("line 2: expected a number in column 'bmi', got '22,5' (--decimal , if it is a "
                "decimal comma)", tmp_path / "A.csv", Layout(delimiter=";"))
        refused("',' cannot divide both columns and decimals", tmp_path / "A.csv",
                Layout(decimal=","))

    def test_thousands_are_not_decimals(self, tmp_path):
        path = saved(tmp_path, "a;b\n1.234;2,5\n")
        refused("line 2: expected a number in column 'a', got '1.234'", path,
                Layout(delimiter=";", decimal=","))
        refused("got '1_000'", saved(tmp_path, "a,b\n1_000,2\n"))

    def test_comments(self, tmp_path):
        path = saved(tmp_path, "# made by hand\nage,bmi # in years\n#51,1\n51,22.5 # Ann, aged\n"
                               "\n  # end\n32,31.25#\n")
        np.testing.assert_array_equal(read_table(path).numbers, NUMBERS[:2, :2])
        path = saved(tmp_path, ',age\nitem #1,51\n"#2",32\n')
        assert read_table(path).labels == ["item #1", "#2"]

    def test_truth(self, tmp_path):
        path = saved(tmp_path, "a,b\nTRUE,1\nfalse,2\n")
        np.testing.assert_array_equal(read_table(path).numbers, [[1, 1], [0, 2]])

    @pytest.mark.parametrize("cell", ["", "NA", "nan", "NaN", "null", "N/A", "None", ".", "inf",
                                      "-Infinity"])
    def test_missing(self, tmp_path, cell):
        path = saved(tmp_path, f"patient,age,bmi\n# 2026\nAnn,51,22.5\nBob,{cell},31.25\n")
        refused(f"A.csv, line 4: A must be finite, got {cell!r} in column 'age', row 'Bob': leave "
                "the row out or fill in a number", path, Layout(index="patient"), Wanted("A"))
        refused(f"line 2: entries must be finite, got {cell!r} in column 2",
                saved(tmp_path, f"1.5,2\n3,{cell}\n"))

    def test_many_rows(self, tmp_path):
        numbers = np.random.default_rng(0).standard_normal((10_000, 3))
        path = tmp_path / "A.csv"
        pd.DataFrame(numbers, columns=["a_1", "b", "c"]).to_csv(path)
        table = read_table(path)
        np.testing.assert_array_equal(table.numbers, numbers)
        assert table.labels == [str(row) for row in range(10_000)]
        path.write_text(path.read_text() + "10000,1,NA,3\n")
        refused("line 10002: entries must be finite, got 'NA' in column 'b', row '10000'", path)
        path.write_text(path.read_text() + "10000,1,2\n")
        refused("line 10003: the number of columns changed from 4 to 3", path)

    def test_standard_input(self, monkeypatch):
        text = FRAME.to_csv(index=False)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        np.testing.assert_array_equal(read_table("-").numbers, NUMBERS)
        assert not sys.stdin.buffer.closed

    @pytest.mark.parametrize("cut", [slice(-9), slice(9), slice(2, None)])
    def test_broken_gzip(self, tmp_path, cut):
        content = gzip.compress(FRAME.to_csv(index=False).encode())[cut]
        refused("A.csv.gz, line", saved(tmp_path, content, "A.csv.gz"))

    def test_gzip_bomb(self, tmp_path, monkeypatch):
        monkeypatch.setattr("levinv.cli.unpacked.HARMLESS_BYTES", 1 << 20)
        refused("bytes would take more than", saved(tmp_path, gzip.compress(bytes(1 << 25)),
                                                    "A.csv.gz"))

    @pytest.mark.parametrize("array", [NUMBERS, np.asfortranarray(NUMBERS), NUMBERS[:, 0],
                                       np.arange(6).reshape(2, 3), NUMBERS[:0]])
    def test_compressed_arrays(self, tmp_path, array):
        content = io.BytesIO()
        np.save(content, array)
        path = saved(tmp_path, gzip.compress(content.getvalue()), "A.npy.gz")
        found = read_table(path).numbers if array.ndim == 2 else read_labelled(path).numbers
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype

    def test_broken_compressed_arrays(self, tmp_path, monkeypatch):
        content = io.BytesIO()
        np.save(content, NUMBERS)
        whole = gzip.compress(content.getvalue())
        wrong = bytearray(whole)
        wrong[-5] ^= 1
        short = gzip.compress(content.getvalue()[:-8])
        for broken, message in ((whole[:-9], "Compressed file ended"), (wrong, "CRC check failed"),
                                (short, "takes 96 bytes, 88 are there"), (b"", "expected 8 bytes"),
                                (content.getvalue(), "Not a gzipped file")):
            path = saved(tmp_path, bytes(broken), "A.npy.gz")
            refused("A.npy.gz: not a compressed .npy file of numbers: ", path)
            refused(message, path)
        for module in ("unpacked", "files"):
            monkeypatch.setattr(f"levinv.cli.{module}.HARMLESS_BYTES", 1 << 20)
        content = io.BytesIO()
        np.save(content, np.zeros(1 << 22))
        path = saved(tmp_path, gzip.compress(content.getvalue()), "A.npy.gz")
        with pytest.raises(InputError, match="an array of shape .* takes 33554432 bytes, "):
            read_labelled(path)


class TestColumns:
    def test_chosen(self, tmp_path):
        path = saved(tmp_path, "name,age,bmi,bmi\nAnn,51,22.5,1\nBob,32,31.25,\n")
        table = read_table(path, wanted=Wanted(columns=("age",)))
        np.testing.assert_array_equal(table.numbers, [[51], [32]])
        refused("more than one column is named 'bmi'", path, wanted=Wanted(columns=("bmi",)))
        refused("no column is named 'weight'; there are 'name', 'age'", path,
                wanted=Wanted(columns=("weight",)))
        refused("the first line holds no names", saved(tmp_path, "1,2.5\n"),
                wanted=Wanted(columns=("a",)))
        np.save(tmp_path / "A.npy", NUMBERS)
        refused("this file has no names", tmp_path / "A.npy", wanted=Wanted(columns=("a",)))

    def test_in_the_order_asked_for(self, tmp_path):
        FRAME.to_csv(tmp_path / "A.csv")
        table = read_table(tmp_path / "A.csv", wanted=Wanted(columns=("smokes", "age")))
        assert table.columns == ["smokes", "age"]
        np.testing.assert_array_equal(table.numbers, NUMBERS[:, [2, 0]])

    def test_text_is_left_out(self, tmp_path):
        path = saved(tmp_path, "name,age,town\nAnn,51,Bonn\nBob,32,\n")
        table = read_table(path, wanted=Wanted(skip_text=True))
        assert table.columns == ["age"]
        assert table.notes == (f"{path}: left out, because they are not numbers: 'name', 'town'",)
        refused("expected a number in column 'town', got 'Bonn'", path,
                wanted=Wanted(skip_text=True, required=("town",)))
        path = saved(tmp_path, "age,town\n51,7\n32,Bonn\n")          # numbers and text: an error
        refused("line 3: expected a number in column 'town', got 'Bonn'", path,
                wanted=Wanted(skip_text=True))


class TestVectors:
    PARAMS = pd.Series([1.5, -2.0, 0.25], index=["Intercept", "age", "bmi"])

    @pytest.mark.parametrize("header", [True, False])
    def test_params(self, tmp_path, header):
        self.PARAMS.to_csv(tmp_path / "x.csv", header=header)
        x = read_labelled(tmp_path / "x.csv", length=3)
        np.testing.assert_array_equal(x.numbers, [1.5, -2.0, 0.25])
        assert x.labels == ["Intercept", "age", "bmi"]
        aligned = x.aligned(["intercept", "bmi", "age"], "x", "A's header")
        np.testing.assert_array_equal(aligned, [1.5, 0.25, -2.0])
        named = self.PARAMS.rename("value").rename_axis("term")
        named.to_csv(tmp_path / "x.csv")
        assert read_labelled(tmp_path / "x.csv").labels == x.labels

    @pytest.mark.parametrize("given", [{}, {"header": False}, {"index": False}])
    def test_a_series_without_labels(self, tmp_path, given):
        pd.Series([0.5, 0.0, 2.0]).to_csv(tmp_path / "b.csv", **given)
        layout = Layout(header=True) if given == {"index": False} else None
        b = read_labelled(tmp_path / "b.csv", "b", 3, layout)
        np.testing.assert_array_equal(b.numbers, [0.5, 0.0, 2.0])
        np.testing.assert_array_equal(b.aligned(["x", "y", "z"], "b", "A"), [0.5, 0.0, 2.0])

    def test_a_name_0_is_asked_for(self, tmp_path):
        pd.Series([0.5, 1.0, 2.0]).to_csv(tmp_path / "b.csv", index=False)
        with pytest.raises(InputError, match="b must have length 3, got 4, .* --header if that"):
            read_labelled(tmp_path / "b.csv", "b", 3)
        assert len(read_labelled(tmp_path / "b.csv", "b", 4).numbers) == 4

    def test_a_row_with_names(self, tmp_path):
        self.PARAMS.to_frame().T.to_csv(tmp_path / "x.csv", index=False)
        assert read_labelled(tmp_path / "x.csv").labels == ["Intercept", "age", "bmi"]

    def test_two_columns_of_numbers(self, tmp_path):
        path = saved(tmp_path, "id,b\n7,1.5\n9,2.5\n", "b.csv")
        with pytest.raises(InputError, match=r"expected a vector.*\(--index says which column"):
            read_labelled(path)
        assert read_labelled(path, layout=Layout(index="id")).labels == ["7", "9"]
        path = saved(tmp_path, "b\n1.5\n2.5\n", "b.csv")             # A has the column, b has not
        assert read_labelled(path, layout=Layout(index="id")).labels is None

    @pytest.mark.parametrize("own, labels, message", [
        (["p", "q"], ["q", "r"], "b has no entry for 'r' and an entry for 'p', which A has not"),
        (["p", "q", "r"], ["p", "q"], "b has an entry for 'r', which A has not"),
        (["p", "p", "q"], ["p", "q", "p"], "a label occurs twice"),
    ])
    def test_labels_that_differ(self, own, labels, message):
        with pytest.raises(InputError, match=message):
            LabelledVector("b.csv", np.arange(len(own)), own).aligned(labels, "b", "A")

    def test_labels_that_count(self):
        b = LabelledVector("b.csv", np.arange(3.0), ["0", "1", "2"])
        np.testing.assert_array_equal(b.aligned(["1", "2", "0"], "b", "A"), [1, 2, 0])
        np.testing.assert_array_equal(b.aligned(["p", "q", "r"], "b", "A"), [0, 1, 2])
        twice = LabelledVector("b.csv", np.arange(2.0), ["p", "p"])
        np.testing.assert_array_equal(twice.aligned(["p", "p"], "b", "A"), [0, 1])

    @pytest.mark.parametrize("x", [["const", "age"], ["age", "(Intercept)"]])
    def test_intercepts(self, x):
        vector = LabelledVector("x.csv", np.arange(2.0), x)
        with pytest.raises(InputError, match="--intercept adds a column of ones"):
            vector.aligned(["age"], "x", "A's header")
        with pytest.raises(InputError, match="--columns chooses among A's columns"):
            vector.aligned(["age", "intercept", "bmi"], "x", "A's header")


class TestParquet:
    @pytest.fixture(autouse=True)
    def installed(self):
        pytest.importorskip("pyarrow")

    @pytest.mark.parametrize("index", [None, "patient", "unnamed"])
    def test_frames(self, tmp_path, index):
        frame = FRAME.astype({"age": "Int64", "bmi": "float32", "smokes": "bool"})
        frame["age"] = frame["age"].astype("category")
        if index is not None:
            frame.index = pd.Index(list("pqrs"), name=None if index == "unnamed" else index)
        frame.to_parquet(tmp_path / "A.parquet")
        table = read_table(tmp_path / "A.parquet")
        np.testing.assert_array_equal(table.numbers, NUMBERS)
        assert table.columns == ["age", "bmi", "smokes"]
        assert table.labels == (None if index is None else list("pqrs"))
        assert table.index == ("patient" if index == "patient" else "")

    def test_columns_and_labels(self, tmp_path):
        path = tmp_path / "A.parquet"
        FRAME.assign(name=list("pqrs")).to_parquet(path)
        refused("expected numbers in column 'name', got ", path)
        assert read_table(path, Layout(index="name")).labels == list("pqrs")
        assert read_table(path, Layout(index="4")).labels == list("pqrs")
        refused("columns are counted from 1 to 4", path, Layout(index="5"))
        assert read_table(path, wanted=Wanted(columns=("bmi", "age"))).columns == ["bmi", "age"]
        table = read_table(path, wanted=Wanted(skip_text=True))
        assert table.columns == ["age", "bmi", "smokes"]
        assert "left out, because they are not numbers: 'name'" in table.notes[0]
        refused("got ", path, wanted=Wanted(skip_text=True, required=("name",)))
        FRAME.to_parquet(path, index=True)
        assert read_table(path, Layout(index=False)).numbers.shape[0] == 4

    def test_missing(self, tmp_path):
        frame = FRAME.astype("Float64").set_axis(list("pqrs"))
        frame.loc["r", "bmi"] = pd.NA
        frame.to_parquet(tmp_path / "A.parquet")
        refused("A.parquet, row 2 ('r'): A must be finite, got a missing value in column 'bmi'",
                tmp_path / "A.parquet", wanted=Wanted("A"))

    def test_vector(self, tmp_path):
        TestVectors.PARAMS.to_frame("x").to_parquet(tmp_path / "x.parquet")
        assert read_labelled(tmp_path / "x.parquet").labels == ["Intercept", "age", "bmi"]

    def test_broken(self, tmp_path):
        FRAME.to_parquet(tmp_path / "A.parquet")
        content = (tmp_path / "A.parquet").read_bytes()
        for broken in (content[:-20], content[20:], b"", b"PAR1" + bytes(40) + b"PAR1"):
            refused("not a Parquet file", saved(tmp_path, broken, "A.parquet"))

    def test_bomb(self, tmp_path, monkeypatch):
        monkeypatch.setattr("levinv.cli.files.HARMLESS_BYTES", 1 << 10)
        pd.DataFrame({"a": np.zeros(10 ** 6)}).to_parquet(tmp_path / "A.parquet")
        refused("bytes would take 8000000 in memory", tmp_path / "A.parquet")


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    refused('A.parquet: reading Parquet needs pyarrow: pip install "levinv[parquet]"',
            saved(tmp_path, "x", "A.parquet"))


class TestWrite:
    def test_labels(self, tmp_path):
        path = tmp_path / "h.csv"
        write_vector(path, np.array([0.5, 1 / 3]), labels=["p", 'q, "r"'], name="score")
        assert path.read_text() == ',score\np,0.5\n"q, ""r""",0.33333333333333331\n'
        again = read_labelled(path)
        np.testing.assert_array_equal(again.numbers, [0.5, 1 / 3])
        assert again.labels == ["p", 'q, "r"']
        np.testing.assert_array_equal(pd.read_csv(path, index_col=0)["score"], again.numbers)

    def test_standard_output(self, capsys):
        write_vector("-", np.array([0.5, 1 / 3]))
        assert capsys.readouterr().out == "0.5\n0.33333333333333331\n"

    def test_npy_has_no_labels(self, tmp_path):
        write_vector(tmp_path / "h.npy", np.ones(2), labels=["p", "q"])
        np.testing.assert_array_equal(np.load(tmp_path / "h.npy"), np.ones(2))
