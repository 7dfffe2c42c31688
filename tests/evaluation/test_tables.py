"""Tables and figures from results files: figures are those of the files, the paper's stand apart, gaps say why."""

import csv
import io
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from anymo_hf.evaluation import figures, tables
from anymo_hf.evaluation.paired_embeddings import (
    PairedEmbeddings,
    paired_embeddings,
    read_embeddings,
    simulated_names,
    write_embeddings,
)  # fmt: skip
from anymo_hf.evaluation.paper_results import paper_columns, paper_results
from anymo_hf.evaluation.results_file import write_percent
from anymo_hf.evaluation.system_recognition import SystemResults, SystemRow, weights_of
from anymo_hf.evaluation.system_results import TaskResults
from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.recordings.windows_file import WindowsFile
from anymo_hf.systems.interface import System

RESULTS = Path(__file__).parents[2] / "results"


def row(dataset, accuracy, **more):
    labels = DATASETS[dataset].labels
    values = {
        "dataset": dataset, "wording": "label", "split": "paper", "windows": 1234, "trained_on": 0, "people": 9,
        "windows_sha256": "0", "labels": labels, "chance": 100 / len(labels), "majority": 20.0, "majority_macro_f1": 5.0,
        "accuracy": accuracy, "macro_f1": accuracy - 1, "recall_at_2": accuracy + 1,
        "interval": (accuracy - 5, accuracy + 5),
        "top_class_share": 30.0, "invalid_rate": 2.5, "parameters": 5_200_000, "rate": 20.0, "channels": 3,
        "seconds_per_1000": 1.5, "confusion": tuple(map(tuple, np.eye(len(labels), dtype=int).tolist())),
    }  # fmt: skip
    return SystemRow(**values | more)


@pytest.fixture
def results(tmp_path):
    folder = Path(shutil.copytree(RESULTS, tmp_path / "results"))
    for task in ("recognition", "choices"):
        shutil.rmtree(folder / task, ignore_errors=True)
    scored = SystemResults(
        "unimts", "UniMTS", "weights", "?", "", "0", None, 0, "0", (row("uci_har", 61.5), row("usc_had", 41))
    )
    write_percent(folder / "recognition" / "unimts.json", scored)
    return folder


def cells(table, first):
    return [dict(zip(table.head, line, strict=True)) for line in table.rows if line[0] == first]


def test_recognition_has_our_figures_and_the_papers_side_by_side(results):
    table, _, _, _, theirs = tables.make_tables("recognition", results)
    (ours, _) = cells(table, "UniMTS")
    assert (ours["Acc"], ours["F1"], ours["Interval"], ours["Invalid"]) == ("61.5", "60.5", "56.5–66.5", "2.5")
    paper = paper_results("recognition")["uci_har"]["UniMTS"]
    assert [ours[f"{name} (paper)"] for name in ("Acc", "F1", "R@2")] == [f"{value:.1f}" for value in paper]
    assert cells(table, "AnyMo")[0]["Labels as"] == "not run yet"  # its weights are here: it has other results
    assert cells(table, "ImageBind")[0]["Labels as"] == "its weights are not here"
    assert "dsads" not in {
        line[1] for line in table.rows
    }  # nobody measured it, so it stands in the paper's table alone
    for name, scores in paper_results("recognition")["dsads"].items():
        (line,) = cells(theirs, name)
        assert line["dsads (paper)"] == " / ".join(f"{value:.1f}" for value in scores)
    assert cells(theirs, "UniMTS")[0]["Here"] == "scored above on the data at hand"
    assert cells(theirs, "HARGPT")[0]["Here"] == "no endpoint was asked"
    asked = SystemResults(
        "hargpt", "HARGPT (some-model)", "endpoint", "?", "", "0", None, 0, "0", (row("uci_har", 30.0),)
    )
    write_percent(results / "recognition" / "hargpt.json", asked)
    table, _, _, _, theirs = tables.make_tables("recognition", results)
    (ours,) = cells(table, "HARGPT (some-model)")
    assert ours["Acc (paper)"] == f"{paper_results('recognition')['uci_har']['HARGPT'][0]:.1f}"
    assert cells(theirs, "HARGPT")[0]["Here"] == "scored above on uci_har only"
    assert cells(theirs, "AnyMo")[0]["Here"] == "not run yet"
    assert "dsads" in theirs.note and "uci_har" not in theirs.note


GEMMA = "Language model, numbers (google/gemma-4-26B-A4B-it)"


def chat(results, model, rows):
    title = f"Language model, numbers ({model})"
    found = SystemResults("language_text", title, "endpoint", "?", "", "", None, 0, "0", rows)
    write_percent(results / "recognition" / f"language_text.{model.replace('/', '_')}.json", found)


def test_means_over_the_sets_are_of_systems_that_have_all_of_them(results):
    rows = (row("uci_har", 30.0), row("usc_had", 20.0), row("uci_har", 50.0, wording="person"))
    scored = SystemResults("chance", "Chance", "nothing", "?", "", "", None, 0, "0", rows)
    write_percent(results / "recognition" / "chance.json", scored)
    (means,) = (table for table in tables.make_tables("recognition", results) if table.title.endswith(": means"))
    (ours,) = cells(means, "Chance")  # one set alone has the other wording
    assert (ours["Labels as"], ours["Sets"], ours["Acc"], ours["F1"], ours["R@2"]) == (
        "label",
        "2",
        "25.0",
        "24.0",
        "26.0",
    )
    assert cells(means, "UniMTS")[0]["Acc"] == f"{(61.5 + 41) / 2:.1f}" and "over uci_har, usc_had" in means.note


def test_notes_say_whose_windows_differ_from_the_papers_and_which_sets_a_system_lacks(results):
    rows = (row("uci_har", 30.0, note="official test split", people=3), row("usc_had", 20.0, note="all people"))
    for name, title, chosen in (("chance", "Chance", rows), ("anymo", "AnyMo", rows[:1])):
        scored = SystemResults(name, title, "nothing", "?", "", "", 500, 0, "0", chosen)
        write_percent(results / "recognition" / f"{name}.json", scored)
    learned = SystemResults(
        "minirocket", "MiniRocket + ridge", "training", "?", "", "", None, 0, "0",
        (row("uci_har", 90.0, split="people", note="official test split"),),
    )  # fmt: skip
    write_percent(results / "recognition" / "minirocket.json", learned)
    zero, _, trained, *_ = tables.make_tables("recognition", results)
    assert (
        " uci_har: official test split. usc_had: all people." in zero.note
        and " AnyMo: not scored on usc_had." in zero.note
    )
    assert (
        "official test split" not in trained.note and "No rows of usc_had: the copy has too few people" in trained.note
    )
    assert [line["Interval"] for line in cells(zero, "Chance")] == ["-", "15.0–25.0"]  # three people, nine people


def test_a_method_under_an_even_guess_is_said_not_to_have_learned(results):
    for name, accuracy in (("unimts_objective", 12.0), ("imagebind_objective", 40.0)):
        scored = SystemResults(name, name, "corpus", "?", "", "0", None, 0, "0", (row("uci_har", accuracy),),
                               {"trained": {"steps": 400, "batch_size": 32}})  # fmt: skip
        write_percent(results / "recognition" / f"{name}.json", scored)
    note = tables.make_tables("recognition", results)[1].note
    assert "unimts_objective stays under an even guess (16.7)" in note and "imagebind_objective stays" not in note


def test_the_release_asked_with_other_words_stands_beside_the_papers_prompts(results):
    for path in results.glob("recognition-*.json"):
        path.unlink()
    assert len(tables.make_tables("prompts", results)) == 1
    learned = json.loads((results / "recognition.json").read_text(encoding="utf-8"))
    less = learned | {"datasets": [one | {"accuracy": one["accuracy"] - 10} for one in learned["datasets"][1:]]}
    (results / "recognition-bare.json").write_text(json.dumps(less), encoding="utf-8")
    asked, _ = tables.make_tables("prompts", results)
    (bare,), (own,) = cells(asked, "Bare label"), cells(asked, "Learnable prompt (AnyMo)")
    assert float(own["Acc"]) - float(bare["Acc"]) == pytest.approx(10, abs=0.11) and bare["Acc (paper)"] == "33.1"
    kept = [one["accuracy"] for one in learned["datasets"][1:]]  # the set that one file lacks is in no mean
    assert own["Acc"] == f"{np.mean(kept):.1f}" and learned["datasets"][0]["dataset"] not in asked.head


def test_captions_of_labelled_windows_have_a_table_and_stand_in_the_figure(results):
    row = {"dataset": "uci_hapt", "windows": 2, "classes": 6, "chance": 100 / 6, "references": ["walk", "sit"],
           "named": {"written": 50.0, "selected": 100.0},
           "captions": {"written": ["a person walks", ""], "selected": ["a walk", "sitting"]}}  # fmt: skip
    (results / "labelled_captions.json").write_text(json.dumps({"weights_sha256": {}, "datasets": [row]}))
    *_, table = tables.make_tables("captions", results)
    assert table.rows == (("AnyMo", "uci_hapt", "2", "6", "16.7", "50.0", "100.0"),)
    drawn = figures._captions(results)
    assert [box.get_title(loc="left") for box in drawn.axes] == ["simulated windows", "uci hapt, labelled windows"]


def test_simulated_retrieval_and_captions_are_a_line_of_their_own_in_the_radar(results):
    found = figures.simulated_values(results)
    asked, told = (json.loads((results / f"{name}.json").read_text()) for name in ("retrieval", "captioning"))
    assert (
        np.isnan(found[:3]).all() and found[3] == asked["imu_to_text"]["mrr"] and found[6] == told["scores"]["rouge_l"]
    )
    for name in ("retrieval", "captioning"):
        (results / f"{name}.json").unlink()
    assert figures.simulated_values(results) is None


@pytest.mark.parametrize("name", ["captions", "retrieval", "bench", "recognition", "few-labels"])
def test_results_of_another_version_are_a_line_and_no_trace(results, name):
    wrong = {"captions": "captions", "retrieval": "retrieval", "bench": "bench", "recognition": "choices"}.get(name)
    if wrong is None:
        (results / "few_labels.json").write_text('{"runs": [{"dataset": "uci_hapt"}], "settings": {}}')
    else:
        found = TaskResults(wrong, "anymo", "AnyMo", "?", "", "0", "0", ({"windows": 3},))
        write_percent(results / wrong / "anymo.json", found)
    with pytest.raises(ValueError, match="of this version|of another version"):
        tables.make_tables(name, results)


def test_a_model_that_was_asked_stands_beside_the_papers_of_that_name(results):
    chat(results, "SmolLM2-135M-Instruct", (row("uci_har", 30.0),))
    *_, theirs = tables.make_tables("recognition", results)
    assert cells(theirs, "Gemma 4 26B, text")[0]["Here"] == "this model was not asked"
    assert cells(theirs, "Gemma 4 26B, plot")[0]["Here"] == "no endpoint was asked"
    chat(results, "google/gemma-4-26B-A4B-it", (row("uci_har", 30.0), row("usc_had", 20.0)))
    table, *_, theirs = tables.make_tables("recognition", results)
    paper = paper_results("recognition")["uci_har"]["Gemma 4 26B, text"]
    assert cells(table, GEMMA)[0]["Acc (paper)"] == f"{paper[0]:.1f}"
    assert cells(table, "Language model, numbers (SmolLM2-135M-Instruct)")[0]["Acc (paper)"] == tables.NONE
    assert cells(theirs, "Gemma 4 26B, text")[0]["Here"] == "scored above on the data at hand"
    scores = dict.fromkeys(paper_columns("retrieval"), 5.0)
    asked = {"dataset": "nymeria", "subset": "100", "windows": 100, "texts": 90, "imu_to_text": scores}
    for model in ("gemma4:26b", "gpt-5.4-mini-2026-03-17"):
        title = f"Language model, numbers ({model})"
        found = TaskResults("retrieval", "language_text", title, "endpoint", "?", "", "0", (asked,))
        write_percent(results / "retrieval" / f"language_text.{model}.json", found)
    table, theirs = tables.make_tables("retrieval", results)
    for model, name in (("gemma4:26b", "Gemma 4 26B"), ("gpt-5.4-mini-2026-03-17", "GPT-5.4 Mini")):
        (ours,) = cells(table, f"Language model, numbers ({model})")
        paper = paper_results("retrieval")["nymeria, 100 samples, imu_to_text"][name]
        assert ours["MRR (paper)"] == f"{paper[3]:.1f}" and ours["Invalid"] == tables.NONE
        assert cells(theirs, name)[0]["Here"] == "scored above on the data at hand"


def test_simulated_windows_and_a_subset_are_not_the_papers_data(results):
    table, theirs = tables.make_tables("retrieval", results)
    assert (
        cells(table, "AnyMo")[0]["Windows of"] == "simulated"
        and cells(theirs, "AnyMo")[0]["Here"] == "data not at hand"
    )
    _, theirs, _ = tables.make_tables("captions", results)
    assert cells(theirs, "AnyMo")[0]["Here"] == "data not at hand" and "Nothing was scored here on any" in theirs.note
    part = {"dataset": "nymeria", "subset": "100", "windows": 100, "scores": {"rouge_l": 10.0}, "captions": ["a"] * 100}
    for name, title in (("anymo", "AnyMo"), ("language_text", GEMMA)):
        write_percent(
            results / "captions" / f"{name}.json", TaskResults("captions", name, title, "?", "", "0", "0", (part,))
        )
    _, theirs, _ = tables.make_tables("captions", results)
    for name in ("AnyMo", "Gemma 4 26B"):
        assert cells(theirs, name)[0]["Here"] == "scored above on nymeria, 100 windows only"
        assert cells(theirs, name)[0]["nymeria (paper)"] != tables.NONE
    assert "Nothing was scored here on ego_exo4d: the data" in theirs.note


def test_systems_without_retrieval_captions_or_recognition_say_why(results):
    table, _ = tables.make_tables("retrieval", results)
    assert cells(table, "UniMTS")[0]["Subset"] == "Nymeria and EgoExo4D are not here"
    assert cells(table, "ImageBind")[0]["Subset"] == "its weights are not here"
    assert cells(table, "Language model, picture")[0]["Subset"] == "no endpoint was asked"
    assert not cells(table, "HARGPT") and not cells(table, "Chance") and not cells(table, "MiniRocket + ridge")
    narrated = TaskResults(
        "retrieval",
        "anymo",
        "AnyMo",
        "?",
        "",
        "0",
        "0",
        ({"dataset": "nymeria", "subset": "100", "windows": 100, "texts": 90},),
    )
    write_percent(results / "retrieval" / "anymo.json", narrated)
    table, *_ = tables.make_tables("retrieval", results)
    assert cells(table, "UniMTS")[0]["Subset"] == "not run yet"  # its weights are at hand: recognition was scored
    table, *_ = tables.make_tables("captions", results)
    assert cells(table, "HARGPT")[0]["Subset"] == "no endpoint was asked" and not cells(table, "UniMTS")
    _, ours, learned, *_ = tables.make_tables("recognition", results)
    assert cells(ours, "UniMTS objective, re-trained")[0]["Labels as"] == "not trained on our corpus yet"
    assert cells(learned, "MiniRocket + ridge")[0]["Labels as"] == "not trained yet" and "Training of" not in ours.note


def test_every_number_of_the_paper_stands_in_a_table_beside_ours_or_alone(results):
    names = {"recognition": "recognition", "retrieval": "retrieval", "captions": "captioning", "bench": "bench"}
    for name, task in names.items():
        markdown = "\n".join(table.markdown() for table in tables.make_tables(name, results))
        for group, rows in paper_results(task).items():
            for system, scores in rows.items():
                alone = " / ".join(f"{value:.1f}" for value in scores)
                beside = " | ".join(f"{value:.1f}" for value in scores)
                assert alone in markdown or beside in markdown, (name, group, system)


def test_columns_of_the_paper_without_a_number_are_left_out_and_systems_without_a_row_say_why(results):
    (table, theirs) = tables.make_tables("bench", results)  # simulated people only
    assert not [name for name in table.head if "(paper)" in name] and len(theirs.head) == 2 + 4
    assert cells(table, "MantisV2")[0]["Windows of"] == "its weights are not here"


def test_every_table_of_the_repository_can_be_made_and_written(results, tmp_path):
    for name in tables.TABLES:
        if name == "bench" and not (results / "bench").is_dir():
            continue
        made = tables.make_tables(name, results)
        assert all(len(line) == len(table.head) for table in made for line in table.rows)
        paths = tables.write_tables(name, results, tmp_path / "out")
        markdown, plain, latex = (path.read_text(encoding="utf-8") for path in paths)
        read = list(csv.reader(io.StringIO(plain)))
        for table in made:
            at = read.index([table.title])
            assert read[at + 1] == [table.note] or not table.note
            assert tuple(read[at + 1 + bool(table.note)]) == table.head
            assert tuple(read[at + 1 + bool(table.note) + len(table.rows)]) == table.rows[-1]
        assert f"**{made[0].title}**" in markdown
        assert latex.count(r"\begin{tabular}") == sum(-(-len(table.rows) // 30) for table in made)
    assert not [path for path in (tmp_path / "out").iterdir() if path.suffix not in (".md", ".csv", ".tex")]


def test_full_is_said_to_be_the_linear_one_where_one_person_is_all_there_is(results):
    told = "one person is here, so it is the linear one"
    shifts = [table for table in tables.make_tables("few-labels", results) if "turned: one random" in table.note]
    assert {table.title for table in shifts if told in table.note} == {
        table.title for table in shifts if "time held out" in table.note
    }
    for table in (one for one in shifts if told in one.note):
        rows = {row[0]: row[2:] for row in table.rows if row[1] == "all"}
        assert rows["AnyMo, full"] == rows["AnyMo, linear"] and rows["AnyMo, full and robust"] == rows["AnyMo, robust"]


def test_classifiers_of_an_earlier_release_are_named_in_the_note(results):
    folder = results / "setup_shift"
    for name in ("anymo_full", "anymo_robust", "anymo_linear"):
        content = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        content["weights"] = "old" if name == "anymo_full" else "new"
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "anymo_full_robust.json").unlink(missing_ok=True)
    notes = [table.note for table in tables.make_tables("few-labels", results) if "turned: one random" in table.note]
    assert notes[0].endswith(" AnyMo, full: with the weights of an EARLIER release.")
    for name in ("anymo_linear", "anymo_full"):
        (folder / f"{name}.json").unlink()
    assert not [table for table in tables.make_tables("few-labels", results) if " of an EARLIER release." in table.note]


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex; Debian has it in texlive-latex-recommended")
def test_latex_of_all_tables_of_the_repository_compiles_in_one_paper(results, tmp_path):
    names = [name for name in tables.TABLES if name != "bench" or (results / "bench").is_dir()]
    for name in names:
        tables.write_tables(name, results, tmp_path)
    inputs = "\n".join(rf"\input{{{name}.tex}}" for name in names)
    paper = rf"\documentclass{{article}}{tables.LATEX_PACKAGES}\begin{{document}}{inputs}\end{{document}}"
    (tmp_path / "paper.latex").write_text(paper, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.latex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0 and (tmp_path / "paper.pdf").is_file(), done.stdout[-2000:]
    assert "Overfull \\hbox" not in done.stdout and "Missing character" not in done.stdout


def test_latex_escapes_what_latex_reads():
    table = tables.Table("a & b_1", ("x %", "±"), (("{1}", "50 # – …"),))
    assert r"\caption{a \& b\_1}" in table.latex() and r"\{1\} & 50 \# -- \dots{} \\" in table.latex()


def test_long_and_wide_tables_are_latex_of_several_turned_floats_with_their_note(results, tmp_path):
    rows = tuple(("System & co", f"row {k}", *["12.3"] * 18) for k in range(64))
    table = tables.Table("Long", ("Who", "Which", *(f"score {k}" for k in range(18))), rows, "In %; ~1.")
    floats = table.latex().split("\n\n")
    assert len(floats) == 3 and all(
        one.count(r"\begin{sidewaystable}") == one.count(r"\resizebox") == 1 for one in floats
    )
    first = floats[0].splitlines()
    assert first[2:4] == [r"\caption{Long, part 1 of 3}", r"{\footnotesize In \%; \textasciitilde{}1.\par}"]
    assert "footnotesize" not in floats[1] + floats[2] and all("Who & Which" in one for one in floats)
    assert [one.count("System") for one in floats] == [30, 30, 4] and "row 63" in floats[2]
    assert all(one.count("{") - one.count("\\{") == one.count("}") - one.count("\\}") for one in floats)
    narrow = tables.Table("Short", ("a", "b"), (("1", "2"),))
    assert r"\begin{table}" in narrow.latex() and r"\caption{Short}" in narrow.latex()
    text = tables.write_tables("recognition", results, tmp_path)[2].read_text(encoding="utf-8")
    assert text.startswith("% \\usepackage{") and "Interval: 95 \\% by bootstrap" in text


def test_a_score_that_could_not_be_had_says_why(results):
    content = json.loads((results / "captioning.json").read_text())
    content["missing"] = {"bert_f1": "scorer not downloaded"}
    (results / "captioning.json").write_text(json.dumps(content))
    table, *_ = tables.make_tables("captions", results)
    assert cells(table, "AnyMo")[0]["BERT-F1"] == "scorer not downloaded"


def test_nothing_to_show_and_damaged_files_are_said_in_one_line(results, tmp_path):
    with pytest.raises(ValueError, match="holds nothing for the table 'bench'; run anymo evaluate bench"):
        tables.make_tables("bench", tmp_path)
    with pytest.raises(ValueError, match="unknown table 'poem'"):
        tables.make_tables("poem", results)
    with pytest.raises(OSError, match="no such folder"):
        tables.make_tables("recognition", tmp_path / "none")
    (results / "recognition" / "unimts.json").write_text("{")
    with pytest.raises(ValueError, match="unimts.json: not a results file"):
        tables.write_tables("recognition", results, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="holds nothing for the figure 'umap'"):
        figures.write_figure("umap", tmp_path, tmp_path / "out")
    with pytest.raises(ValueError, match="unknown figure"):
        figures.write_figure("poem", results, tmp_path)


def test_radar_has_means_over_the_sets_that_all_systems_and_the_paper_have(results):
    values, sets = figures.radar_values(results)
    assert sets == ["uci_har", "usc_had"]  # of AnyMo's there are more, among them ones that the paper has not
    assert values["UniMTS"][0] == pytest.approx((61.5 + 41) / 2) and values["UniMTS"][2] == pytest.approx(
        (62.5 + 42) / 2
    )
    released = {
        one["dataset"]: one["accuracy"] for one in json.loads((RESULTS / "recognition.json").read_text())["datasets"]
    }
    assert values["AnyMo"][0] == pytest.approx((released["uci_har"] + released["usc_had"]) / 2)
    assert np.isnan(values["UniMTS"][3:]).all()
    assert figures.compared_sets({"a": {"uci_hapt": {}}, "b": {"uci_har": {}}}) == ["uci_har"]


def test_a_system_without_the_compared_sets_is_not_in_the_radar(results):
    other = SystemResults("chance", "Chance", "nothing", "?", "", "0", None, 0, "0", (row("uci_hapt", 90),))
    write_percent(results / "recognition" / "chance.json", other)
    assert "Chance" not in figures.radar_values(results)[0]


def test_captions_of_a_subset_stand_apart_and_beside_no_score_of_the_paper(results):
    rows = [
        {"dataset": "ego_exo4d", "subset": subset, "windows": count, "scores": {"rouge_l": 10.0 + count},
         "captions": ["a person walks"] * count, "references": [f"{subset} walks"] * count,
         "note": f"{count} of {subset} windows"}
        for subset, count in (("all", 8), ("100", 3))
    ]  # fmt: skip
    for name, title, own in (("anymo", "AnyMo", rows), ("language_text", "Chat", rows[1:])):
        found = TaskResults("captions", name, title, "?", "", "0", "0", tuple(own))
        write_percent(results / "captions" / f"{name}.json", found)
    table, *_ = tables.make_tables("captions", results)
    (whole, part), (chat,) = ([line for line in cells(table, name) if line["Windows of"] == "ego_exo4d"]
                              for name in ("AnyMo", "Chat"))  # fmt: skip
    assert (whole["Subset"], part["Subset"], chat["Subset"]) == ("all", "100", "100")
    assert table.note.endswith(" ego_exo4d, all: 8 of all windows. ego_exo4d, 100: 3 of 100 windows.")
    assert whole["ROUGE-L (paper)"] != tables.NONE and part["ROUGE-L (paper)"] == tables.NONE
    assert figures.radar_values(results)[0]["AnyMo"][6] == 18.0  # of all windows
    drawn = figures._captions(results)
    assert [box.get_title(loc="left") for box in drawn.axes[:2]] == [
        "ego exo4d windows",
        "ego exo4d, 100 of them, windows",
    ]


def test_captions_of_other_windows_stand_apart(results):
    for name, count in (("anymo", 10), ("language_text", 4)):
        row = {"dataset": "nymeria", "subset": "all", "windows": count, "scores": {"rouge_l": 10.0},
               "captions": [f"{name} walks"] * count, "references": [f"reference {n}" for n in range(count)]}  # fmt: skip
        found = TaskResults("captions", name, name, "?", "", "0", "0", (row,))
        write_percent(results / "captions" / f"{name}.json", found)
    drawn = figures._captions(results)
    assert [box.get_title(loc="left") for box in drawn.axes[:2]] == ["nymeria windows"] * 2


@pytest.mark.slow
def test_every_figure_is_drawn(results, tmp_path):
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(20, 6)) + np.repeat([[0] * 6, [5] * 6], 10, axis=0)
    found = PairedEmbeddings("AnyMo", "uci_hapt", "waist", ("walk",) * 10 + ("sit",) * 10, (True, False) * 10, vectors)
    as_encoders_give_them = replace(found, vectors=vectors.astype(np.float32))
    with pytest.raises(ValueError, match=r"anymo.json is of other windows \(uci_hapt\) or weights of anymo; move it"):
        write_embeddings(results, "anymo", as_encoders_give_them)  # those of the repository stand there
    (results / "embeddings" / "anymo.json").unlink()
    path = write_embeddings(results, "anymo", as_encoders_give_them)
    assert path.stat().st_size < 8 * vectors.size + 1000  # four digits, not those of a float32 in decimal
    back = read_embeddings(results / "embeddings" / "anymo.json")
    assert back.labels == found.labels and np.abs(back.vectors - vectors).max() < 1e-4
    for name in figures.FIGURES:
        path = figures.write_figure(name, results, tmp_path / "out")
        assert path.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == sorted(figures.FIGURES)
    before = (tmp_path / "out" / "confusion.png").read_bytes()
    figures.write_figure("confusion", results, tmp_path / "out", ["anymo"])
    assert (tmp_path / "out" / "confusion.png").read_bytes() != before  # those of UniMTS stood there
    for name, match in (("umap", "nothing of unimts for the figure 'umap'"), ("radar", "shows every system")):
        with pytest.raises(ValueError, match=match):
            figures.write_figure(name, results, tmp_path / "out", ["unimts"])
    (results / "embeddings" / "anymo.json").write_text('{"vectors": [[1, 2]], "labels": [], "real": []}')
    with pytest.raises(ValueError, match="not a file of anymo evaluate embeddings"):
        figures.write_figure("umap", results, tmp_path)


def test_without_umap_the_plane_is_that_of_the_principal_components(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(50, 5)) * [5, 3, 1, 0.5, 0.1]
    points, by = figures.plane(vectors)
    eigenvalues = np.linalg.eigvalsh(np.cov(vectors.T))[::-1]
    np.testing.assert_allclose(points.var(0, ddof=1), eigenvalues[:2], rtol=1e-6)
    assert "umap-learn" in by


def test_real_windows_stand_beside_simulated_ones_of_the_same_activities():
    class Echo(System):
        name, title, requires, licence = "echo", "Echo", "nothing", "?"

        def embed_imu(self, recordings):
            self.seen = recordings
            return np.ones((len(recordings), 2))

    labels = DATASETS["uci_hapt"].labels
    assert set(simulated_names(labels)) == set(labels) and simulated_names(["juggling knives"]) == {}
    made = [ImuRecording({"waist": np.ones((250, 6))}, 50.0, label) for label in labels[:2] for _ in range(3)]
    held = WindowsFile("uci_hapt", tuple(made), (), (), "worn", "", "abc")
    echo = Echo()
    assert paired_embeddings(echo, held, 2).weights == ""
    echo.network = torch.nn.Linear(2, 2)
    found = paired_embeddings(echo, held, 2)
    assert found.windows_sha256 == "abc" and found.weights == weights_of(echo) != ""
    echo.network.bias.data += 1
    assert found.weights != weights_of(echo)
    assert found.labels == (labels[0],) * 4 + (labels[1],) * 4 and found.real == (True, True, False, False) * 2
    with pytest.raises(ValueError, match="none of its classes"):
        paired_embeddings(
            Echo(), WindowsFile("x", (ImuRecording({"waist": np.ones((9, 6))}, 50.0, "zz"),), (), (), "", "", "")
        )


def test_systems_trained_on_our_corpus_have_a_table_of_their_own(results):
    scored = SystemResults(
        "unimts_objective", "UniMTS objective, re-trained", "corpus", "?", "", "0", None, 0, "0", (row("uci_har", 31.5),),
        {"trained": {"steps": 1800, "batch_size": 32}},
    )  # fmt: skip
    write_percent(results / "recognition" / "unimts_objective.json", scored)
    zero, ours, *_ = tables.make_tables("recognition", results)
    assert not cells(zero, "UniMTS objective, re-trained") and len(cells(ours, "UniMTS objective, re-trained")) == 1
    assert "UniMTS objective, re-trained: 1,800 x 32." in ours.note
    assert cells(ours, "AnyMo nano, same budget")[0]["Labels as"] == "not trained on our corpus yet"
    assert not cells(zero, "MantisV2, frozen")  # it learns from labels, so it is no zero-shot system


def test_systems_without_a_result_in_table_c_say_why(results):
    found = {table.title: table for table in tables.make_tables("few-labels", results)}
    rows = dict(found["Few labels and shifts of the setup: systems without a result"].rows)
    assert rows["MantisV2, fine-tuned in minutes"] == "its weights are not here" and "Feature forest" not in rows


def test_fine_tuning_from_an_earlier_release_is_called_so(tmp_path):
    def write(name, content):
        (tmp_path / name).write_text(json.dumps({"unit": "percent", **content}))

    run = {"dataset": "uci_hapt", "share": 0.0, "way": "zero_shot", "accuracy": 50.0, "macro_f1": 40.0,
           "test_windows": 300, "people": 0, "windows": 0}  # fmt: skip
    write("few_labels.json", {"settings": {"weights_sha256": {"model.safetensors": "a" * 64}}, "runs": [run]})
    (alone,) = tables.make_tables("few-labels", tmp_path)
    assert "of 300 windows of other people, from the weights whose SHA-256 begins with aaaaaaaa. ±" in alone.note
    for weights, words in (
        ("a", "begins with aaaaaaaa."),
        ("b", "aaaaaaaa: an EARLIER release than that of recognition, bbbbbbbb."),
    ):
        write("recognition.json", {"weights_sha256": {"model.safetensors": weights * 64}, "datasets": []})
        (table,) = tables.make_tables("few-labels", tmp_path)
        assert words in table.note
