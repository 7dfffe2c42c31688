"""ASF and AMC files of a body in CMU's layout whose bones turn at random."""

import numpy as np

# name, parent, rest direction in x left, y up, z forward, length in CMU units, axis in degrees, dof
BONES = [
    ("lowerback", "root", (0, 1, 0), 2.0, (0, 0, 0), "rx ry rz"),
    ("upperback", "lowerback", (0, 1, 0.1), 2.0, (0, 0, 0), "rx ry rz"),
    ("thorax", "upperback", (0, 1, 0), 2.0, (0, 0, 0), "rx ry rz"),
    ("lowerneck", "thorax", (0, 1, 0), 1.6, (0, 0, 0), "rx ry rz"),
    ("head", "lowerneck", (0, 1, 0), 1.6, (0, 0, 0), "rx ry rz"),
]  # fmt: skip
for _side, _sign in (("l", 1), ("r", -1)):
    BONES += [
        (f"{_side}hipjoint", "root", (0.6 * _sign, -0.75, 0.3), 2.0, (0, 0, 0), ""),
        (f"{_side}femur", f"{_side}hipjoint", (0.34 * _sign, -0.94, 0), 7.2, (0, 0, 20 * _sign), "rx ry rz"),
        (f"{_side}tibia", f"{_side}femur", (0.34 * _sign, -0.94, 0), 7.4, (0, 0, 20 * _sign), "rx"),
        (f"{_side}foot", f"{_side}tibia", (0.07 * _sign, -0.18, 0.98), 2.4, (-90, 0, 20 * _sign), "rx rz"),
        (f"{_side}toes", f"{_side}foot", (0, 0, 1), 1.2, (-90, 0, 20 * _sign), "rx"),
        (f"{_side}clavicle", "thorax", (0.94 * _sign, 0.33, 0), 3.5, (0, 0, 0), "ry rz"),
        (f"{_side}humerus", f"{_side}clavicle", (_sign, 0, 0), 5.0, (180, 30 * _sign, 90 * _sign), "rx ry rz"),
        (f"{_side}radius", f"{_side}humerus", (_sign, 0, 0), 3.4, (0, 90 * _sign, 90), "rx"),
        (f"{_side}wrist", f"{_side}radius", (_sign, 0, 0), 1.7, (0, 90 * _sign, 90), "ry"),
        (f"{_side}hand", f"{_side}wrist", (_sign, 0, 0), 0.7, (0, 90 * _sign, 90), "rx rz"),
    ]  # fmt: skip


def numbers(values):
    return " ".join(f"{value:.9g}" for value in values)


def write(folder, *, frames=12, length=0.45, angle="deg", amc_angle=":DEGREES", still=False, scale=1.0, seed=0):
    """Writes 07.asf and 07_02.amc and returns the .amc; angles of all bones move at random."""
    turn = (lambda values: values) if angle == "deg" else np.radians
    lines = [":version 1.10", ":name Kim", ":units", " mass 1.0", f" length {length}", f" angle {angle}",
             ":documentation", "  written by a test", ":root", "  order TX TY TZ RX RY RZ", "  axis XYZ",
             "  position 0 0 0", "  orientation 0 0 0", ":bonedata"]  # fmt: skip
    for number, (name, _, direction, reach, axis, dof) in enumerate(BONES, 1):
        unit = np.array(direction) / np.linalg.norm(direction)
        lines += ["begin", f"  id {number}", f"  name {name}", f"  direction {numbers(unit)}", f"  length {reach * scale}",
                  f"  axis {numbers(turn(np.array(axis, float)))} XYZ"]  # fmt: skip
        if dof:
            lines += [f"  dof {dof}", "  limits (-180 180)", *["    (-180.0 180.0)"] * (len(dof.split()) - 1)]
        lines.append("end")
    lines += [":hierarchy", "begin"]
    for parent in ["root", *(bone[0] for bone in BONES)]:
        children = [bone[0] for bone in BONES if bone[1] == parent]
        if children:
            lines.append(f"  {parent} {' '.join(children)}")
    (folder / "07.asf").write_text("\n".join([*lines, "end"]) + "\n")
    rng = np.random.default_rng(seed)
    rows = ["#!OML:ASF 07.ASF", ":FULLY-SPECIFIED", amc_angle]
    phase = {name: rng.uniform(0, 6, 3) for name, *_ in BONES}
    for frame in range(frames):
        wave = lambda name, count, t=frame: 25 * (not still) * np.sin(0.3 * t + phase[name][:count])  # noqa: E731
        root = [0.5 * frame * scale, 17.0 * scale, 2 * scale]
        turned = np.array([10, 40 + 8 * frame, -6.0]) * (not still)
        unit = np.radians if amc_angle == ":RADIANS" else (lambda values: values)
        rows += [str(frame + 1), f"root {numbers([*root, *unit(turned)])}"]
        rows += [f"{name} {numbers(unit(wave(name, len(dof.split()))))}" for name, *_, dof in BONES if dof]
    path = folder / "07_02.amc"
    path.write_text("\n".join(rows) + "\n")
    return path
