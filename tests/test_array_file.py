"""NPZ files: sound ones as NumPy reads them; pickles, bombs, huge shapes and damage are refused before memory is taken."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from anymo_hf.array_file import ArrayFile


def write(path, content, name="a.npy"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path


def array(header, data=b""):
    head = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def npy(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["f8", "<i4", ">f4", "U5", "?"])
@pytest.mark.parametrize("shape", [(), (0, 3), (4,), (3, 2, 2)])
def test_arrays_are_those_that_numpy_reads(tmp_path, kind, shape):
    values = np.arange(int(np.prod(shape))).reshape(shape).astype(kind)
    np.savez_compressed(tmp_path / "a.npz", a=values, b=np.asfortranarray(values))
    file = ArrayFile(tmp_path / "a.npz")
    assert file.names == ("a", "b") and "a" in file and "c" not in file
    for name in "ab":
        assert file[name].dtype == values.dtype
        np.testing.assert_array_equal(file[name], values)
    with pytest.raises(ValueError, match=r"a\.npz: holds no c, only a, b; fetch it again"):
        file["c"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (array("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 8), }"), "bytes expected"),
        (array("{'descr': '<f8', 'fortran_order': False, 'shape': (-4,), }", bytes(32)), "shape"),
        (array("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"cos\nsystem\n(S'true'\ntR."), "object"),
        (array("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", bytes(15)), "16 bytes expected, 15 there"),
        (array("{'descr': '<f8', 'shape': ((("), "Error"),
        (b"", "Error"),
        (b"cos\nsystem\n(S'true'\ntR.", "Error"),
        (npy(np.arange(9.0))[:-3], "72 bytes expected, 69 there"),
    ],
)
def test_damaged_and_hostile_arrays_are_refused_by_name(tmp_path, content, said):
    with pytest.raises(ValueError, match=rf"a\.npz: a cannot be read as numbers .*{said}.*; save it again"):
        ArrayFile(write(tmp_path / "a.npz", content), "save it again")["a"]


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = write(tmp_path / "a.npz", npy(np.zeros(1 << 26, np.uint8)) + bytes(1 << 28))
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(ValueError, match="a would unpack to 320 MB, which no such file holds"):
        ArrayFile(path)["a"]
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"\x93NUMPY"])
def test_what_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz: not a whole npz file .*; fetch it again"):
        ArrayFile(tmp_path / "a.npz")
    with pytest.raises(OSError, match=r"b\.npz: no such file"):
        ArrayFile(tmp_path / "b.npz")
