"""A Nymeria sequence: its folder, its body in GLB, its VRS, and annotated windows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fuzz.door import Door
from support import nymeria_recordings as files

from anymo_hf.nymeria import imu
from anymo_hf.nymeria.annotations import read_annotations
from anymo_hf.nymeria.imu import read_nymeria_imu
from anymo_hf.nymeria.momentum_glb import read_momentum_glb
from anymo_hf.nymeria.sequence import read_captured

_FRAMES = 120


def _sequence(folder: Path, mesh: bool = False) -> Path:
    positions, quaternions = (part[:_FRAMES] for part in files.body_motion())
    sequence = folder / files.NAME
    (sequence / "body").mkdir(parents=True)
    np.savez_compressed(sequence / "body" / "xdata.npz", **files.xdata(positions, quaternions))
    (sequence / "metadata.json").write_text('{"fake_name": "james_johnson", "participant_height_cm": "175"}')
    rows = [["1", files.device_seconds(0.1), files.device_seconds(0.3), "C walks to C's desk.", "a"]]
    columns = ["request_id", "Start_Time", "end_time", "describe my atomic actions", "annotator"]
    files.write_csv(sequence / "narration" / "atomic_action.csv", columns, rows)
    return sequence


def _glb(folder: Path) -> Path:
    positions, quaternions = (part[:4] for part in files.body_motion())
    path = folder / "xdata_blueman.glb"
    path.write_bytes(files.body_glb(positions, quaternions, files.BLUEMAN))
    return path


def _read_glb(path: Path) -> dict:
    body = read_momentum_glb(path)
    return {"body": body, "joints": body.joint_positions(np.arange(3))}


def _vrs(folder: Path) -> Path:
    still = np.tile([0.0, 0, 9.81, 0, 0, 0.1], (400, 1))
    path = folder / "recording_head" / "data" / "motion.vrs"
    path.parent.mkdir(parents=True)
    files.write_imu_vrs(path, {"1202-1": still})
    return folder


def _read_vrs(path: Path) -> dict:
    imu._aria = lambda: None  # the light reader
    found = read_nymeria_imu(path, "head")
    return {"megaseconds": 1e-6 * found.time, "signals": found.signals, "rate": found.sampling_rate}


def _annotated(ending: str) -> Door:
    rows = {
        "sample_id": ["a", "b"], "session_id": [files.NAME] * 2, "subject_id": ["james_johnson"] * 2,
        "start_time_sec": [1.0, 6.0], "end_time_sec": [6.0, 11.0], "narration": ["a person walks", "a person sits"],
        "label": ["walking forward", None], "augmentations": [None, None],
    }  # fmt: skip

    def write(folder: Path) -> Path:
        sequence = folder / files.NAME
        sequence.mkdir()
        (sequence / "metadata.json").write_text('{"fake_name": "james_johnson"}')
        table = pa.table(
            {**rows, "label": pa.array([None, None], pa.string()), "augmentations": pa.array([None, None], pa.string())}
        )
        if ending == "parquet":
            pq.write_table(table, folder / "annotations.parquet")
        else:
            table.to_pandas().to_csv(folder / "annotations.csv", index=False)
        return folder

    def read(path: Path) -> list:
        found = read_annotations(path / files.NAME, path / f"annotations.{ending}")
        return [(one.start, one.end, one.narration) for one in found]

    return Door(f"annotated windows, {ending}", write, read, largest=1e300)


DOORS = [
    Door("motion Nymeria folder", _sequence, lambda path: read_captured(path)),
    Door("motion GLB", _glb, _read_glb),
    Door("Nymeria VRS", _vrs, _read_vrs),
    _annotated("parquet"),
    _annotated("csv"),
]
