"""Binary files of actigraphs, written sample by sample from the published layouts, and damaged copies of each."""

import os
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.binary_device_files import BINARY_FILES, cwa, geneactiv, gt3x
from support.device_files import X, Y, Z

from anymo_hf.recordings.devices.device_format import ReadingOptions
from anymo_hf.recordings.devices.export import read_export
from anymo_hf.recordings.devices.read_device import device_formats, first_lines

pytest.importorskip("actfast")


@pytest.mark.parametrize("name", BINARY_FILES)
def test_a_binary_file_is_recognised_and_read(tmp_path, name):
    known = BINARY_FILES[name]
    path = known.write(tmp_path)
    takers = [f.name for f in device_formats().values() if f.recognise(path, first_lines(path)) and f.name != "table"]
    assert takers == [known.format]
    export = read_export(path, "waist")
    signal = export.only().signals["waist"]
    assert export.device == known.format and export.sampling_rate == pytest.approx(known.rate, rel=2e-3)
    assert signal.shape == (known.count, 6 if known.turns else 3) and not export.gaps and not export.warnings
    np.testing.assert_allclose(signal[:, :3], np.tile([X, Y, Z], (len(signal), 1)), atol=known.tolerance)
    if known.turns:
        np.testing.assert_allclose(signal[:, 3:], np.tile([0, 0, np.pi / 2], (len(signal), 1)), atol=1e-3)
    assert read_export(path, "waist", options=ReadingOptions(rate=20)).sampling_rate == 20


@pytest.mark.parametrize("name", BINARY_FILES)
def test_a_damaged_binary_file_is_refused(tmp_path, name):
    path = BINARY_FILES[name].write(tmp_path)
    whole = path.read_bytes()
    place = {"axivity_cwa": 1024 + 100, "actigraph_gt3x": len(whole) // 2, "geneactiv_bin": 3000}[name]
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x99]) + whole[place + 1 :])
    with pytest.raises((ValueError, OSError), match="damaged"):
        read_export(path)


def test_a_panic_of_the_library_is_a_refusal(tmp_path):
    path = geneactiv(tmp_path)
    text = path.read_bytes()
    place = text.rindex(b"F4014")
    path.write_bytes(text[:place] + "\u0663".encode() + text[place + 2 :])  # a letter of two bytes amid hexadecimals
    with pytest.raises(
        ValueError, match=r"\.bin: damaged .* file \(.*char boundary.*; download it from the device again"
    ):
        read_export(path)


def test_a_file_that_ends_early_says_so(tmp_path):
    for write, cut in ((cwa, 200), (geneactiv, 400)):
        path = write(tmp_path)
        path.write_bytes(path.read_bytes()[:-cut])
        assert any("cut off" in said for said in read_export(path).warnings)
    path = gt3x(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(OSError, match="download it from the device again"):
        read_export(path)


def test_a_lost_block_is_a_gap(tmp_path):
    export = read_export(cwa(tmp_path, blocks=6, skip=3))
    (gap,) = export.gaps
    assert gap.lost == pytest.approx(40, abs=1) and gap.bridged and export.samples == pytest.approx(240, abs=1)


@pytest.mark.parametrize("said", ["Last Sample Time: 637443053030000000", "Last Sample Time: soon", ""])
def test_times_in_the_head_of_a_gt3x_file_do_not_decide_how_much_memory_is_taken(tmp_path, said):
    path = gt3x(tmp_path)
    sound = read_export(path).only()
    with zipfile.ZipFile(path) as archive:
        info, log = archive.read("info.txt").decode(), archive.read("log.bin")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("info.txt", info.replace("Last Sample Time: 637433053030000000", said))
        archive.writestr("log.bin", log)
    child = os.fork()  # where memory lacks, the compiled reader ends the process
    if not child:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 29),) * 2)
        same = np.array_equal(read_export(path).only().signals["sensor"], sound.signals["sensor"])
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("rate", ["0", "2147483648"])
def test_a_gt3x_file_of_an_impossible_rate_is_refused(tmp_path, rate):
    path = gt3x(tmp_path)
    with zipfile.ZipFile(path) as archive:
        info, log = archive.read("info.txt").decode(), archive.read("log.bin")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("info.txt", info.replace("Sample Rate: 30", f"Sample Rate: {rate}"))
        archive.writestr("log.bin", log)
    with pytest.raises(OSError, match="says 0 Hz or over 1000; download it from the device again"):
        read_export(path)
