"""What a misspelt name was meant to be: one answer for every set of names."""

import pytest

from anymo_hf.modeling.known_names import did_you_mean
from anymo_hf.modeling.prompts import PromptStyle
from anymo_hf.motion.procedural import get_activity
from anymo_hf.recordings.catalogue import known_dataset
from anymo_hf.recordings.devices.read_device import named_device
from anymo_hf.simulation.archive import simulate_archive
from anymo_hf.systems.interface import known_system


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        ("wlaking", "; did you mean walking?"),
        ("Walking ", "; did you mean walking?"),
        ("Stairs-Up", "; did you mean stairs_up?"),
        ("up stairs", "; did you mean stairs_up?"),
        (["wlaking", "flying", "siting", "wallking"], "; did you mean walking, sitting?"),
        ("flying", ""),
        ([], ""),
    ],
)
def test_the_nearest_known_name_is_named_and_a_far_one_never(names, hint):
    assert did_you_mean(names, ["walking", "sitting", "stairs_up"]) == hint


def test_spellings_are_compared_and_what_they_mean_is_said():
    assert did_you_mean("dgs", ["dps", "rad/s"], 0.5, {"dps": "deg/s"}) == "; did you mean deg/s?"


@pytest.mark.parametrize(
    ("look_up", "wrong", "right"),
    [
        (known_dataset, "pamap_2", "pamap2"),
        (known_dataset, "HAR UCI", "uci_har"),
        (get_activity, "wlaking", "walking"),
        (known_system, "feature_forrest", "feature_forest"),
        (named_device, "axivty", "axivity"),
        (lambda name: PromptStyle(place_names={name: "arm"}), "L_Forarm", "L_Forearm"),
    ],
)
def test_every_set_of_names_says_what_was_probably_meant(look_up, wrong, right):
    with pytest.raises(ValueError, match="unknown|must be one of") as error:
        look_up(wrong)
    assert f"did you mean {right}?" in str(error.value) and wrong in str(error.value)


def test_a_misspelt_activity_is_guessed_at_before_anything_is_simulated(anymo, tmp_path):
    with pytest.raises(ValueError, match="unknown activity 'siting'; did you mean sitting?"):
        simulate_archive(tmp_path / "a", procedural=1, activities=["walking", "siting"])
    assert not (tmp_path / "a").exists()
    code, _, err = anymo("evaluate", "recognition", "--data", tmp_path, "--system", "majorty")
    assert code == 2 and "did you mean majority?" in err
