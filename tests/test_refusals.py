"""Whatever a library says of a damaged file becomes one sentence with the file and the mend."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.motion.read_motion import read_motion
from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.recordings.devices.export import read_export
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.refusals import in_words, parse_json, refusing
from anymo_hf.simulation.archive.manifest import ShardEntry
from anymo_hf.simulation.archive.reader import check_file


@pytest.mark.parametrize(
    ("go_wrong", "kind", "said"),
    [
        (lambda: json.loads("{"), ValueError, "JSONDecodeError: Expecting property name"),
        (lambda: b"\xff".decode(), ValueError, "UnicodeDecodeError"),
        (lambda: float("x"), ValueError, "could not convert string to float"),
        (lambda: {}["field"], ValueError, "KeyError: 'field'"),
        (lambda: [][3], ValueError, "IndexError"),
        (lambda: pd.to_datetime("noon o'clock"), ValueError, "Parse"),
        (lambda: Path("/missing/file").read_bytes(), OSError, "FileNotFoundError"),
        (lambda: np.zeros((1 << 40, 1 << 10)), OSError, "more memory than there is"),
        (lambda: (_ for _ in ()).throw(RecursionError("too deep")), ValueError, "RecursionError: too deep"),
    ],
)
def test_a_librarys_error_names_the_file_and_the_mend(go_wrong, kind, said):
    with pytest.raises(kind) as caught, refusing("walks/a.csv", "table", "write it again"):
        go_wrong()
    message = str(caught.value)
    assert message.startswith("walks/a.csv: ") and message.endswith("; write it again") and said in message
    assert type(caught.value) in (ValueError, OSError) and caught.value.__cause__ is not None


def test_a_readers_own_sentence_passes_and_an_endless_one_is_shortened(tmp_path):
    path = tmp_path / "a.bvh"
    path.write_text("HIERARCHY\nROOT Hips\n{\n")
    with pytest.raises(ValueError) as caught:
        read_motion(path)
    assert str(caught.value).count(str(path)) == 1 and ";" in str(caught.value)
    path.write_text("HIERARCHY\nROOT Hips\n{\nOFFSET " + "9" * 100_000 + "x 0 0\n}\n")
    with pytest.raises(ValueError) as caught:
        read_motion(path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 700


def test_a_path_that_the_system_refuses_is_said_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    for act, said in (
        (lambda: (tmp_path / "none").read_text(), "none: no such file or folder; check the path"),
        (lambda: (tmp_path / "file").mkdir(), "file: a file stands where a folder is needed; give another path"),
        (
            lambda: (tmp_path / "file" / "x").write_text(""),
            "x: a file stands where a folder is needed; give another path",
        ),
        (
            lambda: tmp_path.write_text(""),
            f"{tmp_path.name}: a folder stands where a file is needed; give another path",
        ),
    ):
        with pytest.raises(OSError) as caught:
            act()
        assert in_words(caught.value).endswith(said)
    assert (
        in_words(OSError("a sentence; and its mend")) == "a sentence; and its mend" and in_words(ValueError("x")) == "x"
    )


def test_a_missing_package_is_still_an_import_error():
    with pytest.raises(ImportError), refusing("a.vrs", "VRS file"):
        raise ImportError("pip install vrs")


@pytest.mark.parametrize("value", [1e7, -1e300])
def test_numbers_that_no_sensor_reads_and_no_body_reaches_are_refused(value):
    signal = np.tile([0, 0, 9.8, 0, 0, 0.0], (20, 1))
    signal[7, 2] = value
    with pytest.raises(ValueError, match=r"walk\.csv.*'wrist' reaches .*which no sensor reads; remove those samples"):
        ImuRecording({"wrist": signal}, 50, source="walk.csv")
    positions = np.zeros((3, 23, 3))
    positions[1, 4, 0] = value
    with pytest.raises(ValueError, match="positions reach .* m; check the unit"):
        BodyMotion(60, positions, np.tile([1.0, 0, 0, 0], (3, 23, 1)))


def test_one_huge_cell_of_a_table_is_refused_by_its_file(tmp_path):
    rows = [f"{n / 50:.2f},0.1,0.2,9.8" for n in range(120)]
    rows[60] = "1.20,0.1,1e308,9.8"
    (tmp_path / "walk.csv").write_text("time (s),acc_x,acc_y,acc_z\n" + "\n".join(rows) + "\n")
    with pytest.raises(ValueError, match=r"walk\.csv.* which no sensor reads"):
        read_export(tmp_path / "walk.csv")


def test_every_datasets_copy_is_guarded(tmp_path):
    (tmp_path / "x").mkdir()
    for dataset in DATASETS.values():
        with pytest.raises((OSError, ValueError)) as caught:
            list(dataset.parse(tmp_path / "x"))
        assert str(tmp_path) in str(caught.value) and ";" in str(caught.value)
        assert getattr(caught.value, "errno", None) is None


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no endless device here")
def test_a_link_to_a_device_or_a_pipe_is_refused_before_it_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.bvh")
    os.symlink("/dev/zero", tmp_path / "endless.bvh")
    for path in (tmp_path / "pipe.bvh", tmp_path / "endless.bvh"):
        with pytest.raises(OSError, match=f"{path.name}: a device or a pipe, no file; give a file"):
            read_motion(path)
        with pytest.raises(OSError, match="give a file"), refusing(path, "thing"):
            path.read_bytes()


def test_a_link_to_itself_is_refused_in_words(tmp_path):
    os.symlink("walk.bvh", tmp_path / "walk.bvh")
    with pytest.raises(OSError, match=r"walk\.bvh.*;"):
        read_motion(tmp_path / "walk.bvh")


def test_a_name_in_a_manifest_that_no_disk_takes_is_refused_in_words(tmp_path):
    with pytest.raises(
        OSError, match="not a readable file of an archive .*; run the same `anymo simulate` again"
    ) as caught:
        check_file(tmp_path, ShardEntry("x" * 10_000, "0" * 64, 3))
    assert caught.value.errno is None and len(str(caught.value)) < 700
    with pytest.raises(OSError, match=r"walk\.safetensors is missing; run the same"):
        check_file(tmp_path, ShardEntry("walk.safetensors", "0" * 64, 3))


def test_json_that_is_nested_too_deep_is_damage_as_any_other():
    assert parse_json(b'{"a": [1]}') == {"a": [1]}
    for text in ("[" * 100_000, '{"a":' * 100_000, "{"):
        with pytest.raises(json.JSONDecodeError):
            parse_json(text)
