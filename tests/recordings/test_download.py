"""`Download`: what is found where, order, and what is refused."""

import io
import zipfile

import numpy as np
import pytest

from anymo_hf.recordings import download as module
from anymo_hf.recordings.download import Download
from anymo_hf.recordings.text_table import read_blocks


def _zip(files, **options):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def test_natural_order_and_bytes_through_three_zips(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_OPEN_ARCHIVES", 1)  # archives are closed and opened again
    monkeypatch.setattr(module, "_IN_MEMORY", 10)
    files = {f"x/s{number}.txt": f"{number},7\n" * 3 for number in (10, 9, 1)}
    (tmp_path / "outer.zip").write_bytes(_zip({"mid.zip": _zip({"inner.zip": _zip(files)}), "other.zip": b"no zip"}))
    with Download(tmp_path / "outer.zip") as download:
        members = download.find(r"s(\d+)\.txt", "X", "s1.txt", archives="(outer|mid|inner)")
        assert [member.groups for member in members] == [("1",), ("9",), ("10",)]
        for member in members:
            with download.open(member) as file:
                (block,) = read_blocks(file, member.source, 2, [0], ",")
            np.testing.assert_array_equal(block[:, 0], [int(member.groups[0])] * 3)
        assert members[0].source == str(tmp_path / "outer.zip" / "mid.zip" / "inner.zip" / "x" / "s1.txt")


def test_unpacked_files_go_before_packed_ones(tmp_path):
    (tmp_path / "s1.txt").write_text("1")
    (tmp_path / "more.zip").write_bytes(_zip({"s1.txt": "2", "s2.txt": "3"}))
    with Download(tmp_path) as download:
        assert [m.chain for m in download.find(r"s(\d)\.txt", "X", "s1.txt")] == [("s1.txt",)]
        every = download.find(r"s(\d)\.txt", "X", "s1.txt", every_level=True)
        assert [m.chain for m in every] == [("more.zip", "s2.txt"), ("s1.txt",)]


@pytest.mark.parametrize("name", ["../s1.txt", "/etc/s1.txt", "a/../../s1.txt", "C:/s1.txt", "..\\s1.txt"])
def test_names_that_lead_out_are_refused(tmp_path, name):
    (tmp_path / "evil.zip").write_bytes(_zip({name: "1"}))
    with Download(tmp_path) as download, pytest.raises(ValueError, match="leads out of the zip; do not trust"):
        download.find(r"s(\d)\.txt", "X", "s1.txt")


def test_damaged_locked_and_bottomless_zips_are_refused(tmp_path):
    good = _zip({"s1.txt": "1,2\n" * 5000})
    bottomless = good
    for _ in range(6):
        bottomless = _zip({"z.zip": bottomless})
    damaged = bytearray(good)
    damaged[60:70] = b"\xff" * 10
    for content, error, message in (
        (good[:-40], OSError, "x.zip: not a complete zip"),
        (bottomless, ValueError, "more than 4 zips within each other"),
        (_zip({"readme.txt": ""}), OSError, "no s1.txt found"),
        (bytes(damaged), OSError, "s1.txt: damaged in its zip"),
    ):
        (tmp_path / "x.zip").write_bytes(content)
        with Download(tmp_path) as download, pytest.raises(error, match=message):
            (member,) = download.find(r"s(1)\.txt", "X", "s1.txt")
            with download.open(member) as file:
                list(read_blocks(file, member.source, 2, [0], ","))
    (tmp_path / "x.zip").write_bytes(good[:100])
    with pytest.raises(OSError, match="neither a folder nor a complete zip"):
        Download(tmp_path / "x.zip")


def test_a_zip_that_unpacks_to_far_more_than_it_is_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ALWAYS", 1 << 16)
    much = bytes(1 << 21)  # packed to a thousandth
    for name, content, within in (
        ("one file", {"s1.txt": much}, "outer.zip"),
        ("many files", {f"s{n}.txt": much[: 1 << 15] for n in range(64)}, "outer.zip"),
        ("a zip in it", {"inner.zip": _zip({"s1.txt": much})}, "inner.zip"),
        ("a zip of zeros in it", {"inner.zip": _zip({"s1.txt": "1"}) + much, "s1.txt": "1"}, "outer.zip"),
    ):
        (tmp_path / "outer.zip").write_bytes(_zip(content))
        with (
            Download(tmp_path / "outer.zip") as download,
            pytest.raises(
                OSError, match=rf"{within}: would unpack to 2 MB.*; do not trust this file, or give it unpacked"
            ),
        ):
            download.find(r"s(\d+)\.txt", "X", name, archives="(outer|inner)", every_level=True)


def test_a_zip_in_a_zip_is_bounded_by_the_file_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ALWAYS", 1 << 16)
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as archive:  # large by zeros that the outer one packs
        archive.writestr("zeros", bytes(1 << 15))
        archive.writestr("s1.txt", bytes(1 << 21), zipfile.ZIP_DEFLATED)
    (tmp_path / "outer.zip").write_bytes(_zip({"inner.zip": (tmp_path / "inner.zip").read_bytes()}))
    assert len(Download(tmp_path / "inner.zip").find(r"s(\d+)\.txt", "X", "s1.txt")) == 1
    with Download(tmp_path / "outer.zip") as download, pytest.raises(OSError, match="would unpack to 2 MB"):
        download.find(r"s(\d+)\.txt", "X", "s1.txt")


def test_ordinary_text_is_within_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ALWAYS", 0)
    rng = np.random.default_rng(0)
    still = "".join(f"{n},0.01,9.81,{rng.normal():.1f},0.00,0.00\n" for n in range(20_000))
    (tmp_path / "outer.zip").write_bytes(_zip({"s1.txt": still}))
    with Download(tmp_path / "outer.zip") as download:
        (member,) = download.find(r"s(\d+)\.txt", "X", "s1.txt")
        with download.open(member) as file:
            assert file.read().decode() == still
