"""EmbracePlus files in the published schemas, before and from version 6.5 on, and damaged ones."""

import numpy as np
import pytest
from support.device_files import SI, TURN
from support.embrace_plus_files import COUNT, START, write

from anymo_hf.recordings.devices.device_format import ReadingOptions
from anymo_hf.recordings.devices.export import read_export
from anymo_hf.recordings.devices.read_device import device_formats, first_lines

pytest.importorskip("fastavro")


@pytest.mark.parametrize("codec", ["null", "deflate"])
@pytest.mark.parametrize("minor", [3, 5])
def test_both_schemas_give_the_same_signal_in_si_units(tmp_path, minor, codec):
    path = write(tmp_path, minor, codec)
    takers = [f.name for f in device_formats().values() if f.recognise(path, first_lines(path)) and f.name != "table"]
    assert takers == ["embrace_plus"]
    for given in (path, tmp_path):  # the folder of one recording too
        export = read_export(given, "left_wrist")
        recording = export.only()
        assert export.device == "embrace_plus" and export.sampling_rate == 64 and not export.warnings
        assert recording.start_time == pytest.approx(1_700_000_000.25, abs=1e-3)
        np.testing.assert_allclose(recording.signals["left_wrist"], [[*SI, 0, 0, TURN]] * COUNT, atol=5e-3)


def test_without_a_gyroscope_three_columns_are_read_and_it_is_said(tmp_path):
    export = read_export(write(tmp_path, count=0, rate=0.0), "left_wrist")
    signal = export.only().signals["left_wrist"]
    assert signal.shape == (COUNT, 3) and any("no gyroscope" in note for note in export.notes)
    np.testing.assert_allclose(signal, [SI] * COUNT, atol=5e-3)


def test_a_gyroscope_of_another_clock_is_joined_by_it(tmp_path):
    export = read_export(write(tmp_path, count=320, rate=32.0, start=START + 1_000_000), "left_wrist")
    (part,) = export.stretches
    signal = part.signals["left_wrist"]
    # it begins a second late and lasts longer than the acceleration
    assert len(signal) == pytest.approx(9 * 64, abs=6) and part.start_time == pytest.approx(1_700_000_001.25, abs=0.06)
    np.testing.assert_allclose(signal[:, 3:], [[0, 0, TURN]] * len(signal), atol=1e-3)


def test_what_is_said_overrules_the_file(tmp_path):
    options = ReadingOptions(rate=32, angular_velocity_unit="rad/s")
    export = read_export(write(tmp_path), "left_wrist", options=options)
    assert export.sampling_rate == 32
    np.testing.assert_allclose(export.only().signals["left_wrist"][:, 5], 90, atol=0.05)


def test_damaged_files_are_refused_by_name(tmp_path):
    path = write(tmp_path, codec="deflate")
    whole = path.read_bytes()
    for broken in (whole[:-30], whole[:-40] + bytes(8) + whole[-32:], whole[:-8] + bytes(8)):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"1-1-A_1700000000\.avro: damaged Avro file .*download it"):
            read_export(path)
    with pytest.raises(ValueError, match="holds 2 records where the EmbracePlus writes one"):
        read_export(write(tmp_path, records=2))


def test_the_files_of_a_day_are_joined_by_their_clocks(tmp_path):
    day = tmp_path / "1-1-A" / "raw_data"
    day.mkdir(parents=True)
    length = COUNT * 1_000_000 // 64
    # the third begins five samples late, the fourth two minutes
    starts = [0, length - 4_000, 2 * length + 78_125, 3 * length + 120_000_000]
    for late in starts[::-1]:
        write(day, late=late)
    export = read_export(tmp_path, "left_wrist")
    assert export.rows == 4 * COUNT and len(export.files) == 4 and export.columns[3] == "gyroscope x"
    assert any("4 files were joined" in note for note in export.notes)
    assert [gap.bridged for gap in export.gaps] == [True, False] and export.gaps[0].lost == 5
    assert export.gaps[1].seconds == pytest.approx(120, abs=0.1)
    first, second = export.stretches
    assert len(first.signals["left_wrist"]) == 3 * COUNT + 5 and len(second.signals["left_wrist"]) == COUNT
    assert second.start_time - first.start_time == pytest.approx(starts[3] / 1e6, abs=0.02)
    np.testing.assert_allclose(first.signals["left_wrist"], [[*SI, 0, 0, TURN]] * (3 * COUNT + 5), atol=5e-3)


def test_files_of_a_day_without_a_gyroscope_or_a_signal_are_said(tmp_path):
    write(tmp_path)
    write(tmp_path, late=10_000_000, count=0, rate=0.0)
    write(tmp_path, late=20_000_000, worn=False)
    export = read_export(tmp_path, "left_wrist")
    signal = export.only().signals["left_wrist"]
    np.testing.assert_allclose(signal[:, 5], [TURN] * COUNT + [0] * COUNT, atol=1e-3)
    notes = " ".join(export.notes)
    assert (
        "1-1-A_1700000010.avro holds no gyroscope" in notes and "1-1-A_1700000020.avro holds no acceleration" in notes
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"late": 10_000_000, "watch": "3YK1111111"},
            "files of two watches, .*0.avro of 3YK0000000 and .*of 3YK1111111",
        ),
        ({"late": 4_000_000}, r"1700000004.avro: begins 5.984 s before the file before it ends"),
    ],
)
def test_files_that_are_no_one_day_are_refused(tmp_path, other, message):
    write(tmp_path)
    write(tmp_path, **other)
    with pytest.raises(ValueError, match=message):
        read_export(tmp_path)


def test_a_foreign_file_between_them_is_named(tmp_path):
    write(tmp_path)
    (tmp_path / "2.avro").write_bytes(b"Obj\x01 of another program")
    with pytest.raises(ValueError, match=r"2.avro: no"):
        read_export(tmp_path)
