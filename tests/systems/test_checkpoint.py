"""What is wrong with a checkpoint is said with its folder and the mend, whatever library stumbles over it."""

import json
import re
import shutil

import pytest

from anymo_hf.systems.checkpoint import load_checkpoint


@pytest.mark.parametrize(
    "part, values, words",
    [
        ("stgcn_config", {"strides": [1, 2]}, "channels and strides must have one entry per block"),
        ("stgcn_config", {"max_visible": 99}, "need 1 <= min_visible <= max_visible <= 23"),
        ("pqvae_config", {"ema_decay": "0.99"}, "ema_decay must be a finite number"),
        ("text_config", {"model_type": "inf"}, "Unrecognized model identifier"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_with_its_folder(tiny_release, tmp_path, part, values, words):
    folder = shutil.copytree(tiny_release, tmp_path / "anymo")
    settings = json.loads((folder / "config.json").read_text())
    settings[part] |= values
    (folder / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=f"{re.escape(str(folder))}: .*{words}.*; fetch or save it again"):
        load_checkpoint(str(folder))


def test_json_nested_without_end_is_damage(tiny_release, tmp_path):
    folder = shutil.copytree(tiny_release, tmp_path / "anymo")
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(OSError, match="config.json is damaged .*; fetch or save the checkpoint again"):
        load_checkpoint(str(folder))
