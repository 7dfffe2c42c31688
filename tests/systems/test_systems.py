"""Every system of the registry against one contract; a new one is one file."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

import anymo_hf.systems
from anymo_hf.evaluation.system_recognition import networks
from anymo_hf.evaluation.tables import MISSING
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.systems import language_model
from anymo_hf.systems.feature_forest import window_features
from anymo_hf.systems.interface import System, load_system, systems
from anymo_hf.systems.signal_statistics import signal_statistics

LABELS = ("walking", "sitting", "running")
STEPS = {"walking": (1.8, 3.0), "sitting": (1.0, 0.0), "running": (2.7, 9.0)}  # Hz, m/s^2
CHECKPOINT = str(Path(__file__).parents[2] / "anymo")
TOY = '''
"""A toy."""
import numpy as np
from anymo_hf.systems.interface import System


class Toy(System):
    name, title, requires, licence = "toy", "Toy", "nothing", "Apache-2.0"
    channels, longest_seconds = (6,), 4.0

    @classmethod
    def load(cls, source=None, seed=0):
        return cls()

    def embed_imu(self, recordings):
        return np.array([[len(next(iter(one.signals.values()))), 1.0] for one in recordings])

    def embed_text(self, texts):
        return np.array([[1.0, len(text)] for text in texts])
'''


def windows(count=12, channels=6, seconds=2.0, places=("left_wrist", "waist")):
    rng, time = np.random.default_rng(0), np.arange(int(50 * seconds)) / 50
    found = []
    for number in range(count):
        label = LABELS[number % 3]
        rate, size = STEPS[label]
        signals = {}
        for place in places:
            signal = rng.normal(0, 0.2, (len(time), channels))
            signal[:, 2] += 9.8 + size * np.sin(2 * np.pi * rate * time + rng.uniform(0, 6))
            signals[place] = signal
        found.append(ImuRecording(signals, 50.0, label, subject=str(number % 4)))
    return found


def ready(small_system, name, train):
    """The system as it answers, fitted where it learns."""
    system = small_system(name)
    if system.can("fit"):
        with pytest.raises(ValueError, match="call fit first"):
            system.score(train, LABELS)
        system.fit(train, [one.label for one in train])
    return system


def drawn_once(draw):
    """A window's picture takes a third of a second, and the contract asks for the same ones again and again."""
    kept = {}

    def picture(recording):
        key = tuple((place, signal.tobytes()) for place, signal in sorted(recording.signals.items()))
        if key not in kept:
            kept[key] = draw(recording)
        return kept[key]

    return picture


def with_slow_ones(names):
    """Those with released weights, and one that draws every window."""
    slow = [name for name in names if name.startswith("anymo") or name == "language_plot"]
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in slow)) for name in names]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", with_slow_ones([name for name, kind in systems().items() if not kind.can("fit")]))
def test_networks_answer_on_a_gpu_as_on_a_processor(name, small_system):
    system, shown = small_system(name), windows(5)
    found = networks(system)
    if not found:
        pytest.skip(f"{name} has no network")
    scores = []
    for device in ("cpu", "cuda"):
        for part in found:
            part.to(device)
        scores.append(system.score(shown, LABELS))
    np.testing.assert_allclose(scores[1], scores[0], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", with_slow_ones(systems()))
def test_every_system_keeps_the_contract(name, small_system, monkeypatch):
    monkeypatch.setattr(language_model, "window_picture", drawn_once(language_model.window_picture))
    kind = systems()[name]
    assert kind.name == name and kind.title and kind.licence and kind.requires in MISSING and kind.__doc__
    assert set(kind.channels) <= {3, 6} and (kind.rate is None or 5 <= kind.rate <= 1000)
    assert kind.can("score") or kind.can("embed_imu") and kind.can("embed_text")
    train, shown = windows(), windows(7)
    system = ready(small_system, name, train)
    scores = system.score(shown, LABELS)
    assert scores.shape == (7, 3) and np.isfinite(scores).all()
    order, columns = [4, 0, 6, 1, 2, 5, 3], [2, 0, 1]
    again = system.score([shown[row] for row in order], [LABELS[column] for column in columns])
    np.testing.assert_allclose(again, scores[order][:, columns], atol=1e-5, rtol=1e-5)
    np.testing.assert_array_equal(ready(small_system, name, train).score(shown, LABELS), scores)
    with pytest.raises(ValueError, match="no windows"):
        system.score([], LABELS)
    with pytest.raises(ValueError, match=f"{re.escape(system.title)}: window 2 has no samples at 'left_wrist'"):
        system.score([*shown[:2], *windows(1, seconds=0)], LABELS)
    brief = [*shown[:2], *windows(1, seconds=0.1)]
    if kind.shortest_seconds is None:
        assert np.isfinite(system.score(brief, LABELS)).all()
    else:
        words = f"window 2 lasts 0.10 s, it takes at least {kind.shortest_seconds:g} s"
        with pytest.raises(ValueError, match=f"^{re.escape(system.title)}: {words}$"):
            system.score(brief, LABELS)
        assert np.isfinite(system.score(windows(1, seconds=np.ceil(50 * kind.shortest_seconds) / 50), LABELS)).all()
    if kind.can("embed_imu"):
        unit = system.embed_imu(shown), system.embed_text(LABELS)
        np.testing.assert_allclose(unit[0] @ unit[1].T, scores, atol=1e-5)
        for rows, count in zip(unit, (7, 3), strict=True):
            assert rows.shape == (count, unit[0].shape[1])
            np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    for method, arguments in (("embed_imu", (shown,)), ("embed_text", (LABELS,)), ("caption", (shown,)),
                              ("fit", (train, ["walking"] * 12))):  # fmt: skip
        if not kind.can(method):
            with pytest.raises(ValueError, match=re.escape(kind.title)):
                getattr(system, method)(*arguments)
    if kind.can("fit"):
        with pytest.raises(ValueError, match="label for each window, got 12 and 1"):
            system.fit(train, ["walking"])
        with pytest.raises(ValueError, match="group for each window, got 12 and 1"):
            system.fit(train, [one.label for one in train], ["Ada"])
        if kind.fewest_labels == 2:
            with pytest.raises(
                ValueError, match=f"^{re.escape(system.title)}: training holds one label, 'walking'; it"
            ):
                system.fit(train, ["walking"] * 12)
        else:
            system.fit(train, ["walking"] * 12)
            assert np.isfinite(system.score(shown, LABELS)).all()
    if kind.can("caption"):
        captions = system.caption(shown[:2])
        assert len(captions) == 2 and all(isinstance(text, str) for text in captions)


def test_a_new_system_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.setattr(anymo_hf.systems, "__path__", [*anymo_hf.systems.__path__, str(tmp_path)])
    assert list(systems()).count("toy") == 1 and {"chance", "majority", "feature_forest", "anymo"} < set(systems())
    toy = load_system("toy")
    np.testing.assert_array_equal(toy.score(windows(2), ["ab", "abc"]), [[102, 103], [102, 103]])
    with pytest.raises(ValueError, match="Toy: window 0 has 3 channels at 'left_wrist', it takes 6"):
        toy.score(windows(1, 3), LABELS)
    with pytest.raises(ValueError, match="Toy: window 0 lasts 5.00 s, it takes at most 4 s"):
        toy.score(windows(1, seconds=5), LABELS)
    with pytest.raises(ValueError, match="unknown system 'toi'; known: .*toy"):
        load_system("toi")
    (tmp_path / "twin.py").write_text(TOY)
    with pytest.raises(ValueError, match="'toy' is taken"):
        systems()


def test_the_page_of_systems_says_what_the_classes_say():
    page = (Path(__file__).parents[2] / "docs" / "systems.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    known, told = systems(), set()
    for names, _, _, _, rate, channels, window in (row for row in rows if len(row) == 7):
        for name in re.findall(r"`(\w+)`", names):
            kind, own = known[name], re.search(rf"`{name}` ([\d.]+) Hz", rate)
            asked = "any" if kind.rate is None else f"{kind.rate:g}"
            assert rate.endswith("samples") or asked == (own[1] if own else rate.split()[0]), name
            assert all(str(number) in channels for number in kind.channels), name
            assert kind.shortest_seconds is None or f"any from {kind.shortest_seconds:g} s" in window, name
            told.add(name)
    variants = {"unimts_mended", "imagebind_padded", "imu2clip_fixed", "normwear_mended"}
    assert told | variants == set(known)


def test_chance_is_even():
    shown = windows(900, seconds=0.1, places=("head",))
    chosen = load_system("chance").score(shown, LABELS).argmax(1)
    counts = np.bincount(chosen, minlength=3)
    assert (np.abs(counts - 300) < 5 * np.sqrt(200)).all()  # five standard deviations
    assert (load_system("chance", seed=1).score(shown, LABELS).argmax(1) != chosen).mean() > 0.5


def test_majority_gives_the_training_shares():
    system = load_system("majority")
    system.fit(windows(4), ["sitting", "sitting", "sitting", "walking"])
    np.testing.assert_array_equal(system.score(windows(2), LABELS), [[0.25, 0.75, 0]] * 2)


def test_the_forest_learns_and_is_scikit_learns():
    train, shown = windows(30), windows(9)
    forest = load_system("feature_forest", seed=3)
    forest.fit(train, [one.label for one in train])
    scores = forest.score(shown, (*LABELS, "swimming"))
    assert [LABELS[index] for index in scores.argmax(1)] == [one.label for one in shown] and (scores[:, 3] == 0).all()

    def table(rows):
        return np.hstack(
            [signal_statistics([one.signals[place] for one in rows], 50) for place in ("left_wrist", "waist")]
        )

    np.testing.assert_array_equal(window_features(train, ("left_wrist", "waist")), table(train))
    expected = RandomForestClassifier(300, random_state=3).fit(table(train), [one.label for one in train])
    np.testing.assert_allclose(scores[:, [1, 0]], expected.predict_proba(table(shown))[:, [1, 2]])
    with pytest.raises(ValueError, match=r"learned from \['left_wrist', 'waist'\] and cannot take \['head'\]"):
        forest.score(windows(1, places=("head",)), LABELS)


def test_a_window_may_lack_a_place_and_a_gyroscope():
    mixed = windows(4) + windows(2, 3, places=("waist",))
    features = window_features(mixed, ("left_wrist", "waist"))
    assert np.isnan(features[4:, :180]).all() and np.isfinite(features[4:, 180:]).all()
    forest = load_system("feature_forest")
    forest.fit(mixed, [one.label for one in mixed])
    assert np.isfinite(forest.score(mixed, LABELS)).all()


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(OSError, match=r"AnyMo \(Apache-2.0\) needs its checkpoint, model.safetensors.*no such folder"):
        load_system("anymo", str(tmp_path / "none"))
    with pytest.raises(OSError, match="config.json is missing"):
        load_system("anymo", str(tmp_path))


def test_a_system_is_loaded_by_itself():
    with pytest.raises(NotImplementedError):
        System.load()


@pytest.mark.parametrize("name", ["chance", "feature_forest", "minirocket", "deep_conv_lstm", "mantis_v2_scratch"])
def test_a_source_that_nothing_reads_is_refused(name):
    with pytest.raises(ValueError, match="reads no weights, so there is no --source runs/x for it; leave it out"):
        load_system(name, "runs/x")


def test_the_released_checkpoint_is_none_of_the_same_budget(tiny_release):
    assert load_system("anymo_same_budget", str(tiny_release)).title == "AnyMo nano, same budget"
    with pytest.raises(ValueError, match="anymo is the released checkpoint, which trained for longer"):
        load_system("anymo_same_budget", "anymo")


@pytest.mark.parametrize("name", ["anymo_linear", "anymo_full"])
def test_a_missing_checkpoint_of_a_classifier_is_said_before_it_learns(name):
    with pytest.raises(OSError, match="AnyMo, .* needs a checkpoint: --model 'nowhere': no such folder"):
        load_system(name, "nowhere")
