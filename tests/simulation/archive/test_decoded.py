"""Decoded terms: those of the shard wherever they are cut, made once, and made again where the shard or the file changed."""

import copy

import numpy as np
import pytest
import torch

from anymo_hf.simulation.archive import Archive, DecodedTerms, decode_archive, simulate_archive, verify_archive
from anymo_hf.simulation.archive import decoded as decoded_module


@pytest.fixture
def archive(tmp_path):
    simulate_archive(tmp_path / "a", procedural=1, seconds=21.0, activities=["walking", "jumping"], progress=False)
    return Archive(tmp_path / "a")


def half(terms):
    return torch.from_numpy(np.float16(terms.transpose(1, 2, 0)))


def test_terms_are_those_of_the_shard_wherever_they_are_cut(archive):
    terms, name = DecodedTerms(archive), "procedural/walking-0"
    for start, stop in [(0, 1260), (590, 610), (600, 1200), (1190, 1260), (7, 8)]:
        assert torch.equal(terms.read(name, start, stop), half(archive.shard(name).terms(start, stop)))
    with pytest.raises(ValueError, match=r"has frames 0\.\.1260, asked for 1200\.\.1261"):
        terms.read(name, 1200, 1261)
    with pytest.raises(ValueError, match="no recording 'x'"):
        terms.read("x", 0, 1)
    assert verify_archive(archive.folder) == []  # what is decoded can be deleted, it is no part of the archive


def test_a_recording_is_decoded_once(archive, monkeypatch):
    decode_archive(archive, progress=False)
    monkeypatch.setattr(decoded_module, "Shard", None)
    one = DecodedTerms(archive, mapped=1)
    first = one.read("procedural/walking-0", 0, 9).clone()
    one.read("procedural/jumping-0", 0, 9)  # takes its place
    other = copy.deepcopy(one)  # as a DataLoader sends it: through its state
    assert torch.equal(other.read("procedural/walking-0", 0, 9), first)


def test_another_motion_under_the_same_name_is_decoded_anew(archive):
    name = "procedural/walking-0"
    before = DecodedTerms(archive).read(name, 0, 100).clone()
    simulate_archive(archive.folder, procedural=1, seconds=12.0, activities=["walking", "jumping"], progress=False)
    again = Archive(archive.folder)
    after = DecodedTerms(again).read(name, 0, 100)
    assert torch.equal(after, half(again.shard(name).terms(0, 100))) and not torch.equal(before, after)
    decode_archive(again, progress=False)
    assert len(list((archive.folder / "decoded").iterdir())) == 2  # the old ones are gone


def test_half_a_file_is_written_anew_and_a_damaged_shard_is_never_decoded(archive):
    decode_archive(archive, progress=False)
    for path in (archive.folder / "decoded").iterdir():
        path.write_bytes(path.read_bytes()[:-2])
    name = "procedural/walking-0"
    assert torch.equal(DecodedTerms(archive).read(name, 600, 1260), half(archive.shard(name).terms(600, 1260)))
    shard = archive.folder / "recordings" / "procedural" / "jumping-0.parquet"
    shard.write_bytes(shard.read_bytes() + b"x")
    with pytest.raises(OSError, match=r"jumping-0\.parquet is cut off or altered"):
        DecodedTerms(archive).read("procedural/jumping-0", 0, 9)


def test_where_nothing_can_be_written_terms_are_kept_in_memory(archive):
    (archive.folder / "decoded").write_text("a file where the folder would be")
    name = "procedural/walking-0"
    assert torch.equal(DecodedTerms(archive).read(name, 0, 50), half(archive.shard(name).terms(0, 50)))
