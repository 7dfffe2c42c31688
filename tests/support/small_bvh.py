"""A BVH file of a standing person whose left arm rises, 30 frames a second, centimetres."""

import math
from pathlib import Path

_SPINE = [("Spine", "Hips", (0, 20, 0)), ("Chest", "Spine", (0, 20, 0)), ("Neck", "Chest", (0, 15, 0)),
          ("Head", "Neck", (0, 10, 0))]  # fmt: skip
_SIDE = [("Arm", "Chest", (18, 10, 0)), ("ForeArm", "Arm", (28, 0, 0)), ("Hand", "ForeArm", (25, 0, 0)),
         ("UpLeg", "Hips", (9, -5, 0)), ("Leg", "UpLeg", (0, -42, 0)), ("Foot", "Leg", (0, -42, 0)),
         ("ToeBase", "Foot", (0, -4, 12))]  # fmt: skip


def write_small_bvh(path: Path, frames: int = 90) -> Path:
    """Writes the file, and its folder; `frames` change its bytes."""
    joints = {"Hips": ("", (0, 95, 0))} | {name: (parent, offset) for name, parent, offset in _SPINE}
    for side, sign in (("Left", 1), ("Right", -1)):
        for name, parent, (x, y, z) in _SIDE:
            above = parent if parent in joints else side + parent
            joints[side + name] = (above, (sign * x, y, z))
    order, lines = [], ["HIERARCHY"]

    def add(name: str) -> None:
        order.append(name)
        parent, offset = joints[name]
        channels = "3" if parent else "6 Xposition Yposition Zposition"
        lines.extend([f"{'JOINT' if parent else 'ROOT'} {name}", "{", "OFFSET {} {} {}".format(*offset),
                      f"CHANNELS {channels} Zrotation Xrotation Yrotation"])  # fmt: skip
        below = [child for child, (above, _) in joints.items() if above == name]
        for child in below:
            add(child)
        lines.extend([] if below else ["End Site", "{", "OFFSET 0 0 5", "}"])
        lines.append("}")

    add("Hips")
    lines += ["MOTION", f"Frames: {frames}", "Frame Time: 0.0333333"]
    for frame in range(frames):
        row = [0.0, 95.0, 0.0]
        for name in order:
            row += [40 * math.sin(frame / 8) if name == "LeftArm" else 0.0, 0.0, 0.0]
        lines.append(" ".join(f"{value:.5f}" for value in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path
