"""Body graph: segment order, tree, placement names and the ST-GCN partitions by their definition."""

import numpy as np
import pytest

from anymo_hf.modeling.body_segments import (
    PARENTS,
    PLACEMENT_WORDS,
    PLACEMENTS,
    SEGMENT_INDEX,
    SEGMENTS,
    WRISTS,
    resolve_placement,
    spatial_partitions,
)


def _steps_from_pelvis(index):
    steps = 0
    while PARENTS[index] >= 0:
        index, steps = PARENTS[index], steps + 1
    return steps


def test_tree_is_the_23_segment_body():
    assert len(SEGMENTS) == len(PARENTS) == len(set(SEGMENTS)) == 23
    assert [SEGMENTS[i] for i in (0, 4, 6, 9, 13, 17, 22)] == [
        "Pelvis", "T8", "Head", "R_Forearm", "L_Forearm", "R_Foot", "L_Toe",
    ]  # fmt: skip
    assert all(SEGMENT_INDEX[name] == index for index, name in enumerate(SEGMENTS))
    assert PARENTS[0] == -1 and all(0 <= parent < child for child, parent in enumerate(PARENTS) if child)
    # left mirrors right: the same bone hangs on the same parent
    for name, index in SEGMENT_INDEX.items():
        if name.startswith("R_"):
            parent = SEGMENTS[PARENTS[index]]
            assert SEGMENTS[PARENTS[SEGMENT_INDEX["L_" + name[2:]]]] == parent.replace("R_", "L_")


@pytest.mark.parametrize("graph", ["depth", "official"])
def test_partitions_follow_their_definition_entry_by_entry(graph):
    partitions = spatial_partitions(graph)
    assert partitions.shape == (3, 23, 23) and partitions.dtype == np.float32

    def far(index):
        steps = _steps_from_pelvis(index)
        return steps if graph == "depth" or steps <= 1 else float("inf")

    expected = np.zeros((3, 23, 23))
    for to in range(23):
        near = [i for i in range(23) if i == to or PARENTS[i] == to or PARENTS[to] == i]
        for source in near:
            expected[0 if source == to else 1 if far(source) >= far(to) else 2, source, to] = 1 / len(near)
    np.testing.assert_allclose(partitions, expected, atol=1e-7)
    np.testing.assert_allclose(partitions.sum((0, 1)), 1, rtol=1e-6)


def test_the_official_graph_knows_distances_of_one_bone_only():
    official, depth = spatial_partitions("official"), spatial_partitions("depth")
    assert [int((part > 0).sum()) for part in official] == [23, 38, 6]
    assert [int((part > 0).sum()) for part in depth] == [23, 22, 22]
    np.testing.assert_array_equal(official.sum(0), depth.sum(0))
    with pytest.raises(ValueError, match="graph must be one of depth, official, got 'uniform'"):
        spatial_partitions("uniform")


@pytest.mark.parametrize("wrist, bone", [("forearm", "Forearm"), ("hand", "Hand")])
def test_the_wrist_is_an_option(wrist, bone):
    assert SEGMENTS[resolve_placement("left_wrist", wrist)] == f"L_{bone}"
    assert SEGMENTS[resolve_placement("Right-Watch", wrist)] == f"R_{bone}"


def test_names_people_use_and_segment_names_resolve():
    for name, segment in PLACEMENTS.items():
        assert resolve_placement(name) == SEGMENT_INDEX[segment]
        assert resolve_placement(f" {name.upper().replace('_', ' ')} ") == SEGMENT_INDEX[segment]
        for side, prefix in (("left", "L_"), ("right", "R_")):
            if name.startswith(side) and not name.endswith("ear"):
                assert segment.startswith(prefix)
    for name, index in SEGMENT_INDEX.items():
        assert resolve_placement(name.lower()) == index
    assert {"waist", "chest", "head", "right_pocket", "left_ankle", "left_ear"} <= set(PLACEMENTS)


def test_a_limb_without_a_side_is_the_right_one():
    names = (
        "shoulder upper_arm arm forearm hand finger wrist watch pocket thigh upper_leg knee shin lower_leg ankle foot "
    )
    for name in (names + "shoe toe").split():
        for wrist in ("forearm", "hand"):
            right = resolve_placement(f"right_{name}", wrist)
            assert resolve_placement(name, wrist) == right
            assert SEGMENTS[right].startswith("R_")
            assert SEGMENTS[resolve_placement(f"left_{name}", wrist)] == "L_" + SEGMENTS[right][2:]
    assert SEGMENTS[resolve_placement("hip")] == "Pelvis" and SEGMENTS[resolve_placement("ear")] == "Head"


def test_every_name_is_listed_in_the_error():
    assert set(WRISTS) == {f"{side}{name}" for side in ("", "left_", "right_") for name in ("wrist", "watch")}
    assert not set(WRISTS) & set(PLACEMENTS)
    with pytest.raises(ValueError) as error:
        resolve_placement("tail")
    listed = str(error.value).split("one of: ")[1].split(", ")
    assert sorted([*PLACEMENTS, *WRISTS]) == listed


def test_unknown_names_and_options_are_refused_with_the_choices():
    with pytest.raises(ValueError, match="unknown placement 'tail'.*L_Toe.*left_wrist"):
        resolve_placement("tail")
    with pytest.raises(ValueError, match="wrist must be 'forearm' or 'hand', got 'elbow'"):
        resolve_placement("left_wrist", "elbow")


def test_every_segment_reads_as_words():
    assert sorted(PLACEMENT_WORDS) == list(range(23))
    assert PLACEMENT_WORDS[SEGMENT_INDEX["L_Forearm"]] == "left forearm"
    assert PLACEMENT_WORDS[SEGMENT_INDEX["R_UpperLeg"]] == "right upper leg"
    assert PLACEMENT_WORDS[SEGMENT_INDEX["T8"]] == "chest"
    assert len(set(PLACEMENT_WORDS.values())) == 23
