"""UTD-MHAD: one IMU at the right wrist or the right thigh, 50 Hz, a MATLAB file for each trial."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..dataset import BrokenCopy, Dataset, Published
from ..download import Download, Member
from ..imu_recording import ImuRecording
from ..matlab_trial import read_trial
from ..stretches import checked_units

LABELS = (
    "right arm swipe to the left", "right arm swipe to the right", "right hand wave", "two hand front clap",
    "right arm throw", "cross arms in the chest", "basketball shoot", "right hand draw x",
    "right hand draw circle (clockwise)", "right hand draw circle (counter clockwise)", "draw triangle",
    "bowling (right hand)", "front boxing", "baseball swing from right", "tennis right hand forehand swing",
    "arm curl (two arms)", "tennis serve", "two hand push", "right hand knock on door", "right hand catch an object",
    "right hand pick up and throw", "jogging in place", "walking in place", "sit to stand", "stand to sit",
    "forward lunge (left foot forward)", "squat (two arms stretch out)",
)  # fmt: skip


def read_utd_mhad(folder: str | Path) -> Iterator[ImuRecording]:
    """Trials at 50 Hz: right wrist for actions 1 to 21, right thigh for 22 to 27.

    Args:
        folder: the unpacked dataset or its `Inertial.zip`.

    Raises:
        OSError: no trial below `folder`, an unreadable one, or a damaged zip.
        ValueError: a trial without `d_iner`, an action outside 1 to 27, or units that cannot be.
    """
    pattern = r"a(\d+)_s(\d+)_t(\d+)_inertial\.mat"
    with Download(folder) as download:
        members = download.find(pattern, "UTD-MHAD", "a*_s*_t*_inertial.mat")
        yield from checked_units(_trial(download, member) for member in members)


def _trial(download: Download, member: Member) -> ImuRecording:
    (action, subject, trial), source = member.groups, member.source
    label = int(action)
    if not 1 <= label <= len(LABELS):
        raise ValueError(f"{source}: the name must read a<1..27>_s<subject>_t<trial>_inertial.mat")
    signals = {"right_wrist" if label <= 21 else "right_thigh": read_trial(download, member, "d_iner")}
    return ImuRecording(signals, 50.0, LABELS[label - 1], label, subject, trial, "utd_mhad", source=source)


DATASET = Dataset(
    "utd_mhad",
    "UTD-MHAD",
    "https://personal.utdallas.edu/~kehtar/UTD-MHAD.html",
    placements=("right_wrist", "right_thigh"),
    sampling_rate=50.0,
    units=("g", "deg/s"),
    labels=LABELS,
    label_ids=tuple(range(1, 28)),
    layout=r"a\d+_s\d+_t\d+_inertial\.mat",
    parse=read_utd_mhad,
    window_seconds=None,
    people=8,
    paper_segments={"right_wrist": "R_Hand", "right_thigh": "R_UpperLeg"},
    bundle="utd_mhad",
    published=(
        Published("recordings", 861, "trials in its documents"),
        Published("classes", 27, "classes of the paper's Table 9"),
        Published("subjects", 8, "people in its documents"),
    ),
    person_files=(r"a\d+_s(\d+)_t\d+_inertial\.mat$",) * 2,
    broken=(
        BrokenCopy("a trial is cut off", r"MATLAB file"),
        BrokenCopy("another variable", r"variable 'd_iner' is missing"),
    ),
    note="all people, whole trials; the paper uses the UniMTS test split",
)
