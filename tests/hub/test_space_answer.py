"""What the page answers: the same as the commands, the reader's own sentence for a bad file, and nothing left behind."""

import io
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from support.few_activities import FEW_ACTIVITIES

from anymo_hf.cli.reading import summary_lines
from anymo_hf.hub import space_answer
from anymo_hf.hub.space_answer import (
    FIELDS,
    SpaceModel,
    Upload,
    answer_upload,
    in_page_words,
    phone_upload,
    read_upload,
    reading_options,
    split_labels,
)
from anymo_hf.hub.space_app import answer_parts
from anymo_hf.recordings.devices.device_format import ReadingOptions
from anymo_hf.recordings.devices.export import read_export
from anymo_hf.systems import known_motions
from anymo_hf.systems.known_motions import nearest_motions
from anymo_hf.systems.recognizer import recognize

WALK = Path(__file__).parents[1] / "data" / "walk_left_wrist.csv"
WITHOUT_TIMES = b"\n".join(b",".join(row.split(b",")[:6]) for row in WALK.read_bytes().splitlines())
UPLOAD = Upload(WALK.name, WALK.read_bytes(), reading_options(rate=104))


def _zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("walk.csv", UPLOAD.content)
    return packed.getvalue()


ZIP = _zip()


@pytest.fixture(scope="module")
def space(tiny_release):
    return SpaceModel(str(tiny_release))


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder in which temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_answer_is_that_of_the_commands(space):
    answer = answer_upload(space, UPLOAD, "left_wrist", ["walking", "sitting"])
    export = read_export(WALK, "left_wrist", options=UPLOAD.options)
    seen = []
    entries = list(recognize(space.recognizer(["walking", "sitting"], False), export.stretches, seen=seen.append))
    assert answer.entries == entries and len(seen) == 2
    assert [line.split(None, 1)[0] for line in summary_lines(export)[1:]] == [
        name.split()[0] for name, _ in answer.report
    ]
    signal = export.stretches[0].signals["left_wrist"]
    np.testing.assert_allclose(answer.acceleration, np.linalg.norm(signal[:, :3], axis=1))
    main = ["walking", "sitting"].index(max(answer.seconds, key=answer.seconds.get))
    best = max(seen, key=lambda one: one.scores[main])
    assert (answer.window.start, answer.window.end) == (best.start, best.end)
    first, last = round(best.start * 104), round(best.end * 104)
    codes, _ = space.loaded[1].windows({"left_wrist": signal[first:last]}, sampling_rate=104)
    np.testing.assert_array_equal(answer.window.codes, codes[0][0])


def test_near_motions_are_those_of_the_library_made_anew(space, monkeypatch):
    monkeypatch.setattr(known_motions, "ACTIVITIES", FEW_ACTIVITIES)
    embedding = answer_upload(space, UPLOAD, "left_wrist").window.embedding
    (anew,) = nearest_motions(*space.loaded, embedding[None], [13], 5, (0,))
    assert space.nearest("left_wrist", embedding) == anew == space.nearest("left_forearm", embedding)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("notes.csv", b"hello\nworld\n", "no row of three numbers"),
        ("nothing.csv", b"", "the file is empty"),
        ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(200), "no known export"),
        ("half.zip", b"PK\x03\x04" + bytes(50), ""),
        ("list.zip", ZIP.replace(b"PK\x01\x02", b"PK\x01\x00"), "export it again"),
        (WALK.name, WITHOUT_TIMES, "“Samples per second”"),
        ("../../away.csv", b"hello\nworld\n", "away.csv: no row"),
        ("short.csv", b"t,ax,ay,az\n0,0,0,9.8\n0.1,0,0,9.8\n0.2,0,0,9.8\n", "one second"),
    ],
)
def test_a_bad_file_gives_the_readers_sentence_and_leaves_nothing(space, temporary, name, content, says):
    (parts,) = answer_parts(space, Upload(name, content), "left_wrist", "", False)
    assert "anymo-refusal" in parts[0] and not parts[1] and not parts[2]
    assert says in parts[0] and Path(name).name in parts[0]
    assert str(temporary) not in parts[0] and "Traceback" not in parts[0] and "=" not in parts[0].split(">", 2)[2]
    assert not list(temporary.iterdir())


def test_a_good_file_leaves_nothing(temporary):
    export = read_upload(replace(UPLOAD, name="walk.zip", content=ZIP), "left_wrist")
    assert export.samples == read_upload(UPLOAD, "left_wrist").samples
    assert not list(temporary.iterdir())


def test_large_files_and_zips_that_grow_are_refused(monkeypatch):
    monkeypatch.setattr(space_answer, "LARGEST_FILE", len(UPLOAD.content) - 1)
    with pytest.raises(ValueError, match="are over 0 MB"):
        read_upload(UPLOAD, "left_wrist")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("walk.csv", b"0,0,9.81\n" * 200_000)
    monkeypatch.setattr(space_answer, "LARGEST_UNPACKED", 1 << 20)
    with pytest.raises(ValueError, match=r"^walk\.zip: unpacks to over 1 MB"):
        read_upload(Upload("walk.zip", packed.getvalue()), "left_wrist")


def test_a_long_recording_is_answered_to_the_limit(space, monkeypatch):
    monkeypatch.setattr(space_answer, "MOST_SECONDS", 6.0)
    answer = answer_upload(space, UPLOAD, "left_wrist", ["walking", "sitting"])
    assert answer.entries[-1].end == pytest.approx(6.0) and len(answer.acceleration) == 6 * 104
    assert "the first 0.1 minutes" in answer.report[-1][1]


def test_a_phone_gives_degrees_and_the_page_reads_radians(space):
    times = np.arange(300) / 60
    rows = np.column_stack([times, np.tile([0.5, 0.0, 9.8], (300, 1)), np.tile([90.0, 0.0, -180.0], (300, 1))])
    export = read_upload(phone_upload(rows.tolist()), "right_pocket")
    signal = export.stretches[0].signals["right_pocket"]
    np.testing.assert_allclose(signal.mean(axis=0), [0.5, 0, 9.8, np.pi / 2, 0, -np.pi], atol=1e-4)
    assert export.sampling_rate == pytest.approx(60, rel=1e-3)
    without = read_upload(phone_upload(rows[:, :4].tolist()), "right_pocket")
    assert without.stretches[0].signals["right_pocket"].shape[1] == 3
    for nothing in ([], [[0, 1, 2]], [[0, 0, 0, 9.8]]):
        with pytest.raises(ValueError, match="gave no motion"):
            phone_upload(nothing)


def test_two_at_once_get_their_own_answers(space):
    half = replace(UPLOAD, name="half.csv", content=b"\n".join(UPLOAD.content.splitlines()[:600]))
    asked = [(UPLOAD, "left_wrist", ["walking", "sitting"]), (half, "right_pocket", ["lying", "running", "eating"])] * 4
    alone = [answer_upload(space, *one) for one in asked[:2]]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: answer_upload(space, *one), asked))
    for place, answer in enumerate(together):
        same = alone[place % 2]
        assert (answer.title, answer.entries, answer.scores) == (same.title, same.entries, same.scores)
        np.testing.assert_array_equal(answer.window.codes, same.window.codes)
    assert alone[0].scores.keys() != alone[1].scores.keys()


def test_words_of_users_and_files_are_escaped(space):
    upload = replace(UPLOAD, name="<img src=x>.csv")
    report, answer, _ = next(answer_parts(space, upload, "left_wrist", "<script>alert(1)</script>, walking", False))
    assert "<img src=x>" not in report and "&lt;img src=x&gt;.csv" in report
    assert "<script" not in answer and "&lt;script&gt;" in answer


def test_labels_and_fields():
    assert split_labels(" walking ,sitting;  climbing  stairs\nwalking") == ["walking", "sitting", "climbing stairs"]
    assert split_labels("") is split_labels(None) is split_labels(" , ") is None
    with pytest.raises(ValueError, match="at most 40"):
        split_labels(",".join(f"a{n}" for n in range(41)))
    with pytest.raises(ValueError, match="fewer words"):
        split_labels("a" * 81)
    with pytest.raises(ValueError, match="Samples per second"):
        reading_options(rate=2)
    assert reading_options(None, "", "", " ax, ay ,az").columns == ["ax", "ay", "az"]
    assert in_page_words("give rate=50 or header_row=") == "give “Samples per second” 50 or “Line of the column names”"


def test_every_reading_option_has_a_field_of_its_name():
    assert set(FIELDS) == {field.name for field in fields(ReadingOptions)} == set(signature(reading_options).parameters)
    said = reading_options(50, "g", "deg/s", "ax,ay,az", " when ", 0, "semicolon", ",", "no")
    assert said == ReadingOptions(["ax", "ay", "az"], "g", "deg/s", 50, "when", 0, "semicolon", ",", False)
    assert reading_options(None, "", "", "", "", None, "", "", "") == ReadingOptions()
    with pytest.raises(ValueError, match="Line of the column names.* whole number, got 1.5"):
        reading_options(header_row=1.5)


def test_a_table_laid_out_in_another_way_is_read_by_its_fields(space):
    rows = [line.split(",")[:6] for line in WALK.read_text().splitlines()[1:]]
    text = "left;right\n" + "\n".join(";".join(row).replace(".", ",") for row in rows)
    upload = Upload("other.csv", text.encode())
    said = (104, "", "", "1,2,3,4,5,6", "", 0, "semicolon", ",", "")
    report, answer, _ = next(answer_parts(space, upload, "left_wrist", "", False, *said))
    assert "104 Hz" in report and "anymo-bar" in answer
    found = answer_upload(space, replace(upload, options=reading_options(*said)), "left_wrist")
    assert found.scores == answer_upload(space, UPLOAD, "left_wrist").scores
    report, answer, _ = next(answer_parts(space, upload, "left_wrist", "", False, None, "", "", "", "", 999))
    assert "“Line of the column names” must lie between" in report and not answer


def test_fields_count_instead_of_what_came_with_the_file(space):
    parts = next(
        answer_parts(space, replace(UPLOAD, options=reading_options()), "left_wrist", "", False, 104, "", "", "")
    )
    assert "8.6 s" in parts[0] and "anymo-bar" in parts[1]
