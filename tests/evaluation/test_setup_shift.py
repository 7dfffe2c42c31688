"""Table C: people are held out, shifts change what they say and no more, and a run goes on where it was stopped."""

import json
from dataclasses import replace

import numpy as np
import pytest

from anymo_hf.evaluation import setup_shift
from anymo_hf.evaluation.results_file import write_percent
from anymo_hf.evaluation.setup_shift import (
    Setup,
    by_setup,
    measure,
    read_results,
    run_setup_shift,
    shifted,
    split,
)  # fmt: skip
from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.recordings.windows_file import WindowsFile
from anymo_hf.systems.interface import System, load_system

LABELS = DATASETS["openpack"].labels[:3]


def windows(people="abcdefgh", each=3, dataset="openpack", places=("left_wrist", "right_wrist")):
    """Acceleration of a class has its own length at the first place, and that of the next class at the second."""
    rng = np.random.default_rng(0)
    made = []
    for person in people:
        for label in range(3):
            for _ in range(each):
                signals = {
                    place: np.tile([0.0, 0.0, 2.0 + 4 * size, 0, 0, 0], (60, 1)) + rng.normal(0, 0.1, (60, 6))
                    for place, size in zip(places, (label, (label + 1) % 3), strict=True)
                }
                made.append(ImuRecording(signals, 30.0, LABELS[label], label, person, "s1", dataset, float(len(made))))
    return made


SETUP = Setup("openpack", "left_wrist", ("right_wrist",))


def test_nobody_is_in_training_and_test():
    recordings = windows()
    for count in (1, 2, 0):
        train, test, held_out = split(recordings, count, seed=3)
        assert held_out == "people"
        assert not {recordings[row].subject for row in train} & {recordings[row].subject for row in test}
        if count:
            labels = [recordings[row].label for row in train]
            assert all(labels.count(label) == count for label in LABELS)


def test_of_one_person_stretches_of_time_are_held_out_whole():
    recordings = windows("a", each=20)
    train, test, held_out = split(recordings, 0, seed=1)
    assert held_out == "time" and len(test) == 18 and not set(train) & set(test)
    assert {row // 6 for row in test} & {row // 6 for row in train} == set()


def test_too_few_people_are_refused():
    with pytest.raises(ValueError, match="four are needed"):
        split(windows("abc"), 1, 0)
    with pytest.raises(ValueError, match="four are needed"):
        split([replace(one, subject="") for one in windows("a")], 1, 0)


def test_a_fit_sees_its_own_placement_alone_and_every_shift_is_scored():
    seen = []

    class Spy(type(load_system("feature_forest"))):
        name = "spy"

        def fit(self, recordings, labels, groups=None):
            seen.append({place for one in recordings for place in one.signals})
            super().fit(recordings, labels, groups)

        def score(self, recordings, labels):
            seen.append({place for one in recordings for place in one.signals})
            return super().score(recordings, labels)

    cells = measure(Spy.load(seed=0), SETUP, windows(), 0, 0)
    assert seen == [{"left_wrist"}] * 6
    assert [cell.shift for cell in cells] == ["worn", "turned", "20 Hz", "other device", "on right wrist"]
    by = {cell.shift: cell.accuracy for cell in cells}
    assert by["worn"] == by["20 Hz"] == 100 and by["on right wrist"] == 0
    assert all((cell.trained_on, cell.tested_on, cell.held_out) == (54, 18, "people") for cell in cells)


def test_devices_of_different_clocks_are_tested_on_the_same_peoples_other_windows():
    both = windows(places=("left_pocket", "left_wrist"))
    apart = [
        replace(one, signals={place: one.signals[place]}, session=f"01-{place}")
        for one in both
        for place in one.signals
    ]
    setup = Setup("openpack", "left_pocket", ("left_wrist",))
    own = [one for one in apart if "left_pocket" in one.signals]
    test = [own[row] for row in split(own, 0, 0)[1]]
    other = shifted(setup, apart, test, 0)["on left wrist"]
    assert {one.subject for one in other} == {one.subject for one in test} and len(other) == len(test)
    assert all(list(one.signals) == ["left_pocket"] for one in other)
    assert not any(np.array_equal(a.signals["left_pocket"], b.signals["left_pocket"]) for a in other for b in test)


@pytest.fixture
def data(monkeypatch):
    held = {"openpack": WindowsFile("openpack", tuple(windows()), (), (), "worn", "", "1f")}

    def load(name, folder):
        if name not in held:
            raise OSError(f"{folder} holds neither {name}.parquet nor the folder {name}")
        return held[name]

    monkeypatch.setattr(setup_shift, "load_windows", load)
    monkeypatch.setattr(setup_shift, "SETUPS", (SETUP, Setup("uci_hapt", "waist")))
    return held


@pytest.mark.slow
def test_a_stopped_run_goes_on(data, tmp_path, monkeypatch):
    fits = []
    plain = setup_shift.measure

    def counted(*arguments):
        fits.append(arguments[3:5])
        if len(fits) == 3:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(setup_shift, "measure", counted)
    with pytest.raises(KeyboardInterrupt):
        list(run_setup_shift("feature_forest", "data", tmp_path, shares=(1, 0), seeds=2))
    path = tmp_path / "setup_shift" / "feature_forest.json"
    assert len(read_results(path).cells) == 10
    lines = list(run_setup_shift("feature_forest", "data", tmp_path, shares=(1, 0), seeds=2))
    assert fits == [(1, 0), (0, 0), (1, 1), (1, 1), (0, 1)] and lines[0].startswith(
        "left out: data holds neither uci_hapt"
    )
    found = read_results(path)
    assert len(found.cells) == 20
    (part,) = by_setup([found])
    assert part.name == "openpack, left wrist" and [cell for _, cell in part.cells] == list(found.cells)
    write_percent(path, found)
    assert read_results(path) == found


def test_results_of_other_windows_or_weights_and_damaged_files_are_refused(data, tmp_path):
    def run():
        return list(run_setup_shift("majority", "data", tmp_path, shares=(1,), seeds=1))

    run()
    path = tmp_path / "setup_shift" / "majority.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"weights": "00"}))
    with pytest.raises(ValueError, match="other weights of majority"):
        run()
    path.write_text(json.dumps(content | {"windows_sha256": {"openpack": "2f"}}))
    with pytest.raises(ValueError, match="other windows of openpack"):
        run()
    path.write_text("{}")
    with pytest.raises(ValueError, match="not a results file of this version.*move it away"):
        run()


def test_systems_and_datasets_that_do_not_fit_are_refused(data, tmp_path):
    for name, words in (("chance", "does not learn"), ("magic", "unknown system 'magic'")):
        with pytest.raises(ValueError, match=words):
            list(run_setup_shift(name, "data", tmp_path))
    with pytest.raises(ValueError, match="no setup of wisdm; there are openpack"):
        list(run_setup_shift("majority", "data", tmp_path, datasets=["wisdm"]))
    data.clear()
    with pytest.raises(OSError, match="neither uci_hapt"):
        list(run_setup_shift("majority", "data", tmp_path))
    assert not list(tmp_path.iterdir())


def test_memory_is_shared_by_the_fits_of_a_run(data, tmp_path, monkeypatch):
    held = []

    class Keeper(System):
        name, title, requires, licence = "keeper", "Keeper", "training", "none"

        @classmethod
        def load(cls, source=None, seed=0):
            return cls()

        def fit(self, recordings, labels, groups=None):
            held.append(self.memory)

        def score(self, recordings, labels):
            return np.zeros((len(recordings), len(labels)))

    monkeypatch.setattr(setup_shift, "known_system", lambda name: Keeper)
    monkeypatch.setattr(setup_shift, "load_system", lambda name, source=None, seed=0: Keeper())
    list(run_setup_shift("keeper", "data", tmp_path, shares=(1, 0), seeds=1))
    assert len(held) == 2 and held[0] is held[1] is not None and Keeper().memory is None
