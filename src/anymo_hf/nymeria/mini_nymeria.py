"""A small Nymeria: recordings in its true layout, from procedural motion, so that everything runs without a download.

Every person walks through one list of activities, joined by cross-fades of half a second. A session holds
`body/xdata.npz` at 240 Hz, `narration/atomic_action.csv` on the head's clock, `metadata.json`, and a `motion.vrs` for the
head and each wrist with two IMUs. The two sit 2 cm apart in other axes and have other noise, and each device has a clock
of its own; all are simulated from the session's one motion. `annotations.parquet` holds what the label pipeline would
give, from the labels of the activities. Nothing in it is anybody's data.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ..atomic_write import replacing_folder
from ..modeling.body_segments import SEGMENT_INDEX
from ..motion.body_motion import Narration
from ..motion.procedural import HELD_OUT_SEED, SubjectStyle, simulate_activity
from ..motion.skeleton import tpose_positions
from ..simulation.kinematics import rotation_matrices, trajectory_signals
from ..simulation.sensor_noise import STANDARD_GRAVITY, NoiseModel, add_noise
from .imu import DEVICES, STREAMS
from .narration import FIRST_ROW_DELAY
from .vrs_writer import write_imu_vrs

ANNOTATIONS = "annotations.parquet"
ACTIVITIES = (
    "walking", "standing", "stirring", "sitting", "picking_up", "boxing", "stairs_up", "typing", "squats", "sweeping",
    "jogging", "placing", "eating", "side_stepping", "writing", "drinking", "folding", "stairs_down", "throw", "lying_back",
)  # fmt: skip
_SPANS = (5.0, 5.0, 10.5, 5.0, 3.0)  # seconds of the narrations, over and over; Nymeria's are mostly five
_FADE = 0.5  # seconds
_CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])
_RATE = 240
_FIRST = ("ada", "bruno", "clara", "dario", "elena", "felix", "greta", "hugo", "irene", "jonas", "karla", "leon")
_LAST = ("alder", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine")
# Device -> segment, its middle between the two IMUs in segment axes (metres, x forward, y left, z up in the T-pose).
_WORN = {"head": ("Head", (0.09, 0.0, 0.10)), "left_wrist": ("L_Forearm", (0.0, 0.22, 0.03)),
         "right_wrist": ("R_Forearm", (0.0, -0.22, 0.03))}  # fmt: skip
# Stream -> shift from the middle, axes (columns in segment axes), errors.
_UNITS = {
    "1202-1": ((0.0, -0.01, 0.0), ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
               NoiseModel(120e-6 * STANDARD_GRAVITY, 1.2e-4, acc_bias=0.05, gyro_bias=0.003, scale=0.003)),
    "1202-2": ((0.0, 0.01, 0.0), ((0, 0, 1), (0, -1, 0), (1, 0, 0)),
               NoiseModel(230e-6 * STANDARD_GRAVITY, 2.4e-4, acc_bias=0.12, gyro_bias=0.008, scale=0.008, bits=14)),
}  # fmt: skip
_WEARER = re.compile(r"\b(a person|a human|an individual|the person|someone)\b", re.IGNORECASE)


def write_mini_nymeria(
    folder: str | Path, people: int = 5, sessions: int = 2, seconds: float = 30.0, seed: int = 0, progress: bool = True
) -> Path:
    """Write the recordings, whole or not at all; the same arguments give the same bytes.

    Args:
        folder: a new folder, or an empty one.
        people: how many, with two or more a split has both sides.
        sessions: recordings of each person.
        seconds: longest length of a recording; it ends after the last narration that fits whole.
        seed: of people, motion and noise.
        progress: show a bar.

    Returns:
        The annotations file.

    Raises:
        ValueError: numbers out of range.
        OSError: the folder holds files already.
    """
    from tqdm import tqdm

    folder = Path(folder)
    most = len(_FIRST) * len(_LAST)
    if not 1 <= people <= most or not 1 <= sessions <= 99 or not 6 <= seconds <= 3600 or seed < 0:
        raise ValueError(
            f"people must lie in 1..{most}, sessions in 1..99, seconds in 6..3600 and seed from 0, got {people}, "
            f"{sessions}, {seconds:g} and {seed}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OSError(f"{folder}: holds files already; give a new folder")
    rows: list[dict] = []
    with replacing_folder(folder) as work:
        for number in tqdm(range(people * sessions), unit="recording", disable=not progress):
            rows += _write_session(work, *divmod(number, sessions), seconds, seed)
        schema = pa.schema(
            [("sample_id", pa.string()), ("session_id", pa.string()), ("subject_id", pa.string()),
             ("start_time_sec", pa.float64()), ("end_time_sec", pa.float64()), ("narration", pa.string()),
             ("augmentations", pa.list_(pa.string())), ("label", pa.string())]
        )  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows, schema), work / ANNOTATIONS)
    return folder / ANNOTATIONS


def _write_session(folder: Path, person: int, session: int, seconds: float, seed: int) -> list[dict]:
    """One recording; returns its rows of the annotations."""
    style = SubjectStyle.draw(np.random.default_rng([seed, person]))
    rng = np.random.default_rng([seed, person, session])
    subject = f"{_FIRST[person % len(_FIRST)]}_{_LAST[person // len(_FIRST)]}"
    uid = f"{int(rng.integers(36**6)):06x}"[-6:]
    name = f"202306{session % 28 + 1:02d}_s{session // 28}_{subject}_act{session}_{uid}"
    positions, quaternions, narrations = _motion(session, seconds, seed, person, style)
    path = folder / name
    (path / "body").mkdir(parents=True)
    frames = len(positions)
    start_us = 1_000_000_000 + int(rng.integers(200_000_000))
    np.savez(
        path / "body" / "xdata.npz",
        timestamps_us=start_us + np.rint(np.arange(frames) * 1e6 / _RATE).astype(np.int64),
        frameCount=np.array([frames]), frameRate=np.array([_RATE]), segmentCount=np.array([23]),
        sensorCount=np.array([17]),
        segment_tXYZ=positions.reshape(frames, 69), segment_qWXYZ=quaternions.reshape(frames, 92),
        tpose_segment_tXYZ=tpose_positions(style.height).ravel(), tpose_segment_qWXYZ=np.tile([1.0, 0, 0, 0], 23),
    )  # fmt: skip
    record = {
        "version": "0.0", "date": name[:8], "session_id": f"s{session // 28}", "fake_name": subject,
        "act_id": f"act{session}", "uid": uid, "location": "procedural", "script": "S15-Do_as_I_command",
        "action_duration_sec": round(frames / _RATE, 3), "has_two_participants": False, "body_motion": True,
        "head_data": True, "left_wrist_data": True, "right_wrist_data": True, "atomic_action": True,
        "participant_height_cm": f"{100 * style.height:.0f}",
    }  # fmt: skip
    (path / "metadata.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    samples = _imu(positions, quaternions, rng)
    clocks = {}
    for device, directory in DEVICES.items():
        first_ns = int(rng.integers(100, 900)) * 1_000_000_000 + int(rng.integers(1_000_000_000))
        clocks[device] = start_us * 1000 - first_ns
        write_imu_vrs(path / directory / "data" / "motion.vrs", samples[device], clocks[device], first_ns=first_ns)
    (path / "narration").mkdir()
    start = start_us * 1e-6
    with (path / "narration" / "atomic_action.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, quoting=csv.QUOTE_ALL)
        out.writerow(["request_id", "start_time", "end_time", "Describe my atomic actions", "annotator"])
        for sentences in narrations:
            times = (
                f"{start - clocks['head'] * 1e-9 + second:.6f}" for second in (sentences[0].start, sentences[0].end)
            )
            text = _WEARER.sub("C", sentences[0].text, count=1).rstrip(".") + "."
            out.writerow(["1", *times, text[0].upper() + text[1:], "procedural"])
    return [
        {
            "sample_id": f"{name}:{index:04d}", "session_id": name, "subject_id": subject,
            "start_time_sec": start + first.start, "end_time_sec": start + first.end, "narration": first.text,
            "augmentations": [other.text for other in more], "label": first.label,
        }
        for index, (first, *more) in enumerate(narrations)
    ]  # fmt: skip


def _motion(
    session: int, seconds: float, seed: int, person: int, style: SubjectStyle
) -> tuple[np.ndarray, np.ndarray, list[list[Narration]]]:
    """Positions `(T, 23, 3)`, quaternions `(T, 23, 4)`, and for each activity six sentences with its span."""
    fade = round(_FADE * _RATE)
    weight = np.linspace(0, 1, fade)
    weight = (weight**3 * (weight * (6 * weight - 15) + 10))[:, None, None]
    many = int(seconds // min(_SPANS)) + 1
    positions, quaternions = np.zeros((0, 23, 3)), np.zeros((0, 23, 4))
    narrations: list[list[Narration]] = []
    at = lead = FIRST_ROW_DELAY
    for step in range(many):
        span = _SPANS[step % len(_SPANS)]
        # a session goes on in the list where one before it may have stopped
        activity = ACTIVITIES[(session * len(_SPANS) + step) % len(ACTIVITIES)]
        if at + span + _FADE > seconds:
            break
        number = HELD_OUT_SEED + 1000 * seed + 10 * person + session
        part = simulate_activity(activity, number, lead + span + _FADE, float(_RATE), style)
        lead = 0.0
        place, turn = part.positions.copy(), part.orientations
        if len(positions):
            # the person goes on facing the same way, from the same place
            w, _, _, z = _product(quaternions[-fade, 0], turn[0, 0] * _CONJUGATE)
            heading = np.arctan2(z, w)  # half the angle about the vertical
            turn = _product(np.array([np.cos(heading), 0, 0, np.sin(heading)]), turn)
            cosine, sine = np.cos(2 * heading), np.sin(2 * heading)
            place[..., :2] = (place[..., :2] - place[0, 0, :2]) @ np.array([[cosine, sine], [-sine, cosine]])
            place[..., :2] += positions[-fade, 0, :2]
            place[:fade] = (1 - weight) * positions[-fade:] + weight * place[:fade]
            turn = np.concatenate([_blend(quaternions[-fade:], turn[:fade], weight), turn[fade:]])
            positions, quaternions = positions[:-fade], quaternions[:-fade]
        positions, quaternions = np.concatenate([positions, place]), np.concatenate([quaternions, turn])
        narrations.append([Narration(at, at + span, item.text, item.label) for item in part.narrations])
        at += span
    return positions, quaternions, narrations


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Quaternions `(..., 4)` wxyz, `a` after `b`."""
    (p, *u), (q, *v) = np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0)
    u, v = np.stack(np.broadcast_arrays(*u), -1), np.stack(np.broadcast_arrays(*v), -1)
    vector = p[..., None] * v + q[..., None] * u + np.cross(u, v)
    return np.concatenate([(p * q - np.sum(u * v, -1))[..., None], vector], -1)


def _blend(before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Spherical interpolation frame by frame of `(n, 23, 4)`; the way round is one per segment, or it would jump."""
    step = _product(before * _CONJUGATE, after)
    step = step * np.where(step[len(step) // 2, :, :1] < 0, -1.0, 1.0)
    size = np.linalg.norm(step[..., 1:], axis=-1, keepdims=True)
    half = weight * np.arctan2(size, step[..., :1])
    part = np.concatenate([np.cos(half), np.sin(half) * step[..., 1:] / np.maximum(size, 1e-12)], -1)
    return _product(before, part)


def _imu(positions: np.ndarray, quaternions: np.ndarray, rng: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """Device -> stream -> `(T, 6)` noisy signals at the stream's own rate."""
    from scipy.spatial.transform import Rotation

    found: dict[str, dict[str, np.ndarray]] = {device: {} for device in DEVICES}
    for stream, (shift, columns, noise) in _UNITS.items():
        place, turn = np.empty((len(positions), 3, 3)), np.empty((len(positions), 3, 4))
        mounted = Rotation.from_matrix(np.array(columns, float).T)
        for index, device in enumerate(DEVICES):
            segment = SEGMENT_INDEX[_WORN[device][0]]
            arm = np.array(_WORN[device][1]) + shift
            place[:, index] = positions[:, segment] + rotation_matrices(quaternions[:, segment]) @ arm
            worn = Rotation.from_quat(quaternions[:, segment], scalar_first=True) * mounted
            turn[:, index] = worn.as_quat(scalar_first=True)
        rate = STREAMS[stream]
        clean = trajectory_signals(place, turn, _RATE, rate)
        noisy = add_noise(torch.from_numpy(clean)[None], [noise], rng, rate)[0].numpy()
        for index, device in enumerate(DEVICES):
            found[device][stream] = noisy[:, index]
    return found
