"""Pieces against the whole: how a recording is cut must not show."""

import numpy as np
import pytest

from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.motion.procedural import simulate_activity
from anymo_hf.simulation.archive.shard import BLOCK_FRAMES, RecordingInfo, Shard, write_shard
from anymo_hf.simulation.archive.track import frame_blocks, motion_pieces, pose_track, split_terms, stacked_terms
from anymo_hf.simulation.kinematics import segment_kinematics


def whole(motion, pieces, rate=60.0):
    blocks = list(frame_blocks(pose_track(motion_pieces(motion, pieces), motion.frame_rate, rate), 10**6))
    assert len(blocks) == 1
    return blocks[0]


@pytest.mark.parametrize("rate", [30.0, 60.0, 100.0, 119.88, 240.0])
def test_pieces_equal_the_whole_and_segment_kinematics(rate):
    motion = simulate_activity("running", 0, 25.0 if rate < 100 else 9.0, rate)  # several pieces of each size
    reference = stacked_terms(segment_kinematics(motion))
    once = whole(motion, 10**6)
    for pieces in (97, 700):
        found = whole(motion, pieces)
        for name in ("positions", "orientations", "terms"):
            a, b = getattr(found, name), getattr(once, name)
            if a is not None:
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * (1 + np.abs(b).max()))
        terms = found.terms
        if terms is None:  # at 60 Hz or less poses say it all
            terms = stacked_terms(segment_kinematics(BodyMotion(60.0, found.positions, found.orientations)))
        assert terms.shape == reference.shape
        np.testing.assert_allclose(terms, reference, rtol=0, atol=1e-9 * np.abs(reference).max())


def test_blocks_keep_every_frame():
    motion = simulate_activity("walking", 0, 21.0)
    blocks = list(frame_blocks(pose_track(motion_pieces(motion, 77), 60.0, 60.0), 600))
    assert [len(block) for block in blocks] == [600, 600, 60]
    np.testing.assert_array_equal(np.concatenate([block.positions for block in blocks]), motion.positions)


@pytest.mark.parametrize("rate", [60.0, 240.0])
@pytest.mark.parametrize("spare", [0, 1, 2, 100])
def test_windows_of_a_shard_equal_the_whole_shard(tmp_path, rate, spare):
    frames = (BLOCK_FRAMES + spare) * round(rate / 60)
    motion = simulate_activity("walking", 0, frames / rate, rate)
    info = RecordingInfo("x", "", "", rate, 60.0, 1.75)
    shard_info = write_shard(tmp_path / "x.parquet", motion_pieces(motion, 500), info)
    assert shard_info.frames == BLOCK_FRAMES + spare
    terms = Shard(tmp_path / "x.parquet").terms()
    shard = Shard(tmp_path / "x.parquet", cached_blocks=1)
    for start, stop in [(0, 1), (0, 300), (590, 600), (BLOCK_FRAMES - 3, BLOCK_FRAMES + spare), (1, 4)]:
        np.testing.assert_allclose(shard.terms(start, stop), terms[start:stop], rtol=0, atol=1e-8)
    back = stacked_terms(split_terms(terms, 60.0))
    np.testing.assert_array_equal(back, terms)


def test_bad_pieces_are_refused():
    motion = simulate_activity("walking", 0, 2.0)
    broken = motion.positions.copy()
    broken[5, 3, 1] = np.nan
    with pytest.raises(ValueError, match="must be finite"):
        list(pose_track([(broken, motion.orientations)], 60.0, 60.0))
    with pytest.raises(ValueError, match=r"piece must be \(n, 23, 3\)"):
        list(pose_track([(broken[:, :4], motion.orientations)], 60.0, 60.0))
    for rate in (0.0, np.nan, -1.0):
        with pytest.raises(ValueError, match="positive"):
            list(pose_track(motion_pieces(motion), rate, 60.0))
    with pytest.raises(ValueError, match="3 frames or more"):
        list(pose_track([(motion.positions[:2], motion.orientations[:2])], 240.0, 60.0))
