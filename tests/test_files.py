"""Files of the command line: every format, every refusal, and no file half written."""
import os
import signal
import stat
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from levinv.cli import files
from levinv.cli.files import check_target, read_matrix, read_vector, write_vector
from levinv.cli.status import InputError

MATRIX = np.array([[1.5, 0.0, -2.0], [0.0, 3.25, 0.0], [1e-300, 0.1, 7.0], [4.0, 5.0, 6.0]])
VECTOR = np.array([1.0, -2.5, 1 / 3, 1e300])


def save_npy(path, array):
    np.save(path, array)


def save_npz(path, array):
    scipy.sparse.save_npz(path, scipy.sparse.csr_matrix(array))


def save_csv(path, array):
    np.savetxt(path, array, delimiter=",", fmt="%.17g")


def save_mtx(path, array):
    scipy.io.mmwrite(path, array, precision=17)


def save_sparse_mtx(path, array):
    scipy.io.mmwrite(path, scipy.sparse.coo_matrix(array), precision=17)


SAVERS = {save_npy: ".npy", save_npz: ".npz", save_csv: ".csv", save_mtx: ".mtx",
          save_sparse_mtx: ".mtx"}


class TestRead:
    @pytest.mark.parametrize("save, suffix", SAVERS.items())
    def test_matrix(self, tmp_path, save, suffix):
        path = tmp_path / f"A{suffix}"
        save(path, MATRIX)
        read = read_matrix(path)
        if save in (save_npz, save_sparse_mtx):
            assert scipy.sparse.issparse(read)
            read = read.toarray()
        assert type(read) is (np.memmap if suffix == ".npy" else np.ndarray)
        np.testing.assert_array_equal(read, MATRIX)

    @pytest.mark.parametrize("save, suffix", SAVERS.items())
    @pytest.mark.parametrize("shape", [(4, 1), (1, 4)])
    def test_vector_stored_as_a_matrix(self, tmp_path, save, suffix, shape):
        path = tmp_path / f"b{suffix}"
        save(path, VECTOR.reshape(shape))
        np.testing.assert_array_equal(read_vector(path), VECTOR)

    @pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr", "dia"])
    def test_sparse_formats(self, tmp_path, format):
        path = tmp_path / "A.npz"
        scipy.sparse.save_npz(path, scipy.sparse.csr_array(MATRIX).asformat(format))
        read = read_matrix(path)
        assert read.format == format
        np.testing.assert_array_equal(read.toarray(), MATRIX)

    def test_plain_vector(self, tmp_path):
        np.save(tmp_path / "b.npy", VECTOR)
        np.testing.assert_array_equal(read_vector(tmp_path / "b.npy"), VECTOR)

    def test_suffix_in_capitals(self, tmp_path):
        (tmp_path / "A.CSV").write_text("1,2\n3,4\n")
        np.testing.assert_array_equal(read_matrix(tmp_path / "A.CSV"), [[1, 2], [3, 4]])

    @pytest.mark.parametrize("header",
                             ["", "age,bmi\n", '"age","income, 1,000"\n', "# a comment\n"])
    @pytest.mark.parametrize("start", ["", "\ufeff"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_csv_header_bom_and_line_ends(self, tmp_path, header, start, end):
        text = f"{start}{header}1,2.5\n-3e2,\"4\"\n".replace("\n", end)
        (tmp_path / "A.csv").write_bytes(text.encode())
        np.testing.assert_array_equal(read_matrix(tmp_path / "A.csv"), [[1, 2.5], [-300, 4]])


class TestReadRefuses:
    @pytest.mark.parametrize("text, line, why", [
        ("a,b\n1,2\n\n3,oops\n5,6\n", 4, "'oops'"),
        ("1,2\n3\n", 2, "columns changed from 2 to 1"),
        ("1,2\n3,4,5\n", 2, "columns changed from 2 to 3"),
        ("1,2\n3,\n", 2, "''"),
        ("age,2\n3,4\n", 1, "'age'"),
        ("a;b\n1;2\n", 2, "'1;2'"),
    ])
    def test_csv_with_the_line(self, tmp_path, text, line, why):
        path = tmp_path / "A.csv"
        path.write_text(text)
        with pytest.raises(InputError, match=r"A\.csv") as caught:
            read_matrix(path)
        assert f"line {line}:" in str(caught.value)
        assert why in str(caught.value)

    @pytest.mark.parametrize("text", ["", "a,b\n", "\n\n"])
    def test_csv_without_numbers(self, tmp_path, text):
        (tmp_path / "A.csv").write_text(text)
        with pytest.raises(InputError, match="A.csv: holds no numbers"):
            read_matrix(tmp_path / "A.csv")

    def test_csv_that_is_not_text(self, tmp_path):
        (tmp_path / "A.csv").write_bytes(b"1,2\n\xff\xfe\x00,3\n")
        with pytest.raises(InputError, match="A.csv: not UTF-8"):
            read_matrix(tmp_path / "A.csv")

    def test_pickled_npy_is_never_loaded(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "executed"),)

        np.save(tmp_path / "A.npy", np.array([[Trap()]], dtype=object), allow_pickle=True)
        with pytest.raises(InputError, match="A.npy: not a .npy file of numbers: Python objects"):
            read_matrix(tmp_path / "A.npy")
        assert not (tmp_path / "executed").exists()

    @pytest.mark.parametrize("content", [b"", b"not numpy", b"\x80\x04K\x01.", b"PK\x03\x04broken"])
    @pytest.mark.parametrize("suffix", [".npy", ".npz", ".mtx"])
    def test_something_else_inside(self, tmp_path, suffix, content):
        path = tmp_path / f"A{suffix}"
        path.write_bytes(content)
        with pytest.raises(InputError, match="A.* not a ") as caught:
            read_matrix(path)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("suffix", [".npy", ".npz"])
    def test_truncated(self, tmp_path, suffix):
        path = tmp_path / f"A{suffix}"
        {".npy": save_npy, ".npz": save_npz}[suffix](path, MATRIX)
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(InputError, match="A.* not a "):
            read_matrix(path)

    def test_npz_that_is_not_sparse(self, tmp_path):
        np.savez(tmp_path / "A.npz", A=MATRIX)
        with pytest.raises(InputError, match="A.npz: not a sparse matrix as scipy.sparse.save_npz"):
            read_matrix(tmp_path / "A.npz")

    @pytest.mark.parametrize("bad_index", [3, 10 ** 8, -1])
    def test_npz_with_indices_out_of_range(self, tmp_path, bad_index):
        np.savez(tmp_path / "A.npz", format=b"csr", shape=np.array([3, 3]), data=np.ones(3),
                 indices=np.array([bad_index, 1, 2], dtype=np.int32),
                 indptr=np.arange(4, dtype=np.int32))
        with pytest.raises(InputError, match="A.npz: not a sparse matrix"):
            read_matrix(tmp_path / "A.npz")

    @pytest.mark.parametrize("entry", ["4 1 1.0", "0 1 1.0", "1 1 text", "1 1"])
    def test_mtx_with_a_bad_entry(self, tmp_path, entry):
        (tmp_path / "A.mtx").write_text("%%MatrixMarket matrix coordinate real general\n3 3 1\n"
                                        f"{entry}\n")
        with pytest.raises(InputError, match="A.mtx: not a Matrix Market file: Line 3"):
            read_matrix(tmp_path / "A.mtx")

    def test_archive_named_npy(self, tmp_path):
        np.savez(tmp_path / "A.npz", MATRIX)
        (tmp_path / "A.npz").rename(tmp_path / "A.npy")
        with pytest.raises(InputError, match="A.npy: .* archive"):
            read_matrix(tmp_path / "A.npy")

    @pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".mtx"])
    def test_missing(self, tmp_path, suffix):
        with pytest.raises(InputError, match=f"absent{suffix}: No such file"):
            read_matrix(tmp_path / f"absent{suffix}")

    def test_directory(self, tmp_path):
        (tmp_path / "A.npy").mkdir()
        with pytest.raises(InputError, match="A.npy: "):
            read_matrix(tmp_path / "A.npy")

    @pytest.mark.parametrize("name", ["A.txt", "A", "A.npz.gz"])
    def test_unknown_suffix(self, tmp_path, name):
        with pytest.raises(InputError, match="suffix .* only .npy, .npz, .csv, .mtx"):
            read_matrix(tmp_path / name)

    def test_wrong_dimensions(self, tmp_path):
        np.save(tmp_path / "b.npy", VECTOR)
        np.save(tmp_path / "A.npy", MATRIX)
        np.save(tmp_path / "scalar.npy", 3.0)
        with pytest.raises(InputError,
                           match=r"b.npy: expected a matrix, got an array of shape \(4,\)"):
            read_matrix(tmp_path / "b.npy")
        with pytest.raises(InputError,
                           match=r"A.npy: expected a vector, got an array of shape \(4, 3\)"):
            read_vector(tmp_path / "A.npy")
        with pytest.raises(InputError,
                           match=r"scalar.npy: expected a vector, got an array of shape \(\)"):
            read_vector(tmp_path / "scalar.npy")

    @pytest.mark.parametrize("size, read", [(2 ** 25, True), (2 ** 31 - 1, False)])
    @pytest.mark.parametrize("save, suffix",
                             [(scipy.sparse.save_npz, ".npz"), (scipy.io.mmwrite, ".mtx")])
    def test_too_large_to_be_dense(self, tmp_path, save, suffix, size, read):
        path = tmp_path / f"A{suffix}"
        save(path, scipy.sparse.coo_matrix(([1.0], ([0], [0])), shape=(size, size)))
        if read:
            assert read_matrix(path).shape == (size, size)
        else:                               # 17 GB of row pointers for one entry
            with pytest.raises(InputError, match="A.* bytes would take 34359738352 in memory"):
                read_matrix(path)


class TestWrite:
    @pytest.mark.parametrize("suffix", [".npy", ".csv"])
    def test_round_trip(self, tmp_path, suffix):
        path = tmp_path / f"x{suffix}"
        write_vector(path, VECTOR)
        np.testing.assert_array_equal(read_vector(path), VECTOR)
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
    def test_permissions_follow_the_umask(self, tmp_path):
        before = os.umask(0o027)
        try:
            write_vector(tmp_path / "x.npy", VECTOR)
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "x.npy").stat().st_mode) == 0o640

    def test_existing_file_is_kept(self, tmp_path):
        path = tmp_path / "x.npy"
        path.write_bytes(b"precious")
        with pytest.raises(InputError, match="x.npy: exists; --force"):
            write_vector(path, VECTOR)
        assert path.read_bytes() == b"precious"
        write_vector(path, VECTOR, force=True)
        np.testing.assert_array_equal(read_vector(path), VECTOR)

    @pytest.mark.skipif(os.name != "posix", reason="symbolic links")
    def test_symbolic_link_stays_one(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "x.npy").write_bytes(b"old")
        (tmp_path / "x.npy").symlink_to(tmp_path / "real" / "x.npy")
        write_vector(tmp_path / "x.npy", VECTOR, force=True)
        assert (tmp_path / "x.npy").is_symlink()
        np.testing.assert_array_equal(read_vector(tmp_path / "real" / "x.npy"), VECTOR)

    @pytest.mark.parametrize("name, message", [
        ("x.npz", "suffix '.npz', only .npy, .csv"),
        ("x", "suffix ''"),
        ("absent/x.npy", "directory .*absent does not exist"),
        ("taken.npy", "is a directory"),
    ])
    def test_refused(self, tmp_path, name, message):
        (tmp_path / "taken.npy").mkdir()
        for refuse in (lambda path: check_target(path, force=True),
                       lambda path: write_vector(path, VECTOR, force=True)):
            with pytest.raises(InputError, match=message):
                refuse(tmp_path / name)

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
    def test_directory_without_permission(self, tmp_path):
        tmp_path.chmod(0o500)
        try:
            with pytest.raises(InputError, match="not writable"):
                check_target(tmp_path / "x.npy")
        finally:
            tmp_path.chmod(0o700)

    @pytest.mark.parametrize("step", ["fsync", "replace"])
    @pytest.mark.parametrize("failure",
                             [OSError(28, "No space left on device"), KeyboardInterrupt()])
    @pytest.mark.parametrize("old", [None, b"old"])
    def test_failure_in_the_middle(self, tmp_path, monkeypatch, step, failure, old):
        path = tmp_path / "x.npy"
        if old is not None:
            path.write_bytes(old)

        def fail(*_):
            raise failure

        monkeypatch.setattr(files.os, step, fail)
        with pytest.raises((InputError, KeyboardInterrupt)) as caught:
            write_vector(path, VECTOR, force=True)
        if isinstance(failure, OSError):
            assert "x.npy: No space left" in str(caught.value)
        assert list(tmp_path.iterdir()) == ([] if old is None else [path])
        assert old is None or path.read_bytes() == old

    @pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
    @pytest.mark.parametrize("old", [None, b"old"])
    def test_killed_in_the_middle(self, tmp_path, old):
        path = tmp_path / "x.npy"
        if old is not None:
            path.write_bytes(old)
        program = textwrap.dedent(f"""
            import time
            import numpy as np
            from levinv.cli import files
            def hang(descriptor):
                print("written", flush=True)
                time.sleep(60)
            files.os.fsync = hang
            files.write_vector({str(path)!r}, np.ones(100_000), force=True)
        """)
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE,
                              text=True) as child:
            assert child.stdout.readline() == "written\n"
            child.send_signal(signal.SIGKILL)
        assert child.returncode == -signal.SIGKILL
        assert path.exists() == (old is not None)
        assert old is None or path.read_bytes() == old
