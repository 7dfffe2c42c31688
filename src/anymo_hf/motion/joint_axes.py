"""Which way the segments of a skeleton face.

A file says how a joint turned since its rest pose, so a constant rotation leads from each
segment's axes to its joint's. There are two ways to find it:

- *The rest pose stands* (T-pose, A-pose or hanging arms: head up, legs down, toes ahead): trunk, head and collar bones
  face along the body's axes; the T-pose long axis of an arm or leg segment is laid on its rest bone by the smallest
  rotation; hands face as forearms; feet as lower legs, turned about the leg to the toes' heading.
- *The rest pose is no pose* (every bone along its own axis, as animation tools export): the pelvis faces along its hips
  and spine, the chest along its shoulders and neck, and a limb's long axis along its bone, all constant in the joint's
  axes. The turn about a limb's long axis comes from the clip: elbows and knees bend about hinges. A foot is level while
  it stands. If the limbs' bones lie along their joints' own axes, every other axis is taken from those too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from .joint_names import SIDES, Joint, ancestors
from .rotations import frame_of, nearest_signed_axes, smallest_rotation, unit_vectors

_BONES = (("UpperArm", "Forearm"), ("Forearm", "Hand"), ("UpperLeg", "LowerLeg"), ("LowerLeg", "Foot"))


def _t_pose_axis(segment: str) -> np.ndarray:
    """Where a limb segment's long axis points in the T-pose: arms to their side, legs down."""
    return np.array([0, 0, -1.0]) if "Leg" in segment else np.array([0, SIDES[segment[0]], 0])


class Rig:
    """The joints of one file with the segments they stand for, and the constant rotation from segment to joint axes."""

    def __init__(self, joints: Sequence[Joint], found: dict[str, int], positions: np.ndarray, rotations: np.ndarray):
        self.joints, self.found = joints, found
        self.positions, self.rotations = positions, rotations  # of the clip, file axes
        arms = ancestors(joints, found["L_UpperArm"]), set(ancestors(joints, found["R_UpperArm"]))
        self.chest = next(index for index in arms[0] if index in arms[1])
        path = ancestors(joints, self.chest)
        self.spine = path[: path.index(found["Pelvis"])][::-1] if found["Pelvis"] in path else []
        if not self.spine:  # arms and legs hang from the pelvis
            self.chest = found["Pelvis"]
        self.neck_or_head = found.get("Neck", found["Head"])

    # -- points

    def point(self, segment: str) -> np.ndarray:
        return self.positions[:, self.found[segment]]

    def tip(self, segment: str) -> np.ndarray | None:
        """`(T, 3)` far end of a segment that no mapped joint ends: the mean end of what hangs from its joint."""
        index = self.found[segment]
        below = [
            i for i, joint in enumerate(self.joints) if joint.parent == index and np.linalg.norm(joint.offset) > 1e-6
        ]
        if below:
            return self.positions[:, below].mean(1)
        site = self.joints[index].end_site
        if site is None or np.linalg.norm(site) < 1e-6:
            return None
        return self.positions[:, index] + self.rotations[:, index] @ site

    def hand(self, side: str) -> np.ndarray | None:
        return self.point(f"{side}_Hand") if f"{side}_Hand" in self.found else self.tip(f"{side}_Forearm")

    def toe(self, side: str) -> np.ndarray | None:
        return self.point(f"{side}_Toe") if f"{side}_Toe" in self.found else self.tip(f"{side}_Foot")

    def bone(self, segment: str) -> np.ndarray:
        """`(T, 3)` unit direction of a limb segment in file axes."""
        side, base = segment[0], segment[2:]
        after = dict(_BONES)[base]
        end = self.hand(side) if after == "Hand" else self.point(f"{side}_{after}")
        assert end is not None  # checked when the joints were found
        return unit_vectors(end - self.point(segment))

    def in_joint(self, joint: int, vectors: np.ndarray) -> np.ndarray:
        """Mean over the clip of file-axes vectors `(T, 3)` in a joint's axes."""
        return np.einsum("tji,tj->i", self.rotations[:, joint], vectors) / len(vectors)

    def next_on_line(self, index: int) -> int:
        """The next joint of the line pelvis, spine, neck, head that lies at another place."""
        line = [self.found["Pelvis"], *self.spine, self.neck_or_head, self.found["Head"]]
        for other in line[line.index(index) + 1 :]:
            if np.linalg.norm(self.positions[:, other] - self.positions[:, index], axis=-1).mean() > 1e-6:
                return other
        return index

    # -- the two ways to find axes

    def from_rest_pose(self, rest: np.ndarray, body: np.ndarray) -> dict[int, np.ndarray]:
        """Joint -> axes of its segment, from a standing rest pose with body axes `body` (columns forward, left, up)."""
        axes = {index: body for index in range(len(self.joints))}
        found = self.found
        for side in SIDES:
            for base, after in _BONES:
                segment = f"{side}_{base}"
                index = found[segment]
                if f"{side}_{after}" in found:
                    direction = unit_vectors(rest[found[f"{side}_{after}"]] - rest[index])
                else:
                    direction = unit_vectors(self.in_joint(index, self.bone(segment)))
                axes[index] = smallest_rotation(body @ _t_pose_axis(segment), direction) @ body
            if f"{side}_Hand" in found:
                axes[found[f"{side}_Hand"]] = axes[found[f"{side}_Forearm"]]
            foot = found[f"{side}_Foot"]
            toe = self.toe(side)
            shank = axes[found[f"{side}_LowerLeg"]]
            heading = (
                shank.T @ self.in_joint(foot, toe - self.point(f"{side}_Foot")) if toe is not None else np.eye(3)[0]
            )
            turn = frame_of(np.array([0, 0, 1.0]), 2, heading, 0)
            axes[foot] = shank @ turn
            if f"{side}_Toe" in found:
                axes[found[f"{side}_Toe"]] = axes[foot]
        return axes

    def from_motion(self, up: np.ndarray) -> dict[int, np.ndarray]:
        """Joint -> axes of its segment, from bones and from how the clip moves (`up`: the file's up axis)."""
        found, axes = self.found, {}
        mean = self.in_joint
        bones = {f"{side}_{base}": self.bone(f"{side}_{base}") for side in SIDES for base, _ in _BONES}
        local = {segment: unit_vectors(mean(found[segment], bone)) for segment, bone in bones.items()}
        aligned = all(np.abs(direction).max() > 0.998 for direction in local.values())  # within 3.6 degrees
        snap = nearest_signed_axes if aligned else (lambda frame: frame)

        hips = unit_vectors(self.point("L_UpperLeg") - self.point("R_UpperLeg"))
        shoulders = unit_vectors(self.point("L_UpperArm") - self.point("R_UpperArm"))
        line = [found["Pelvis"], *self.spine, self.neck_or_head, found["Head"]]
        for place, index in enumerate(dict.fromkeys(line)):
            left = (
                hips
                if place == 0
                else shoulders
                if index == self.chest or place > len(self.spine)
                else hips + shoulders
            )
            after = self.next_on_line(index)
            if after == index and index == found["Head"]:
                tip = self.tip("Head")
                if tip is None:
                    axes[index] = axes[self.neck_or_head] if self.neck_or_head != index else axes[self.chest]
                    continue
                long = tip - self.positions[:, index]
            else:
                long = self.positions[:, after] - self.positions[:, index]
            axes[index] = snap(frame_of(mean(index, left), 1, mean(index, long), 2))

        for side, sign in SIDES.items():
            if f"{side}_Shoulder" in found:
                index = found[f"{side}_Shoulder"]
                along = unit_vectors(self.point(f"{side}_UpperArm") - self.point(f"{side}_Shoulder"))
                chest_up = self.rotations[:, self.chest] @ axes[self.chest][:, 2]
                axes[index] = snap(frame_of(sign * mean(index, along), 1, mean(index, chest_up), 2))
            for upper, lower, parent in (
                ("UpperArm", "Forearm", self.chest),
                ("UpperLeg", "LowerLeg", found["Pelvis"]),
            ):
                pair = f"{side}_{upper}", f"{side}_{lower}"
                hinge = np.cross(bones[pair[0]], bones[pair[1]])  # to the right at elbows, to the left at knees
                straight = np.linalg.norm(hinge, axis=-1).mean() < 0.1
                above = self.rotations[:, parent] @ axes[parent]
                for segment in pair:
                    index = found[segment]
                    if straight:  # never bent: the smallest turn away from the trunk
                        turned = smallest_rotation(above @ _t_pose_axis(segment), bones[segment]) @ above
                        hinge = turned[..., 1] if upper == "UpperLeg" else -sign * turned[..., 2]
                    if upper == "UpperLeg":
                        frame = frame_of(-local[segment], 2, mean(index, hinge), 1)
                    else:
                        frame = frame_of(sign * local[segment], 1, -sign * mean(index, hinge), 2)
                    axes[index] = snap(frame)
            if f"{side}_Hand" in found:
                hand, forearm = found[f"{side}_Hand"], found[f"{side}_Forearm"]
                axes[hand] = axes[forearm]
                turned = np.einsum("tji,tjk->ik", self.rotations[:, hand], self.rotations[:, forearm] @ axes[forearm])
                usual = Rotation.from_matrix(turned)  # the nearest rotation to the mean
                if (usual.inv() * Rotation.from_matrix(axes[hand])).magnitude() > np.radians(60):
                    axes[hand] = snap(usual.as_matrix())  # the rig's hand axes are not those of its forearm

            toe = self.toe(side)
            track = self.point(f"{side}_Foot") + (toe if toe is not None else self.point(f"{side}_Foot"))
            speed = np.linalg.norm(np.gradient(track, axis=0), axis=-1) if len(track) > 1 else np.zeros(1)
            stands = speed <= np.quantile(speed, 0.15)
            shank = found[f"{side}_LowerLeg"]
            left = self.rotations[:, shank] @ axes[shank][:, 1]
            for segment in (f"{side}_Foot", f"{side}_Toe"):
                if segment in found:
                    index = found[segment]
                    if segment.endswith("Foot"):
                        across = mean(index, left)
                        if aligned and np.abs(unit_vectors(across)).max() > 0.8:
                            place = np.abs(across).argmax()
                            across = np.eye(3)[place] * np.sign(across[place])
                    level = np.einsum("tji,j->i", self.rotations[stands, index], up)
                    axes[index] = frame_of(across, 1, level, 2)
        return axes


def standing_axes(rest: np.ndarray, rig: Rig) -> np.ndarray | None:
    """Body axes (columns forward, left, up) of a rest pose that stands, or None where it does not."""
    found = rig.found
    left = rest[found["L_UpperLeg"]] - rest[found["R_UpperLeg"]]
    trunk = unit_vectors(rest[found["Head"]] - rest[found["Pelvis"]])
    for up in np.eye(3)[[1, 2]]:
        if np.linalg.norm(left) < 1e-9 or abs(unit_vectors(left) @ up) > 0.3 or trunk @ up < 0.85:
            continue
        body = frame_of(up, 2, left, 1)
        straight = True
        for side, sign in SIDES.items():
            names = [found.get(f"{side}_{base}") for base in ("UpperArm", "Forearm", "Hand")]
            arm = [unit_vectors(rest[b] - rest[a]) for a, b in zip(names, names[1:], strict=False) if b is not None]
            names = [found[f"{side}_{base}"] for base in ("UpperLeg", "LowerLeg", "Foot")]
            leg = [unit_vectors(rest[b] - rest[a]) for a, b in zip(names, names[1:], strict=False)]
            toe = found.get(f"{side}_Toe")
            site = rig.joints[found[f"{side}_Foot"]].end_site
            ahead = rest[toe] - rest[names[-1]] if toe is not None else site
            straight &= all(bone @ up < -0.7 for bone in leg)
            straight &= all(bone @ (sign * body[:, 1]) > -0.3 and bone @ up < 0.5 for bone in arm)
            straight &= len(arm) < 2 or arm[0] @ arm[1] > 0.85
            straight &= ahead is None or np.linalg.norm(ahead) < 1e-9 or unit_vectors(ahead) @ body[:, 0] > 0.5
        if straight:
            return body
    return None
