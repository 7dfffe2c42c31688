"""Reading back: windows, and paired views."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from anymo_hf.motion.body_motion import Narration
from anymo_hf.motion.procedural import simulate_activity
from anymo_hf.simulation.archive import Archive, simulate_archive
from anymo_hf.simulation.archive.dataset import ArchiveDataset, ViewCollator
from anymo_hf.simulation.archive.rows import window_spans
from anymo_hf.simulation.archive.shard import RecordingInfo
from anymo_hf.simulation.archive.track import stacked_terms
from anymo_hf.simulation.kinematics import segment_kinematics
from anymo_hf.simulation.views import ViewOptions, sample_views


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    simulate_archive(folder, procedural=2, seconds=24.0, activities=["walking", "jumping"], progress=False)
    return Archive(folder)


def test_windows_are_cut_from_the_recording(archive):
    dataset = ArchiveDataset(archive, 300, 150)
    assert len(dataset) == 4 * 8
    window = dataset[9]  # the second recording's second window, across two blocks with the third
    assert (window.recording, window.start) == ("procedural/jumping-1", 150)
    assert window.terms.shape == (23, 15, 300) and window.terms.dtype == torch.float32
    motion = simulate_activity("jumping", 1, 24.0)
    wanted = stacked_terms(segment_kinematics(motion))
    for index in (9, 11):
        window = dataset[index]
        part = wanted[window.start : window.start + 300].transpose(1, 2, 0)
        error = window.terms.numpy() - part
        assert np.abs(error[:, :3]).max() < 0.1
        assert np.sqrt((error[:, :3] ** 2).mean()) < 0.005
    assert set(window.texts) == {entry.text for entry in motion.narrations}
    assert len(ArchiveDataset(archive, 300, subjects=["procedural-1"])) == 8


def test_bad_windows_are_refused(archive):
    for options, words in [
        ({"frames": 2}, "at least 3"),
        ({"stride": 0}, "stride at least 1"),
        ({"frames": 2000}, "recordings are shorter"),
        ({"subjects": ["nobody"]}, "nobody are not in"),
    ]:
        with pytest.raises(ValueError, match=words):
            ArchiveDataset(archive, **options)
    with pytest.raises(ValueError, match="no recording 'x'"):
        archive.shard("x")


@pytest.mark.parametrize(
    "options",
    [ViewOptions(noise=False), ViewOptions(noise=False, belt=0.5, pocket=0.5, flip_probability=0.2),
     ViewOptions(noise=False, any_rotation=True), ViewOptions(noise=False, wobble=0.5, soft_attachment=0.5),
     ViewOptions(mounting="joint")],
)  # fmt: skip
def test_paired_views_are_those_of_sample_views(archive, options):
    dataset = ArchiveDataset(archive, 120, 360)
    windows = [dataset[index] for index in range(5)]
    batch = ViewCollator(archive.template, options, views=2, seed=7)(windows)
    assert batch.views.shape == (2, 5, 120, 23, 6) and batch.windows == tuple(windows)
    generator = torch.Generator().manual_seed(7)
    terms = torch.stack([window.terms for window in windows])
    # the same draws, a window at a time, each from its own body
    state = generator.get_state()
    for row, window in enumerate(windows):
        generator.set_state(state)
        body = archive.template.scaled(window.height)
        wanted = sample_views(terms, body, generator, options, views=2)[:, row]
        torch.testing.assert_close(batch.views[:, row], wanted, atol=2e-3, rtol=1e-4)


def test_views_of_a_pair_differ_and_are_drawn_alike_for_the_same_seed(archive):
    windows = [ArchiveDataset(archive)[10]] * 3  # walking
    first = ViewCollator(archive.template, seed=1)(windows).views
    assert torch.equal(first, ViewCollator(archive.template, seed=1)(windows).views)
    assert not torch.equal(first, ViewCollator(archive.template, seed=2)(windows).views)
    assert (first[0] - first[1]).abs().max() > 1 and (first[0, 0] - first[0, 1]).abs().max() > 1
    magnitude = first[..., :5, :3].norm(dim=-1).median()  # of the trunk
    assert 9 < magnitude < 10.8


def test_workers_of_a_loader_draw_differently(archive):
    dataset = ArchiveDataset(archive, 120, 2000)
    loader = DataLoader(
        torch.utils.data.Subset(dataset, [0] * 4), 2, num_workers=2, collate_fn=ViewCollator(archive.template, seed=1)
    )
    one, two = (batch.views for batch in loader)
    assert one.shape == (2, 2, 120, 23, 6)
    assert not torch.equal(one, two)


def test_collator_refuses_what_does_not_fit(archive):
    windows = [ArchiveDataset(archive, frames)[0] for frames in (100, 200)]
    with pytest.raises(ValueError, match=r"equally long, got \[100, 200\]"):
        ViewCollator(archive.template)(windows)
    with pytest.raises(ValueError, match="at least 1"):
        ViewCollator(archive.template, views=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_views_on_a_gpu(archive):
    batch = ViewCollator(archive.template, device="cuda")([ArchiveDataset(archive)[0]])
    assert batch.views.device.type == "cuda" and batch.views.isfinite().all()


def test_window_spans_follow_narrations():
    def info(frames, *spans):
        return RecordingInfo("x", "", "", 60.0, 60.0, 1.7, tuple(Narration(a, b, "t") for a, b in spans), frames=frames)

    assert window_spans(info(700)) == [(0, 300), (300, 600), (600, 700)]
    assert window_spans(info(650)) == [(0, 300), (300, 600)]  # a rest below a second
    assert window_spans(info(700, (1, 3), (1, 3), (2, 9))) == [(60, 180), (120, 420), (420, 540)]
    assert window_spans(info(700, (11, 99), (-5, 2))) == [(0, 120)]
    with pytest.raises(ValueError, match="3 frames or more"):
        window_spans(info(700), 0.01)
