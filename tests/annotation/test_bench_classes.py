"""Fine150 and Core50 against the paper's numbers, and the import of official files."""

import csv
import itertools
import json

import pytest
from typer.testing import CliRunner

from anymo_hf.annotation import bench_classes
from anymo_hf.annotation.bench_classes import (
    EXCLUDED_LABELS,
    OFFICIAL_CONFIGS,
    check_constraints,
    core50_reasons,
    fine150_choices,
    label_space,
    read_label_space,
    read_members,
    removed_labels,
    space_of,
)
from anymo_hf.cli.bench import app
from anymo_hf.motion.activity_labels import anymo180


def sizes(space):
    counts = anymo180()
    total = dict.fromkeys(space.labels, 0)
    for label, name in space.members.items():
        total[name] += counts[label]
    return sorted(total.values())


def test_fine150_has_every_published_number():
    found = sizes(label_space("fine150"))
    assert (len(found), sum(found), found[0], found[-1]) == (150, 154_695, 47, 19_696)
    assert (found[74] + found[75]) / 2 == 411 and round(sum(found) / 150, 1) == 1031.3
    assert not set(EXCLUDED_LABELS) & set(label_space("fine150").labels)


def test_core50_has_every_published_number():
    space = label_space("core50")
    found = sizes(space)
    assert (len(found), sum(found), found[0], found[-1]) == (50, 154_695, 72, 19_696)
    assert (found[24] + found[25]) / 2 == 1921 and round(sum(found) / 50, 1) == 3093.9
    assert set(space.members) == set(label_space("fine150").labels)
    assert list(space.labels) == list(core50_reasons())


def test_every_decision_has_a_reason():
    removed = removed_labels()
    assert len(removed) == 30 and all(removed.values()) and all(core50_reasons().values())
    assert set(removed) | set(label_space("fine150").labels) == set(anymo180())
    assert {label for label, count in anymo180().items() if count < 47} <= set(removed)


def test_what_needs_the_data_is_not_claimed():
    found = {row.name: row for row in check_constraints()}
    assert {row.holds for row in found.values()} == {True, None}
    assert found["Hours"].holds is None and "needs Nymeria" in found["Hours"].note
    assert found["Fine150 median class"].ours == 411


def test_broken_space_is_told():
    fine = label_space("fine150")
    labels = (*fine.labels[:-1], "sit-ups")
    wrong = bench_classes.LabelSpace("fine150", labels, {label: label for label in labels})
    failed = {row.name for row in check_constraints(wrong) if row.holds is False}
    assert {"Fine150 windows", "Fine150 smallest class", "Excluded labels left in Fine150"} <= failed


def test_choices_are_counted_as_by_hand():
    few = bench_classes._subsets([3, 5, 7, 7], 2)
    pairs = [sum(pair) for pair in itertools.combinations([3, 5, 7, 7], 2)]
    assert few == {total: pairs.count(total) for total in pairs}
    assert fine150_choices() > 1


def test_official_config_names():
    assert [space_of(name) for name in OFFICIAL_CONFIGS] == ["fine150", "fine150", "core50", "core50"]
    with pytest.raises(ValueError, match="config must be one of fine150, core50, AnyMo-Bench-150-US"):
        space_of("fine151")


def write_official(path, labels):
    path.write_text(json.dumps([{"label_id": n, "label": label} for n, label in enumerate(labels)]))
    return path


def test_official_files_are_read(tmp_path):
    fine = read_label_space(write_official(tmp_path / "f.json", ["walking / hiking", "lying"]), "fine150")
    assert fine.labels == ("walking / hiking", "lying") and fine.class_of("sitting") is None
    table = tmp_path / "counts.csv"
    with table.open("w", newline="") as file:
        rows = [["activity_label", "count"], ["lying", 3], ["sit-ups", 2], ["sitting", 1]]
        csv.writer(file).writerows(rows)
    assert read_label_space(table, "fine150").labels == ("lying", "sitting")  # the excluded ones are named there too
    path = write_official(tmp_path / "c.json", ["moving", "resting"])
    with pytest.raises(ValueError, match="superclass_50_label"):
        read_label_space(path, "core50").class_of("lying")
    assert read_label_space(path, "core50").class_of("lying", "resting") == "resting"
    annotations = tmp_path / "anymo_annotations.csv"
    with annotations.open("w", newline="") as file:
        rows = [["activity_label", "superclass_50_label"], ["lying", "resting"], ["running", "moving"], ["", ""]]
        csv.writer(file).writerows(rows)
    core = read_label_space(path, "core50", read_members(annotations))
    assert core.class_of("running") == "moving" and core.class_of("biking outdoors") is None
    assert {row.holds for row in check_constraints(fine) if row.name.startswith("Fine150")} <= {True, False}


def test_bad_files_are_refused(tmp_path):
    path = tmp_path / "x.json"
    for content, words in (
        ("{", "must be a JSON list"),
        (json.dumps([{"label_id": 1, "label": "lying"}]), "must count from 0"),
        (json.dumps([{"label_id": 0, "label": "flying"}]), "'flying' is not a label of AnyMo-180"),
        (json.dumps([{"label_id": 0, "label": "lying"}, {"label_id": 1, "label": "lying"}]), "every class once"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=words):
            read_label_space(path, "fine150")
    table = tmp_path / "a.csv"
    table.write_text("activity_label,superclass_50_label\nlying,a\nlying,b\n")
    with pytest.raises(ValueError, match="'lying' belongs to 'a' and to 'b'"):
        read_members(table)


def test_command_prints_what_holds(tmp_path):
    result = CliRunner().invoke(app, ["labels"])
    assert result.exit_code == 0, result.output
    assert "Core50 median class: 1,921 here, 1,921 in the paper, holds" in result.output
    assert "Hours: 211.6 in the paper, cannot be told" in result.output
    assert "playing toy: " in result.output and "walking while drinking (" in result.output
    path = write_official(tmp_path / "f.json", ["lying"])
    rows = json.loads(CliRunner().invoke(app, ["labels", "--fine150", str(path), "--json"]).stdout)
    assert rows[0] == {"name": "Fine150 classes", "published": 150, "ours": 1, "holds": False, "note": ""}
