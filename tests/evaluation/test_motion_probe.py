"""The probe's tasks name what exists, and a probe learns and judges windows of its own kind."""

import numpy as np
import pytest
import torch

from anymo_hf.evaluation.motion_probe import FRAMES, TASKS, fixed_length, main, train
from anymo_hf.modeling.body_segments import resolve_placement
from anymo_hf.motion.procedural import ACTIVITIES
from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.training.build_corpus import build_corpus
from anymo_hf.training.corpus import MotionCorpus


@pytest.mark.parametrize("name", TASKS)
def test_a_task_names_a_place_labels_and_activities_that_exist(name):
    place, groups = TASKS[name]
    assert place in DATASETS[name].placements and set(groups) <= set(DATASETS[name].labels)
    for activities in groups.values():
        assert set(activities) <= set(ACTIVITIES)


def test_short_windows_are_repeated_without_a_jump():
    signal = np.linspace(0, 1, 121)[:, None] * np.ones(6)
    window = fixed_length(ImuRecording({"head": signal}, 60.0))
    assert window.shape == (FRAMES, 6) and window.diff(dim=0).abs().max() < 0.02


def test_a_folder_without_any_set_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--corpus", "x", "--data", str(tmp_path)])
    assert "holds none of uci_hapt" in capsys.readouterr().err


@pytest.mark.slow
def test_a_probe_tells_simulated_walking_from_sitting(tmp_path):
    build_corpus(tmp_path / "corpus", 3, 300, ["walking", "sitting"], workers=1, progress=False)
    corpus, waist = MotionCorpus(tmp_path / "corpus"), resolve_placement("waist")
    probe, names = train(corpus, [waist], 30, 0)
    assert names == ["sitting", "walking"]
    still = torch.zeros(1, FRAMES, 6)
    still[..., 0] = 9.8
    with torch.no_grad():
        assert names[int(probe(still, waist).argmax())] == "sitting"
