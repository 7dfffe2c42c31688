"""The 23-segment body: segments, kinematic tree, placement names and the graph partitions of the ST-GCN. No torch."""

from __future__ import annotations

import numpy as np

from .known_names import did_you_mean

SEGMENTS: tuple[str, ...] = (
    "Pelvis", "L5", "L3", "T12", "T8", "Neck", "Head",
    "R_Shoulder", "R_UpperArm", "R_Forearm", "R_Hand", "L_Shoulder", "L_UpperArm", "L_Forearm", "L_Hand",
    "R_UpperLeg", "R_LowerLeg", "R_Foot", "R_Toe", "L_UpperLeg", "L_LowerLeg", "L_Foot", "L_Toe",
)  # fmt: skip
PARENTS: tuple[int, ...] = (-1, 0, 1, 2, 3, 4, 5, 4, 7, 8, 9, 4, 11, 12, 13, 0, 15, 16, 17, 0, 19, 20, 21)
SEGMENT_INDEX: dict[str, int] = {name: index for index, name in enumerate(SEGMENTS)}

_WORDS = {
    "UpperArm": "upper arm", "UpperLeg": "upper leg", "LowerLeg": "lower leg", "T8": "chest", "T12": "upper back",
    "L3": "lower back", "L5": "waist",
}  # fmt: skip


def _words(segment: str) -> str:
    side, bone = ({"R_": "right ", "L_": "left "}[segment[:2]], segment[2:]) if segment[1] == "_" else ("", segment)
    return side + _WORDS.get(bone, bone.lower())


PLACEMENT_WORDS: dict[int, str] = {index: _words(name) for index, name in enumerate(SEGMENTS)}

# What people call a place -> the segment it is on. A limb's place without a side ("ankle") means the right one; hip and
# ear without a side are the pelvis and the head.
PLACEMENTS: dict[str, str] = {
    "waist": "L5", "belt": "L5", "lower_back": "L3", "back": "T12", "upper_back": "T12", "chest": "T8", "sternum": "T8",
    "torso": "T8", "pelvis": "Pelvis", "hip": "Pelvis", "neck": "Neck", "head": "Head", "ear": "Head", "left_ear": "Head",
    "right_ear": "Head", "glasses": "Head", "forehead": "Head", "left_hip": "L_UpperLeg", "right_hip": "R_UpperLeg",
}  # fmt: skip
# A wrist has no segment of its own: `resolve_placement` puts it on the forearm or the hand of this side, because the
# official code does the one in some datasets and the other in the rest.
WRISTS: dict[str, str] = {}
for _side, _prefix in (("", "R"), ("left_", "L"), ("right_", "R")):
    WRISTS |= {f"{_side}wrist": _prefix, f"{_side}watch": _prefix}
    PLACEMENTS |= {
        f"{_side}shoulder": f"{_prefix}_Shoulder", f"{_side}upper_arm": f"{_prefix}_UpperArm",
        f"{_side}arm": f"{_prefix}_UpperArm", f"{_side}forearm": f"{_prefix}_Forearm", f"{_side}hand": f"{_prefix}_Hand",
        f"{_side}finger": f"{_prefix}_Hand", f"{_side}pocket": f"{_prefix}_UpperLeg",
        f"{_side}thigh": f"{_prefix}_UpperLeg", f"{_side}upper_leg": f"{_prefix}_UpperLeg",
        f"{_side}knee": f"{_prefix}_LowerLeg", f"{_side}shin": f"{_prefix}_LowerLeg",
        f"{_side}lower_leg": f"{_prefix}_LowerLeg", f"{_side}ankle": f"{_prefix}_LowerLeg",
        f"{_side}foot": f"{_prefix}_Foot", f"{_side}shoe": f"{_prefix}_Foot", f"{_side}toe": f"{_prefix}_Toe",
    }  # fmt: skip


def resolve_placement(name: str, wrist: str = "forearm") -> int:
    """Segment index of a placement or segment name.

    Args:
        name: a key of `PLACEMENTS` or `WRISTS`, or a segment name; case, spaces and dashes are free. A limb's place
            without a side, such as "ankle" or "wrist", means the right one; "hip" is the pelvis and "ear" the head.
        wrist: the segment a wrist or watch counts as, "forearm" (a watch sits on its far end) or "hand".

    Raises:
        ValueError: unknown name or wrist option.
    """
    if wrist not in ("forearm", "hand"):
        raise ValueError(f"wrist must be 'forearm' or 'hand', got {wrist!r}")
    key = str(name).strip().lower().replace(" ", "_").replace("-", "_")
    if key in WRISTS:
        return SEGMENT_INDEX[f"{WRISTS[key]}_{wrist.capitalize()}"]
    if key in PLACEMENTS:
        return SEGMENT_INDEX[PLACEMENTS[key]]
    for segment, index in SEGMENT_INDEX.items():
        if key == segment.lower():
            return index
    known = ", ".join(sorted([*PLACEMENTS, *WRISTS]))
    hint = did_you_mean(key, [*PLACEMENTS, *WRISTS, *SEGMENTS])
    raise ValueError(f"unknown placement {name!r}{hint}; use a segment name ({', '.join(SEGMENTS)}) or one of: {known}")


# How far a segment is from the pelvis, for the partitions: "depth" counts every bone (Yan et al. 2018). "official" counts
# to one only, as the authors' code does, so that all segments beyond the pelvis's neighbours are equally far.
GRAPHS = ("depth", "official")


def spatial_partitions(graph: str = "depth", parents: tuple[int, ...] = PARENTS) -> np.ndarray:
    """Spatial partitions of the ST-GCN, `(3, 23, 23)` float32 indexed [partition, from, to] (paper A.3).

    Partition 0 is the node itself, 1 neighbours as far from the pelvis or farther, 2 neighbours nearer to it. Columns
    are divided by the degree counted over all three, so the sum of the three is the same for both graphs.

    Args:
        graph: how distances to the pelvis are counted, one of `GRAPHS`.
        parents: of each node in another tree, parents first; the root has -1.

    Raises:
        ValueError: another graph.
    """
    if graph not in GRAPHS:
        raise ValueError(f"graph must be one of {', '.join(GRAPHS)}, got {graph!r}")
    count = len(parents)
    linked = np.eye(count, dtype=bool)
    distance = np.zeros(count)
    for child, parent in enumerate(parents):
        if parent >= 0:
            linked[child, parent] = linked[parent, child] = True
            distance[child] = distance[parent] + 1
    if graph == "official":
        distance[distance > 1] = np.inf
    normalised = linked / linked.sum(0)
    own = np.eye(count, dtype=bool)
    farther = (distance[:, None] >= distance[None, :]) & ~own
    return np.stack([normalised * part for part in (own, farther, ~farther & ~own)]).astype(np.float32)
