"""The paper's numbers agree with what the paper says of them elsewhere."""

import numpy as np
import pytest

from anymo_hf.evaluation.ablations import PROMPTS, VARIANTS
from anymo_hf.evaluation.paper_results import paper_columns, paper_results
from anymo_hf.modeling.body_segments import SEGMENTS
from anymo_hf.recordings.catalogue import DATASETS


def test_recognition_averages_are_those_printed():
    table = paper_results("recognition")
    averages = table.pop("average")
    assert len(table) == 14 and set(table) <= set(DATASETS) and len(averages) == 9
    for system, printed in averages.items():
        mean = np.mean([row[system] for row in table.values()], axis=0)
        np.testing.assert_allclose(mean, printed, atol=0.11, err_msg=system)
    assert averages["AnyMo"] == (35.7, 29.5, 57.5)


def test_retrieval_grows_with_the_number_of_candidates_looked_at():
    table = paper_results("retrieval")
    assert len(table) == 8
    for setting, row in table.items():
        assert ("GPT-5.4 Mini" in row) == ("100 samples, imu_to_text" in setting)
        for system, (first, five, ten, mrr) in row.items():
            assert first <= five <= ten and first <= mrr <= 100, (setting, system)
    assert table["nymeria, 100 samples, imu_to_text"]["AnyMo"][3] == 44.6  # section 4.2


def test_captioning_holds_what_the_text_quotes():
    table = paper_results("captioning")
    assert set(table) == {"nymeria", "ego_exo4d"} and all(len(row) == 3 for row in table.values())
    ours, theirs = table["nymeria"]["AnyMo"], table["nymeria"]["GPT-5.4 Mini"]
    assert (ours[2], theirs[2], ours[4], theirs[4]) == (31.1, 15.7, 69.7, 57.3)
    assert table["ego_exo4d"]["AnyMo"] == (20.7, 0.4, 19.7, 30.3, 67.1)


def segment(words):
    """Our name of a segment in the paper's words: "Left Upper Arm" is L_UpperArm."""
    side, *rest = words.split()
    return f"{side[0]}_{''.join(rest)}" if rest else side


def test_every_row_has_the_columns_that_are_declared():
    for task in ("recognition", "retrieval", "captioning", "ablations", "surface_vertices", "tokenizer", "label_counts",
                 "bench", "prompts"):  # fmt: skip
        for group, rows in paper_results(task).items():
            for name, values in rows.items():
                assert len(values) == len(paper_columns(task)), (task, group, name)
                assert all(isinstance(value, int | float) for value in values), (task, group, name)


def test_ablations_fall_by_what_section_4_2_says():
    rows, full = paper_results("ablations")["average"], paper_results("recognition")["average"]["AnyMo"]
    assert rows["AnyMo"] == full and rows["w/o geometry-aware simulation"] == (8.4, 3.8, 16.3)
    assert rows["w/o all contrastive"] == (23.5, 15.8, 40.3) and rows["w/o MCQ instruction tuning"] == (
        36.0,
        29.4,
        54.6,
    )
    assert min(rows.values()) == rows["w/o geometry-aware simulation"]  # "the largest degradation"
    assert {variant.title for variant in VARIANTS.values()} == set(rows)


def test_prompts_are_those_that_the_ablation_runs():
    rows = paper_results("prompts")["average"]
    assert set(rows) == set(PROMPTS.values()) and rows["Bare label"] == (33.1, 25.9, 54.3)
    assert max(rows.values()) == rows["Learnable prompt (AnyMo)"] == paper_results("recognition")["average"]["AnyMo"]
    assert min(rows.values()) == rows["IMU prompt"] == (28.3, 22.5, 47.0)


def test_surface_vertices_sum_to_the_placements_of_appendix_a2():
    rows = paper_results("surface_vertices")["segments"]
    assert sum(count for (count,) in rows.values()) == 2374
    assert set(map(segment, rows)) == set(SEGMENTS)
    assert rows["Head"] == (290,) and rows["L3"] == (35,) and rows["Left Upper Leg"] == (106,)


def test_tokenizer_diagnostics_agree_with_one_another():
    for name, values in paper_results("tokenizer")["AnyMo"].items():
        row = dict(zip(paper_columns("tokenizer"), values, strict=True))
        assert row["usage_rate"] == pytest.approx(100 * row["used_codes"] / row["entries"], abs=0.006), name
        assert row["dead_code_ratio"] == pytest.approx(100 - row["usage_rate"], abs=0.001), name
        assert row["sequence_collision_rate"] == 0.61
    assert [row[4] for row in paper_results("tokenizer")["AnyMo"].values()] == [1285.7, 1098.1]


def test_label_counts_are_those_of_appendix_a4():
    counts = [count for (count,) in paper_results("label_counts")["AnyMo-180"].values()]
    assert len(counts) == 180 and sum(counts) == 158_138 and (min(counts), max(counts)) == (18, 19_696)
    assert np.median(counts) == 342.5


def test_bench_holds_what_appendix_b_quotes():
    table = paper_results("bench")
    assert len(table) == 4 and all(set(row) == {"DeepConvLSTM", "MantisV2", "COMODO"} for row in table.values())
    assert table["Fine150 / Unseen Subject"]["MantisV2"] == (38.5, 65.2, 22.8)
    assert table["Core50 / Unseen Subject"]["COMODO"] == (46.2, 78.8, 37.3)
    assert table["Fine150 / Unseen Subject + Cross Device"]["COMODO"] == (24.0, 50.6, 8.0)
    assert table["Core50 / Unseen Subject + Cross Device"]["DeepConvLSTM"] == (1.8, 12.1, 0.6)


def test_the_datasets_are_declared_with_the_classes_and_segments_of_table_9():
    table = paper_results("datasets")
    assert set(table) == set(paper_results("recognition")) - {"average"}
    assert {name: len(row["classes"]) for name, row in table.items()} == {
        "opportunity": 4, "uci_har": 6, "w_har": 7, "realworld": 8, "tnda_har": 8, "ego_exo4d": 8, "openpack": 10,
        "pamap2": 12, "usc_had": 12, "wisdm_watch": 18, "dsads": 19, "utd_mhad": 27, "ego4d": 31, "mmea": 32,
    }  # fmt: skip
    for name, row in table.items():
        assert set(row["classes"]) == set(DATASETS[name].labels), name
        assert set(map(segment, row["placements"])) == set(DATASETS[name].paper_segments.values()), name


def test_an_unknown_task_is_refused():
    with pytest.raises(KeyError):
        paper_results("weather")
