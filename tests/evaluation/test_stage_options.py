"""Options of stages 1 and 2 are trained as their settings say, judged by the probe, kept, and shown as a table."""

import json
import re
from pathlib import Path

import pytest
import torch
from support.dataset_files.two_people import WRITERS

from anymo_hf.evaluation import stage_options
from anymo_hf.evaluation.stage_options import OPTIONS, EncoderOption, main, option_settings
from anymo_hf.evaluation.tables import make_tables
from anymo_hf.modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from anymo_hf.training import sentence_vectors
from anymo_hf.training.build_corpus import build_corpus

CONFIGS = Path(__file__).parents[2] / "training" / "configs" / "options"


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_changes_what_it_names_and_nothing_else(name):
    base = option_settings(CONFIGS, "masked" if isinstance(OPTIONS[name], EncoderOption) else "books_2_512")
    settings = option_settings(CONFIGS, name)
    assert type(settings) is type(base)
    changed = {key for key, value in vars(settings).items() if value != vars(base)[key]}
    assert changed <= set(OPTIONS[name].changes)
    for key, value in OPTIONS[name].changes.items():
        assert vars(settings)[key] == (base.views | value if key == "views" else value)


@pytest.mark.slow
def test_options_are_trained_judged_kept_and_shown(tmp_path, capsys, monkeypatch):
    # the sentence encoder is a package of its own, and what it says is not judged here
    monkeypatch.setattr(sentence_vectors, "encoder_folder", lambda: tmp_path)
    monkeypatch.setattr(
        sentence_vectors, "embed_sentences", lambda folder, texts, device: torch.eye(max(384, len(texts)))[: len(texts)]
    )
    build_corpus(tmp_path / "corpus", 3, 300, ["walking", "sitting", "standing"], workers=1, progress=False)
    WRITERS["uci_hapt"](tmp_path / "uci_hapt")
    (tmp_path / "configs").mkdir()
    for stage in ("encoder", "tokenizer"):
        text = (CONFIGS / f"{stage}.yaml").read_text()
        text = re.sub("steps: .*", "steps: 2", re.sub("mixed_precision: .*", "mixed_precision: 'no'", text))
        (tmp_path / "configs" / f"{stage}.yaml").write_text(re.sub("batch_size: .*", "batch_size: 8", text))
    words = ["--corpus", str(tmp_path / "corpus"), "--data", str(tmp_path), "--output", str(tmp_path / "runs")]
    words += ["--results", str(tmp_path), "--windows", "64", "--only"]
    with pytest.raises(SystemExit):
        main(tmp_path / "configs", [*words, "books_4_512"])
    assert "books_4_512 needs the encoder of both" in capsys.readouterr().err
    main(tmp_path / "configs", [*words, "books_4_512", "both"])
    main(tmp_path / "configs", [*words, "masked"])
    capsys.readouterr()
    saved = json.loads((tmp_path / "stage_options.json").read_text())
    assert list(saved["variants"]) == ["masked", "both", "books_4_512"]
    pqvae = AnyMoFeatureExtractor.from_pretrained(
        tmp_path / "runs/6_minutes/books_4_512/tokenizer/feature_extractor"
    ).pqvae
    assert tuple(pqvae.quantizer.embedding.shape[:2]) == (4, 512)
    (table,) = make_tables("options", tmp_path)
    assert [row[0] for row in table.rows] == [OPTIONS[name].title for name in saved["variants"]]
    for row, kept in zip(table.rows, saved["variants"].values(), strict=True):
        assert row[1] == "2" and float(row[2]) == pytest.approx(kept["sets"]["uci_hapt"]["accuracy"], abs=0.05)
    monkeypatch.setattr(stage_options, "probe_scores", lambda *_: pytest.fail("judged again"))
    main(tmp_path / "configs", [*words, "masked"])
    assert json.loads((tmp_path / "stage_options.json").read_text()) == saved
