"""The latent probe learns simulated activities from a frozen encoder and answers for its own segment only."""

import json
import re
from collections import Counter

import numpy as np
import pytest
import torch
from support.dataset_files.two_people import WRITERS

from anymo_hf.evaluation import motion_probe
from anymo_hf.evaluation.latent_probe import (
    LatentProbe,
    code_features,
    embedding_features,
    fit_probes,
    latent_features,
    main,
)
from anymo_hf.evaluation.motion_probe import FRAMES, VIEWS
from anymo_hf.modeling.body_segments import resolve_placement
from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig
from anymo_hf.modeling.embedding import embed_recordings
from anymo_hf.modeling.modeling_anymo import AnyMoModel
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNModel
from anymo_hf.modeling.processing_anymo import AnyMoProcessor
from anymo_hf.recordings.catalogue import read_windows
from anymo_hf.simulation.surface import load_template
from anymo_hf.simulation.views import sample_views
from anymo_hf.training.build_corpus import build_corpus
from anymo_hf.training.corpus import MotionCorpus


def encoder() -> AnyMoSTGCNModel:
    torch.manual_seed(0)
    config = AnyMoSTGCNConfig.from_preset("nano", channels=[4] * 10, predictor_heads=2)
    return AnyMoSTGCNModel(config).eval()


def test_features_are_mean_and_deviation_of_the_latents_of_that_segment():
    model, waist = encoder(), resolve_placement("waist")
    signals = torch.randn(3, 40, 6)
    imu, worn = torch.zeros(3, 40, 23, 6), torch.zeros(3, 23, dtype=torch.bool)
    imu[:, :, waist], worn[:, waist] = signals, True
    with torch.no_grad():
        latents = model(imu, worn).last_hidden_state.double().numpy()
    expected = np.concatenate([latents.mean(1), latents.std(1, ddof=1)], 1)
    np.testing.assert_allclose(latent_features(model)(signals, waist), expected, atol=1e-5)


def test_codes_are_read_as_the_vectors_they_stand_for_and_embeddings_as_the_model_gives_them(tiny_release):
    model, processor = AnyMoModel.from_pretrained(tiny_release).eval(), AnyMoProcessor.from_pretrained(tiny_release)
    signals, waist = torch.randn(2, 60, 6, generator=torch.Generator().manual_seed(1)), resolve_placement("waist")
    extractor = processor.feature_extractor
    recordings = [{"waist": row.numpy()} for row in signals]
    codes = np.array(extractor(recordings, sampling_rate=60.0)["imu_codes"]).reshape(2, -1, 2)
    codes -= np.arange(2) * extractor.pqvae.config.codebook_size
    books = extractor.pqvae.quantizer.embedding.double().numpy()
    steps = np.concatenate([books[0][codes[..., 0]], books[1][codes[..., 1]]], -1)
    expected = np.concatenate([steps.mean(1), steps.std(1, ddof=1)], 1)
    np.testing.assert_allclose(code_features(extractor)(signals, waist), expected, atol=1e-5)
    given = embed_recordings(model, processor, recordings, 60.0).numpy()
    np.testing.assert_allclose(embedding_features(model, processor)(signals, waist), given, atol=1e-5)


def test_windows_of_another_segment_are_refused():
    with pytest.raises(ValueError, match="learnt segment 0, the windows are of segment 6"):
        LatentProbe(latent_features(encoder()), 0)(torch.zeros(1, 40, 6), 6)


def test_a_folder_without_any_set_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--encoder", "x", "--corpus", "x", "--data", str(tmp_path)])
    assert "holds none of uci_hapt" in capsys.readouterr().err


@pytest.mark.slow
def test_a_probe_on_latents_tells_simulated_walking_from_sitting(tmp_path):
    build_corpus(tmp_path / "corpus", 4, 300, ["walking", "sitting"], workers=1, progress=False)
    corpus, waist = MotionCorpus(tmp_path / "corpus"), resolve_placement("waist")
    probes, names = fit_probes({"latents": latent_features(encoder())}, corpus, [waist], 192, 0)
    rows = np.arange(len(corpus))
    terms = corpus.read(rows, np.zeros(len(rows), dtype=int), FRAMES)
    signals = sample_views(terms, load_template(), torch.Generator().manual_seed(9), VIEWS, [waist])[:, :, 0]
    truth = np.array([names.index(corpus.clips[row].activity) for row in rows])
    assert names == ["sitting", "walking"]
    assert (probes["latents"][waist](signals, waist).argmax(1).numpy() == truth).mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("command", [main, motion_probe.main])
def test_the_commands_judge_real_windows(command, tmp_path, capsys):
    build_corpus(tmp_path / "corpus", 3, 300, ["walking", "sitting", "standing"], workers=1, progress=False)
    encoder().save_pretrained(tmp_path / "encoder")
    WRITERS["uci_hapt"](tmp_path / "uci_hapt")
    words = ["--corpus", str(tmp_path / "corpus"), "--data", str(tmp_path)]
    words += ["--encoder", str(tmp_path / "encoder"), "--windows", "128"] if command is main else ["--steps", "4"]
    command(words)
    out = capsys.readouterr().out
    assert out.startswith("latents, uci_hapt" if command is main else "uci_hapt")
    table = np.array(json.loads(re.sub(r"(?<=\d)\s+(?=\d)|(?<=\])\s+", ",", out[out.rindex("[[") :].strip())))
    labels = re.search(r"\((.*); rows are the truth", out)[1].split(", ")
    truth = Counter(str(window.label) for window in read_windows("uci_hapt", tmp_path / "uci_hapt"))
    assert "walk" in labels and table.sum(1).tolist() == [truth[label] for label in labels]
    accuracy = float(re.search(r"accuracy ([\d.]+)", out)[1])
    assert accuracy == pytest.approx(100 * np.trace(table) / table.sum(), abs=0.05)
