"""Body graph: segment order, tree, placement names and the ST-GCN partitions by their definition."""

import pytest
import torch

from anymo_hf.modeling.body_segments import (
    PARENTS,
    PLACEMENT_WORDS,
    PLACEMENTS,
    SEGMENT_INDEX,
    SEGMENTS,
    WRISTS,
    body_graph,
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


def test_graph_has_every_bone_both_ways_and_is_one_piece():
    graph = body_graph()
    edges = {tuple(pair) for pair in graph.edge_index.t().tolist()}
    assert graph.num_nodes == 23 and graph.edge_index.shape == (2, 44)
    assert edges == {(b, a) for a, b in edges}
    reached = {0}
    for _ in range(23):
        reached |= {b for a, b in edges if a in reached}
    assert reached == set(range(23))


def test_partitions_follow_their_definition_entry_by_entry():
    partitions = spatial_partitions()
    assert partitions.shape == (3, 23, 23) and partitions.dtype == torch.float32
    expected = torch.zeros(3, 23, 23, dtype=torch.float64)
    for to in range(23):
        near = [i for i in range(23) if i == to or PARENTS[i] == to or PARENTS[to] == i]
        for source in near:
            farther = _steps_from_pelvis(source) >= _steps_from_pelvis(to)
            expected[0 if source == to else 1 if farther else 2, source, to] = 1 / len(near)
    torch.testing.assert_close(partitions.double(), expected, atol=1e-7, rtol=0)
    torch.testing.assert_close(partitions.sum((0, 1)), torch.ones(23))


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
