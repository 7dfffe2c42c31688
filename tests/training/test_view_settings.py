"""How sensors are worn can be set from YAML and changes what they read."""

import pytest
import torch

from anymo_hf.simulation.surface import load_template
from anymo_hf.simulation.views import sample_views
from anymo_hf.training.settings import EncoderSettings, check_views, load_settings

CHEST = 4  # T8


def mean_gravity(tmp_path, corpus, text):
    """Mean acceleration of a quiet second on the chest, `(windows, 3)`, for settings read from a file."""
    path = tmp_path / "encoder.yaml"
    path.write_text(f"views: {{noise: false, {text}}}\n")
    options = check_views(load_settings(path, EncoderSettings).views)
    row = next(index for index, clip in enumerate(corpus.clips) if clip.activity == "sitting")
    terms = corpus.read([row] * 200, [0] * 200, 60)
    generator = torch.Generator().manual_seed(0)
    return sample_views(terms, load_template(), generator, options, [CHEST])[:, :, 0, :3].mean(1)


def test_devices_are_flipped_and_turned_as_the_file_says(tmp_path, corpus):
    plain = mean_gravity(tmp_path, corpus, "tilt_degrees: 0, in_plane_degrees: 0")
    flipped = mean_gravity(tmp_path, corpus, "tilt_degrees: 0, in_plane_degrees: 0, flip_probability: 0.3")
    # upright gravity lies in the plane of the chest; face down the device reads it the other way about one axis
    share = 1 - torch.isclose(flipped, plain, atol=1e-3).all(1).float().mean().item()
    assert share == pytest.approx(0.3, abs=0.1)
    turned = mean_gravity(tmp_path, corpus, "any_rotation: true")
    directions = turned / turned.norm(dim=1, keepdim=True)
    assert directions.mean(0).norm() < 0.2  # from every side alike
    third = directions.square().mean(0)
    torch.testing.assert_close(third, torch.full((3,), 1 / 3), atol=0.08, rtol=0)
