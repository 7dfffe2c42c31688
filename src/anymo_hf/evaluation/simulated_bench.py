"""A Bench of simulated people in the layout of AnyMo Bench, with two devices on each place: a table for those without data.

Head and wrists carry a device whose mounting differs a little from person to person. A second one sits on the same spots
with its own axes and errors, as the two IMUs of Aria glasses do: what a system has learned from the first, it is asked of
the second. The motion is procedural, so scores say nothing about real people.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..atomic_write import replacing_folder
from ..modeling.body_segments import SEGMENTS, resolve_placement
from ..motion.procedural import ACTIVITIES, HELD_OUT_SEED, SubjectStyle, label_phrases, simulate_activity
from ..motion.seeds import seed_of
from ..recordings.imu_recording import ImuRecording
from .bench_statistics import BODY_POSITION, DEVICE_IDS, SCHEMA
from .shifts import read_by

CONFIG = "simulated"
PLACES = ("head", "left_wrist", "right_wrist")
PEOPLE, CLASSES, WINDOWS = 20, 24, 4
TEST_SHARE = 0.2
SECONDS, RATE = 5.0, 60.0
_TILT, _IN_PLANE = 8.0, 15.0  # degrees that people wear a device otherwise than others
_DEVICES = {"1202-1": "glasses", "1202-2": "research"}  # noise presets


def write_simulated_bench(
    out: str | Path, people: int = PEOPLE, classes: int = CLASSES, windows: int = WINDOWS, seed: int = 0
) -> Path:
    """Writes `out/data/simulated/{train,test,test_cross_device}-00000-of-00001.parquet`; the folder appears whole or not.

    Args:
        out: a new folder.
        people: simulated, 8 : 2 between training and test; classes: activities; windows: of each person and
            activity, 5 s each.
        seed: of the people.

    Raises:
        ValueError: under five people or two classes, or more classes than there are activities.
        OSError: the folder exists.
    """
    from tqdm import tqdm

    if people < 5 or not 2 <= classes <= len(ACTIVITIES) or windows < 1:
        raise ValueError(
            f"people must be at least 5, windows at least 1 and classes 2 to {len(ACTIVITIES)}, got {people}, {windows} "
            f"and {classes}"
        )
    out = Path(out)
    if out.exists():
        raise OSError(f"{out} exists; give a new folder")
    names = sorted(sorted(ACTIVITIES, key=lambda name: seed_of("simulated bench", name))[:classes])
    tested = set(np.random.default_rng(seed).permutation(people)[: max(1, round(TEST_SHARE * people))].tolist())
    rows: dict[str, list[dict]] = {"train": [], "test": [], "test_cross_device": []}
    for person in tqdm(range(people), "simulated people", unit="person", disable=None):
        style = SubjectStyle.draw(np.random.default_rng([seed, person]))
        clean = []
        for number, name in enumerate(names):
            for take in range(windows):
                made = HELD_OUT_SEED + 100_000 * seed + 1000 * person + take
                clean.append((number, take, _clean_window(name, made, style, person, seed)))
        for stream, split in (("1202-1", "train"), ("1202-1", "test"), ("1202-2", "test_cross_device")):
            if (person in tested) == (split == "train"):
                continue
            worn = [_turned_axes(one) if stream == "1202-2" else one for _, _, one in clean]
            read = read_by(worn, seed_of(stream, seed) % 2**31, _DEVICES[stream])
            for (number, take, _), one in zip(clean, read, strict=True):
                rows[split].append(_row(one, label_phrases(names[number])[0], number, take, stream, split))
    with replacing_folder(out) as draft:
        folder = draft / "data" / CONFIG
        folder.mkdir(parents=True)
        for split, own in rows.items():
            pq.write_table(pa.Table.from_pylist(own, SCHEMA), folder / f"{split}-00000-of-00001.parquet")
    return out


def _clean_window(name: str, number: int, style: SubjectStyle, person: int, seed: int) -> ImuRecording:
    """Head and wrists without errors, each device on one spot, worn as this person wears it."""
    import torch

    from ..pictures.body import worn_site
    from ..simulation.surface import SurfaceTemplate, load_template
    from ..simulation.views import ViewOptions, motion_terms, sample_views

    motion = simulate_activity(name, number, SECONDS, RATE, style)
    body, segments = load_template(), [resolve_placement(place) for place in PLACES]
    rows = body.ranges()[0].copy()
    rows[segments] = [worn_site(body, place, np.random.default_rng(0)) for place in PLACES]
    spots = SurfaceTemplate(np.arange(len(SEGMENTS)), body.offset[rows], body.frame[rows], body.height)
    options = ViewOptions(tilt_degrees=_TILT, in_plane_degrees=_IN_PLANE, noise=False)
    generator = torch.Generator().manual_seed(seed_of("worn", seed, person) % 2**31)  # the same in all windows
    view = sample_views(motion_terms(motion, RATE), spots, generator, options, segments)[0].numpy()
    signals = {place: view[:, column].astype(float) for column, place in enumerate(PLACES)}
    return ImuRecording(signals, RATE, subject=f"person-{person:03d}", session=f"person-{person:03d}", dataset=CONFIG)


def _turned_axes(one: ImuRecording) -> ImuRecording:
    """The second device of each place: its axes are other ones, the same for everybody."""
    from scipy.spatial.transform import Rotation

    signals = {}
    for place, signal in one.signals.items():
        turn = Rotation.random(rng=np.random.default_rng(seed_of("second device", place) % 2**31)).as_matrix()
        signals[place] = (signal.reshape(len(signal), 2, 3) @ turn.T).reshape(signal.shape)
    return replace(one, signals=signals)


def _row(one: ImuRecording, label: str, number: int, take: int, stream: str, split: str) -> dict:
    start = SECONDS * take
    return {
        "sample_id": f"{CONFIG}:{split}:{one.subject}:{number}:{take}", "session_id": one.session,
        "subject_id": one.subject, "body_position": BODY_POSITION, "device_id": DEVICE_IDS[stream],
        "start_time_sec": start, "end_time_sec": start + SECONDS, "start_t_ns_global": round(start * 1e9),
        "end_t_ns_global": round((start + SECONDS) * 1e9), "label": label, "label_id": number,
        "imu": np.concatenate([one.signals[place] for place in PLACES], axis=1).astype(np.float32).tolist(),
    }  # fmt: skip
