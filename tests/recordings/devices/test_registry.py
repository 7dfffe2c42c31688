"""A device's export is one new file, which reads, names and refuses like every other."""

import sys

import numpy as np
import pytest

from anymo_hf.recordings import devices
from anymo_hf.recordings.devices.device_format import DeviceFormat, ReadingOptions
from anymo_hf.recordings.devices.read_device import device_formats, read_device, recognise_device

TOY = '''"""Toy watch."""
import numpy as np

from .device_format import DeviceFormat, Samples


def read_toy(path, options):
    rows = [line.split() for line in path.read_text().splitlines()[1:]]
    if any(len(row) != 3 for row in rows):
        raise ValueError(f"{path}: a row without three axes; export it again")
    return Samples(np.array(rows, float) / 1000 * 9.80665, None, 25.0, "the toy's own", files=(path,))


FORMAT = DeviceFormat("toy_watch", "Toy watch", lambda path, lines: lines[:1] == ["TOY 25 Hz milli-g"], read_toy)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose files count as the package's own."""
    monkeypatch.setattr(devices, "__path__", [*devices.__path__, str(tmp_path)])
    yield tmp_path
    sys.modules.pop(f"{devices.__name__}.toy_watch", None)


def test_a_new_device_is_one_new_file(folder):
    file = folder / "export.log"
    file.write_text("TOY 25 Hz milli-g\n" + "0 0 1000\n" * 100)
    before = device_formats()
    (folder / "toy_watch.py").write_text(TOY)
    assert set(device_formats()) == {*before, "toy_watch"} and recognise_device(file).title == "Toy watch"
    recording = read_device(file, "left_wrist")
    assert recording.sampling_rate == 25.0 and list(recording.signals) == ["left_wrist"]
    np.testing.assert_allclose(recording.signals["left_wrist"], [[0, 0, 9.80665]] * 100)
    file.write_text("TOY 25 Hz milli-g\n0 0\n")
    with pytest.raises(ValueError, match=r"export\.log: a row without three axes; export it again"):
        read_device(file, "left_wrist")


@pytest.mark.parametrize("name", list(device_formats()))
def test_every_format_keeps_the_contract(name, tmp_path):
    known = device_formats()[name]
    assert isinstance(known, DeviceFormat) and known.name == name and known.title
    other = tmp_path / "other.bin"
    other.write_bytes(bytes(range(256)) * 8)
    if known.recognise(other, []):  # a general one may try what it cannot read
        with pytest.raises((ValueError, OSError), match=r"other\.bin"):
            known.read(other, ReadingOptions())
