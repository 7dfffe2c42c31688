"""Small original files of realworld."""

import io
import zipfile

import numpy as np

ORIGIN = 1_435_997_000_000  # unix milliseconds
NAMES = {"acc": "acc", "gyr": "Gyroscope"}


def csv(kind, seconds=8.0, offset=0.0, rate=50.0, value=None):
    times = offset + np.arange(round(seconds * rate)) / rate
    rows = ["id,attr_time,attr_x,attr_y,attr_z"]
    for number, t in enumerate(times):
        x = 0.1 * t if value is None else value  # both sensors hold the time on x
        y, z = (9.8, 0) if kind == "acc" else (0, 0)
        rows.append(f"{number + 1},{ORIGIN + round(1000 * t)},{x:.6g},{y},{z}")
    return "\n".join(rows) + "\n"


def zip(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def sitting(folder, proband=1, activity="sitting", places=("chest", "forearm"), **gyroscope):
    data = folder / f"proband{proband}" / "data"
    data.mkdir(parents=True, exist_ok=True)
    for kind, name in NAMES.items():
        options = gyroscope if kind == "gyr" else {}
        files = {f"{name}_{activity}_{place}.csv": csv(kind, **options) for place in places}
        (data / f"{kind}_{activity}_csv.zip").write_bytes(zip(files))
    (data / f"mic_{activity}_csv.zip").write_bytes(b"sound that must not be opened")
    return data
