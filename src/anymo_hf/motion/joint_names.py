"""Which joint of a skeleton is which segment, by its name.

Joint names are compared without case, separators and prefixes (`mixamorig:`, `Bip01 `, `CC_Base_`);
`ALIASES` lists the names of each segment. A joint whose name is unknown still moves what hangs from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..modeling.body_segments import SEGMENTS


@dataclass
class Joint:
    """One joint: index of its parent (-1 for the root), offset from it at rest, and the end of what has no child."""

    name: str
    parent: int
    offset: np.ndarray
    end_site: np.ndarray | None = None


# Names without side, lower case, letters and digits only. Earlier names win, then joints nearer to the root.
SIDES = {"L": 1.0, "R": -1.0}  # of each side: the sign of y, where it lies
ALIASES: dict[str, tuple[str, ...]] = {
    "Pelvis": ("hips", "hip", "pelvis", "root"),
    "Neck": ("neck", "lowerneck", "neck1", "neck01"),
    "Head": ("head", "face"),  # a rig without a head bone has the face's
    "Shoulder": ("shoulder", "clavicle", "collar", "clav"),
    "UpperArm": ("upperarm", "uparm", "arm", "humerus", "shldr", "shoulder"),
    "Forearm": ("forearm", "lowerarm", "lowarm", "radius", "elbow"),
    "Hand": ("hand", "wrist"),
    "UpperLeg": ("upleg", "upperleg", "thigh", "femur", "hip"),
    "LowerLeg": ("lowerleg", "lowleg", "leg", "shin", "calf", "tibia", "knee"),
    "Foot": ("foot", "ankle"),
    "Toe": ("toebase", "toes", "toe", "toe0", "ball"),
}
_CENTRE = ("Pelvis", "Neck", "Head")
_OPTIONAL = ("Neck", "Shoulder", "Hand", "Toe")


def plain_name(name: str) -> str:
    """A joint's name in small letters, without prefix and separators."""
    name = name.rsplit(":", 1)[-1].lower()
    name = re.sub(r"[^a-z0-9]", "", name)
    return re.sub(r"^(mixamorig\d*|character\d*|bip0*1|ccbase)(?=.)", "", name)


def _sided(core: str, side: str) -> set[str]:
    letter, word = side.lower(), {"L": "left", "R": "right"}[side]
    return {letter + core, word + core, core + letter, core + word}


def find_joints(path: Path, joints: Sequence[Joint]) -> dict[str, int]:
    """Segment name -> joint index, where the file has such a joint.

    Raises:
        ValueError: a needed joint is missing.
    """
    names = [plain_name(joint.name) for joint in joints]
    depth = [0] * len(joints)
    for index, joint in enumerate(joints):
        depth[index] = 0 if joint.parent < 0 else depth[joint.parent] + 1

    def first(wanted: set[str], taken: set[int]) -> int | None:
        found = [i for i, name in enumerate(names) if name in wanted and i not in taken]
        return min(found, key=lambda i: (depth[i], i)) if found else None

    found: dict[str, int] = {}
    for base in _CENTRE:
        for core in ALIASES[base]:
            if base not in found and (index := first({core}, set())) is not None:
                found[base] = index
    found.setdefault("Pelvis", 0)
    for side in ("R", "L"):
        # a "shoulder" is the upper arm where no joint is called so; then the collar is the shoulder
        for base in ("UpperArm", "Shoulder", "Forearm", "Hand", "UpperLeg", "LowerLeg", "Foot", "Toe"):
            for core in ALIASES[base]:
                index = first(_sided(core, side), set(found.values()))
                if f"{side}_{base}" not in found and index is not None:
                    found[f"{side}_{base}"] = index
    missing = []
    for segment in SEGMENTS:
        base = segment[2:] if segment[1] == "_" else segment
        if base in ALIASES and segment not in found and base not in _OPTIONAL:
            missing.append(f"{segment} ({', '.join(ALIASES[base])})")
    if missing:
        raise ValueError(
            f"{path}: no joint found for {'; '.join(missing)}; rename the joints of the file, which are "
            f"{', '.join(joint.name for joint in joints)}"
        )
    for segment, above in (
        [(f"{side}_{a}", f"{side}_{b}") for side in "RL" for a, b in
         (("Forearm", "UpperArm"), ("Hand", "Forearm"), ("LowerLeg", "UpperLeg"), ("Foot", "LowerLeg"), ("Toe", "Foot"))]
        + [(f"{side}_{a}", "Pelvis") for side in "RL" for a in ("UpperArm", "UpperLeg")]
        + [("Head", "Pelvis")]
    ):  # fmt: skip
        if segment in found and found[above] not in ancestors(joints, found[segment]):
            raise ValueError(
                f"{path}: joint {joints[found[segment]].name!r} ({segment}) does not hang from "
                f"{joints[found[above]].name!r} ({above}); this is not the skeleton of one person"
            )
    return found


def ancestors(joints: Sequence[Joint], index: int) -> list[int]:
    """The joint itself, its parent and so on to the root."""
    chain = []
    while index >= 0:
        chain.append(index)
        index = joints[index].parent
    return chain
