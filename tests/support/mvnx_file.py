"""MVNX files of a body that moves at random, rigid at its joints."""

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from anymo_hf.modeling.body_segments import PARENTS, SEGMENTS
from anymo_hf.motion.skeleton import tpose_offsets, tpose_positions

LABELS = [name.replace("R_", "Right").replace("L_", "Left").replace("Forearm", "ForeArm") for name in SEGMENTS]
TRACKERS = ["Head", "Pelvis", "RightForeArm", "LeftFoot"]


def body(frames=20, seed=0):
    """`(T, 23, 3)` positions and rotations of a body that moves at random, rigid at its joints."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 3, frames)[:, None, None]
    vectors = rng.normal(0, 0.4, (1, 23, 3)) * np.sin(time + rng.uniform(0, 6, (1, 23, 3)))
    turns = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(frames, 23, 3, 3)
    positions, offsets = np.zeros((frames, 23, 3)), tpose_offsets(1.75)
    positions[:, 0] = [0.3, 0.2, 0.95]
    for index, parent in enumerate(PARENTS[1:], 1):
        positions[:, index] = positions[:, parent] + turns[:, parent] @ offsets[index]
    return positions, turns


def quaternions(matrices):
    return (
        Rotation.from_matrix(matrices.reshape(-1, 3, 3))
        .as_quat(scalar_first=True)
        .reshape(*matrices.shape[:-1][:-1], 4)
    )


def text_of(values):
    return " ".join(f"{value:.9f}" for value in np.ravel(values))


def write(path, *, version=3, rate=60, frames=20, order=None, axes=None, heading=0.0, poses=("identity",), sensors=TRACKERS,
          ms=lambda index, rate: 1_500_000_000_000 + round(index * 1000 / rate), index=None, skip=()):  # fmt: skip
    """Writes a body as MVNX; `axes` turns a segment's axes, `heading` is where the pose frames look, degrees."""
    positions, turns = body(frames)
    order = list(range(23)) if order is None else order
    alignment = np.stack([(axes or {}).get(name, np.eye(3)) for name in SEGMENTS])
    facing = Rotation.from_euler("z", heading, degrees=True).as_matrix()
    rng = np.random.default_rng(1)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<mvnx xmlns="http://www.xsens.com/mvn/mvnx" version="{version}"><mvn version="4.3"/><comment></comment>',
        f'<subject label="Kim" frameRate="{rate}" segmentCount="23"><segments>',
        *(f'<segment label="{LABELS[i]}" id="{n}"><points><point label="p"><pos_s>0 0 0</pos_s></point></points></segment>'
          for n, i in enumerate(order, 1)),
        "</segments><sensors>", *(f'<sensor label="{name}"/>' for name in sensors), "</sensors>",
        '<joints><joint label="jL5S1"><connector1>Pelvis/jL5S1</connector1></joint></joints><frames>',
    ]  # fmt: skip
    for kind in poses:
        lines.append(f'<frame time="0" index="" ms="0" type="{kind}">')
        lines.append(f"<orientation>{text_of(quaternions(facing @ alignment)[order])}</orientation>")
        lines.append(f"<position>{text_of((tpose_positions(1.75) @ facing.T)[order])}</position></frame>")
    held = quaternions(turns @ alignment)
    signals = {}
    count = len(sensors)
    for name in ("Acceleration", "AngularVelocity", "FreeAcceleration", "MagneticField"):
        if name in (("Acceleration", "AngularVelocity") if version == 3 else ("FreeAcceleration", "MagneticField")):
            signals[f"sensor{name}"] = rng.normal(0, 1, (frames, count, 3)) + [
                0,
                0,
                9.8 if name == "Acceleration" else 0,
            ]
    signals["sensorOrientation"] = (
        Rotation.random(frames * count, rng).as_quat(scalar_first=True).reshape(frames, count, 4)
    )
    for frame in range(frames):
        number = frame if index is None else index[frame]
        lines.append(
            f'<frame time="{round(frame * 1000 / rate)}" index="{number}" ms="{ms(frame, rate)}" type="normal">'
        )
        content = {"orientation": held[frame, order], "position": positions[frame, order], "velocity": positions[frame]}
        content |= {name: values[frame] for name, values in signals.items()}
        lines += [f"<{name}>{text_of(values)}</{name}>" for name, values in content.items() if name not in skip]
        lines.append("</frame>")
    lines.append("</frames></subject></mvnx>")
    Path(path).write_text("\n".join(lines))
    return positions, quaternions(turns), signals
