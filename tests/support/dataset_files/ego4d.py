"""Small original files of ego4d."""

import numpy as np

UID = [f"{i:08x}-aaaa-bbbb-cccc-{i:012x}" for i in range(4)]
COLUMNS = ["gyro_x", "gyro_y", "gyro_z", "component_idx", "accl_z", "accl_x", "accl_y", "canonical_timestamp_ms"]


def write(folder, uid, seconds, acceleration=None, gyro=None, columns=COLUMNS):
    """A video's table, its columns in an unusual order; x axes count seconds, 9.8 is on accl_z."""
    count = len(seconds)
    values = {name: np.zeros(count) for name in COLUMNS}
    values["accl_z"] += 9.8
    values["accl_x"] = values["gyro_x"] = np.asarray(seconds) / 100
    values["canonical_timestamp_ms"] = 1000 * np.asarray(seconds)
    for name, rows in (("accl", acceleration), ("gyro", gyro)):
        for axis in "xyz":
            if rows is not None:
                values[f"{name}_{axis}"] = np.where(rows, values[f"{name}_{axis}"], np.nan)
    path = folder / "v2" / "imu" / f"{uid}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        "" if np.isnan(cell) else repr(float(cell))
        for row in zip(*(values[c] for c in columns), strict=True)
        for cell in row
    ]
    lines = [",".join(rows[i : i + len(columns)]) for i in range(0, len(rows), len(columns))]
    path.write_text("\n".join([",".join(columns), *lines]) + "\n")
    return path


def lists(folder, **lines):
    for name, rows in lines.items():
        (folder / f"{name}.txt").write_text("".join(f"{uid}\t{scenario}\n" for uid, scenario in rows))
