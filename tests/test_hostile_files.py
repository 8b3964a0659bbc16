"""Files with false headers, and files larger than memory."""
import io
import os
import re
import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from levinv import leverage_scores
from levinv.cli import files, main
from levinv.cli.files import read_matrix

SQUARE = np.array([[1.5, 0.0, -2.0], [0.0, 3.25, 0.0], [1e-300, 0.1, 7.0]])


def npy(header, entries=b"", version=b"\x01\x00"):
    """A .npy file with any header."""
    text = repr(header).encode() if not isinstance(header, bytes) else header
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + entries


def described(shape, dtype="<f8"):
    return {"descr": dtype, "fortran_order": False, "shape": shape}


CSR = {"format": np.array(b"csr"), "shape": np.array([4, 3]), "data": np.ones(4),
       "indices": np.array([0, 1, 2, 0]), "indptr": np.array([0, 1, 2, 3, 4])}


def archive(path, parts, compression=zipfile.ZIP_DEFLATED):
    """A .npz file of arrays, or of bytes."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, part in parts.items():
            if isinstance(part, np.ndarray):
                stream = io.BytesIO()
                np.save(stream, part)
                part = stream.getvalue()
            file.writestr(f"{name}.npy", part)


class TestHostile:
    """Files with false headers: a message of one line, no traceback, and no memory allocated."""

    @pytest.fixture(autouse=True)
    def little_memory(self):
        """Limit memory to a gigabyte more than now: more raises MemoryError, another message."""
        if not os.path.exists("/proc/self/statm"):
            pytest.skip("tells its memory in /proc only")
        import resource

        with open("/proc/self/statm") as statm:
            now = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (now + 2 ** 30, before[1]))
        yield
        resource.setrlimit(resource.RLIMIT_AS, before)

    def refused(self, path, message, capsys):
        assert main(["scores", str(path), "-o", str(path.with_name("o.npy"))]) == 2
        out, err = capsys.readouterr()
        assert err.startswith("levinv: error: ")
        assert err.count("\n") == 1, err
        assert re.search(message, err), err
        assert out == ""
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.parametrize("content, message", [
        (npy(described((10 ** 6, 10 ** 6))), "takes 8000000000000 bytes, 0 are there"),
        (npy(described((2 ** 62, 4)), bytes(64)), "bytes, 64 are there"),
        (npy(described((4, 3)), bytes(95)), r"shape \(4, 3\) .* takes 96 bytes, 95 are there"),
        (npy(described((-1, 3)), bytes(96)), r"shape \(-1, 3\)"),
        (npy(described((0, 2 ** 70))), "not a .npy file of numbers"),
        (npy(described((0, 3))), "A must not be empty"),
        (npy(described((2, 2), "|O"), bytes(32)), "Python objects"),
        (npy(described((2, 2), "<U1"), bytes(16)), "A must hold real numbers"),
        (npy(described((2, 2), "<m8"), bytes(32)), "dtype timedelta64 is not one"),
        (npy(described((2, 2), [("a", "<f8")]), bytes(32)), "dtype .* is not one"),
        (npy(b"(" * 5000), "not a .npy file of numbers"),
        (npy(b"-" * 9000 + b"1"), "not a .npy file of numbers"),
        (npy(b"[" * 90 + b"'"), "not a .npy file of numbers"),
        (npy(b"{'descr': __import__('os').abort()}"), "not a .npy file of numbers"),
        (npy(described((2, 2)), bytes(32), b"\x09\x00"), r"format version \(9, 0\)"),
        (npy(described((2, 2)))[:40], "EOF"),
    ])
    def test_npy(self, tmp_path, content, message, capsys):
        (tmp_path / "A.npy").write_bytes(content)
        self.refused(tmp_path / "A.npy", message, capsys)

    @pytest.mark.parametrize("changed, message", [
        ({"data": npy(described((10 ** 12,)), bytes(32))}, "takes 8000000000000 bytes, 32 are"),
        ({"data": np.array([[]], dtype=object)}, "Python objects"),
        ({"format": np.array([print], dtype=object)}, "Python objects"),
        ({"format": np.array("list")}, "list_matrix"),
        ({"indptr": np.array([0, 2, 1, 3, 4])}, "non-decreasing|index pointer values"),
        ({"indptr": np.array([0, 1, 2, 3, 10 ** 9])}, "Last value of index pointer"),
        ({"indptr": np.array([0, -1, 2, 3, 4])}, "not a sparse matrix"),
        ({"indptr": np.array([1, 1, 2, 3, 4])}, "index pointer should start with 0"),
        ({"indptr": np.array([0, 1, 2, 4])}, "index pointer size"),
        ({"indptr": np.array([0.0, 1.5, 2.0, 3.0, 4.0])}, "indptr.npy holds float64"),
        ({"indices": np.array([0, 1, 2])}, "indices and data should have the same size"),
        ({"indices": np.array([0, 1, 2, 2 ** 40])}, "not a sparse matrix"),
        ({"shape": np.array([4, -3])}, "'shape' elements cannot be negative"),
        ({"shape": np.array([4])}, "not a sparse matrix"),
        ({"shape": np.array([2 ** 62, 2 ** 62])}, "not a sparse matrix"),
        ({"format": np.array(b"coo"), "row": np.array([0, 1, 2, 4]), "col": np.zeros(4, int)},
         "row index exceeds|exceeds matrix dim"),
        ({"format": np.array(b"coo"), "row": np.array([0, 1, 2, -1]), "col": np.zeros(4, int)},
         "negative"),
        ({"format": np.array(b"coo"), "shape": np.array([2 ** 40, 3]), "row": np.arange(4),
          "col": np.zeros(4, int)}, "bytes would take 8796093022232 in memory"),
        ({"format": np.array(b"bsr"), "data": np.ones((2, 3, 3)), "indices": np.zeros(2, int),
          "indptr": np.arange(3), "shape": np.array([7, 3])}, r"\(3, 3\) do not fill shape"),
        ({"format": np.array(b"dia"), "offsets": np.array([0, 0])}, "not a sparse matrix"),
    ])
    @pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_npz(self, tmp_path, changed, message, compression, capsys):
        archive(tmp_path / "A.npz", CSR | changed, compression)
        self.refused(tmp_path / "A.npz", message, capsys)

    def test_npz_bomb(self, tmp_path, capsys):
        with (zipfile.ZipFile(tmp_path / "A.npz", "w", zipfile.ZIP_DEFLATED) as file,
              file.open("data.npy", "w") as member):
            member.write(npy(described((2 ** 28,))))
            for _ in range(2 ** 5):
                member.write(bytes(2 ** 20))
        content = bytearray((tmp_path / "A.npz").read_bytes())
        place = content.index(b"PK\x01\x02") + 24            # its size as the directory has it
        content[place:place + 4] = (2 ** 31 + 2 ** 30).to_bytes(4, "little")
        (tmp_path / "A.npz").write_bytes(content)
        self.refused(tmp_path / "A.npz", "bytes would take 3221225472 in memory", capsys)

    def test_npz_larger_than_its_directory_says(self, tmp_path, capsys):
        archive(tmp_path / "A.npz", CSR | {"data": np.zeros(10 ** 6)})
        content = bytearray((tmp_path / "A.npz").read_bytes())
        place = content.rindex(b"PK\x01\x02", 0, content.index(b"data.npy", 2000))
        content[place + 24:place + 28] = (200).to_bytes(4, "little")
        (tmp_path / "A.npz").write_bytes(content)
        self.refused(tmp_path / "A.npz", "not a sparse matrix", capsys)

    def test_npz_with_a_name_twice(self, tmp_path, capsys):
        archive(tmp_path / "A.npz", CSR)
        with (pytest.warns(UserWarning, match="Duplicate name"),
              zipfile.ZipFile(tmp_path / "A.npz", "a") as file):
            file.writestr("data.npy", npy(described((4,)), bytes(32)))
        self.refused(tmp_path / "A.npz", "two parts have the same name", capsys)

    def test_npz_of_another_compression(self, tmp_path, capsys):
        archive(tmp_path / "A.npz", CSR, zipfile.ZIP_BZIP2)
        self.refused(tmp_path / "A.npz", "compressed by method 12", capsys)

    @pytest.mark.parametrize("text, message", [
        ("coordinate real general\n3 3 1000000000000\n1 1 1\n", "1000000000000 entries are ann"),
        ("coordinate real general\n999999999999 3 1\n1 1 1\n", "bytes would take 8000000000016"),
        ("coordinate real general\n99999999999999999999 3 1\n1 1 1\n", "Line 2: expected 3 sizes"),
        ("coordinate real general\n-3 3 1\n1 1 1\n", "Line 2: expected 3 sizes"),
        ("coordinate real general\n3 3\n1 1 1\n", "Line 2: expected 3 sizes"),
        ("coordinate real general\n", "Line 1: expected 3 sizes"),
        ("coordinate real general\n3 3 2\n1 1 1\n", "2 entries are announced, 1 are there"),
        ("coordinate real general\n3 3 1\n1 1 1\n2 2 1\n", "1 entries are announced, 2 are"),
        ("coordinate real general\n3 3 2\n1 1 1\n% more\n\n1 4 1\n", "Line 6: expected indices"),
        ("coordinate real general\n3 3 1\n1.5 1 1\n", "Line 3: expected indices in 1..3"),
        ("coordinate real general\n3 3 1\nnan 1 1\n", "Line 3: expected indices in 1..3"),
        ("coordinate pattern general\n3 3 1\n1 1 1\n", "Line 3: expected 2 numbers"),
        ("coordinate real symmetric\n3 4 1\n1 1 1\n", "3 x 4 is not square"),
        ("coordinate complex general\n3 3 1\n1 1 1 1\n", "Line 1: expected real or .*complex"),
        ("coordinate real skewed\n3 3 1\n1 1 1\n", "Line 1: expected general or .*skewed"),
        ("array real general\n100000 100000\n1\n", "10000000000 entries are announced"),
        ("array real symmetric\n3 3\n" + "1\n" * 7, "6 entries are announced, 7 are there"),
        ("array real symmetric\n3 3\n1\n1 2\n", "Line 4: .* columns changed"),
        ("array pattern general\n3 3\n", "Line 1: an array has values"),
        ("array real general\n0 0\n", "A must not be empty"),
    ])
    def test_mtx(self, tmp_path, text, message, capsys):
        (tmp_path / "A.mtx").write_text(f"%%MatrixMarket matrix {text}")
        self.refused(tmp_path / "A.mtx", message, capsys)

    def test_csv_with_a_long_field(self, tmp_path, capsys):
        (tmp_path / "A.csv").write_text("a" * 200_000 + ",b\n1,2\n")
        self.refused(tmp_path / "A.csv", "field larger than", capsys)


@pytest.mark.parametrize("array", [
    SQUARE, SQUARE + SQUARE.T, SQUARE - SQUARE.T, np.ones((4, 3)), np.zeros((3, 2)),
])
@pytest.mark.parametrize("layout", [np.asarray, scipy.sparse.coo_array])
def test_matrix_market_as_scipy_reads_it(tmp_path, array, layout):
    path = tmp_path / "A.mtx"
    scipy.io.mmwrite(path, layout(array), comment="two\nlines")
    read, expected = (A if isinstance(A, np.ndarray) else A.toarray()
                      for A in (read_matrix(path), scipy.io.mmread(path)))
    np.testing.assert_array_equal(read, expected)
    scipy.io.mmwrite(path, scipy.sparse.coo_array((array != 0) * 1.0), field="pattern")
    np.testing.assert_array_equal(read_matrix(path).toarray(), array != 0)


class TestMapped:
    @pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="RssAnon of Linux")
    @pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="own memory")
    @pytest.mark.parametrize("dtype", ["f8", "f4"])
    def test_memory(self, tmp_path, dtype):
        A = np.random.default_rng(0).standard_normal((100_000, 50))
        np.save(tmp_path / "A.npy", A.astype(dtype))
        np.save(tmp_path / "b.npy", np.ones(len(A)))
        np.save(tmp_path / "x.npy", np.zeros(50))
        np.save(tmp_path / "small.npy", A[:100])
        program = textwrap.dedent("""
            import resource, sys
            import numpy as np
            from levinv.cli import main
            np.ones((500, 500)) @ np.ones((500, 500))      # BLAS takes its own memory
            def held():
                with open("/proc/self/status") as status:
                    sizes = dict(line.split(":") for line in status)
                return 1024 * int(sizes["VmData"].split()[0])
            assert main(["scores", "small.npy", "-o", "o.npy", "-q"]) == 0
            resource.setrlimit(resource.RLIMIT_DATA, (held() + int(sys.argv[1]),) * 2)
            for more in [], ["--b", "b.npy", "--x", "x.npy"]:
                assert main(["scores", "A.npy", "-o", "o.npy", "-q", "--force", *more]) == 0
        """)
        subprocess.run([sys.executable, "-c", program, str(A.nbytes // 2)], cwd=tmp_path,
                       check=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
        np.testing.assert_allclose(np.load(tmp_path / "o.npy"),
                                   leverage_scores(A.astype(dtype).astype(float)), rtol=1e-12)

    def test_inversion(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        given = []
        monkeypatch.setattr("levinv.cli.invert.invert_scores",
                            lambda A, *rest, **_: given.extend([A, *rest]) or pytest.fail("called"))
        np.save("A.npy", SQUARE)
        np.save("b.npy", np.ones(3))
        with pytest.raises(pytest.fail.Exception):
            main(["invert", "A.npy", "b.npy", "b.npy", "-o", "x.npy"])
        assert [type(array) for array in given] == [np.memmap, np.ndarray, np.ndarray]

    def test_over_the_input(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        A = np.random.default_rng(0).standard_normal((50, 3))
        np.save("A.npy", A)
        assert main(["scores", "A.npy", "-o", "A.npy", "-q"]) == 2
        np.testing.assert_array_equal(np.load("A.npy"), A)
        monkeypatch.setattr(files.os, "replace", lambda *_: 1 / 0)
        assert main(["scores", "A.npy", "-o", "A.npy", "-q", "--force"]) == 70
        np.testing.assert_array_equal(np.load("A.npy"), A)
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        assert main(["scores", "A.npy", "-o", "A.npy", "-q", "--force"]) == 0
        np.testing.assert_array_equal(np.load("A.npy"), leverage_scores(A))
        assert os.listdir() == ["A.npy"]
