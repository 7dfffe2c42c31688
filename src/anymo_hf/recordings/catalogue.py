"""The zero-shot suite: reader, class texts in id order, window length and the paper's scores of each dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from .datasets import (
    dsads,
    ego4d,
    ego_exo4d,
    matlab_trials,
    mmea,
    openpack,
    opportunity,
    pamap2,
    realworld,
    tnda_har,
    uci_har,
    unimts_bundle,
    w_har,
    wisdm,
)
from .imu_recording import ImuRecording

_FROM_BUNDLE = "bundle-"


@dataclass(frozen=True)
class DatasetInfo:
    """One dataset of the zero-shot suite.

    Args:
        reader: folder -> recordings.
        labels: class texts in the order of their ids (paper Table 9).
        window_seconds: recordings are cut to this; None keeps them whole.
        paper_anymo, paper_unimts: accuracy, macro-F1 and Recall@2 in percent as the paper's Table 1 prints them, None
            where the class set differs from the paper's.
        paper_segments: every placement -> its segment in Table 9; empty where the paper does not have the dataset.
        worn_segments: placement -> the neighbouring segment that it gets where its own also carries another sensor of
            the dataset: an encoder has one sensor a segment.
        people: published number of people in what the reader gives, None where sources disagree.
        bundle: name in the UniMTS bundle, which is read instead where the folder holds it; None if it is not in there.
        shortest_seconds: tails and stretches from this length on are kept too; None drops what is under a window. For
            datasets in which people seldom do one thing for a whole window.
    """

    reader: Callable[[str | Path], Iterator[ImuRecording]]
    labels: tuple[str, ...]
    window_seconds: float | None
    paper_anymo: tuple[float, float, float] | None = None
    paper_unimts: tuple[float, float, float] | None = None
    paper_segments: Mapping[str, str] = field(default_factory=dict)
    worn_segments: Mapping[str, str] = field(default_factory=dict)
    people: int | None = None
    bundle: str | None = None
    shortest_seconds: float | None = None


DATASETS: dict[str, DatasetInfo] = {
    "uci_har": DatasetInfo(
        uci_har.read_uci_har, uci_har.LABELS, None, (56.5, 51.6, 89.5), (35.2, 22.0, 53.1), {"waist": "L5"},
        people=9, bundle="uci_har",
    ),
    "uci_hapt": DatasetInfo(uci_har.read_hapt, uci_har.LABELS, 5.0, people=30),
    "usc_had": DatasetInfo(
        matlab_trials.read_usc_had, matlab_trials.USC_HAD_LABELS, 5.0, (27.7, 22.6, 64.0), (30.5, 27.8, 45.4),
        {"right_hip": "R_UpperLeg"}, people=14, bundle="usc_had",
    ),
    "utd_mhad": DatasetInfo(
        matlab_trials.read_utd_mhad, matlab_trials.UTD_MHAD_LABELS, None, (16.3, 11.3, 24.2), (22.8, 18.5, 32.6),
        {"right_wrist": "R_Hand", "right_thigh": "R_UpperLeg"}, people=8, bundle="utd_mhad",
    ),
    "openpack": DatasetInfo(
        openpack.read_openpack, tuple(openpack.LABELS.values()), None, (13.1, 11.6, 28.0), (11.5, 7.5, 21.9),
        openpack.PAPER_SEGMENTS, people=16,
    ),
    "wisdm": DatasetInfo(wisdm.read_wisdm, ("walking", "jogging", "stairs", "kicking ball"), 5.0, people=51),
    "wisdm_watch": DatasetInfo(
        partial(wisdm.read_wisdm, device="watch"), tuple(wisdm.LABELS.values()), 5.0, (25.4, 18.6, 41.1),
        (27.8, 25.5, 47.1), {"right_wrist": "R_Hand"}, people=51, bundle="wisdm",
    ),
    "opportunity": DatasetInfo(
        opportunity.read_opportunity, tuple(opportunity.LABELS.values()), 5.0, (59.4, 58.8, 83.5), (45.9, 42.2, 80.0),
        opportunity.PAPER_SEGMENTS, people=2, bundle="opportunity", shortest_seconds=2.0,
    ),
    "w_har": DatasetInfo(
        w_har.read_w_har, tuple(w_har.LABELS.values()), 5.0, (57.4, 42.2, 98.4), (59.0, 42.9, 60.7),
        w_har.PAPER_SEGMENTS, people=w_har.SUBJECTS, bundle="w_har", shortest_seconds=2.0,
    ),
    "realworld": DatasetInfo(
        realworld.read_realworld, tuple(realworld.LABELS.values()), 5.0, (48.4, 37.2, 77.6), (43.6, 36.7, 64.0),
        realworld.PAPER_SEGMENTS, people=realworld.SUBJECTS, bundle="realworld",
    ),
    "tnda_har": DatasetInfo(
        tnda_har.read_tnda_har, tuple(tnda_har.LABELS.values()), 5.0, (59.4, 53.1, 87.9), (59.1, 53.7, 77.5),
        tnda_har.PAPER_SEGMENTS, tnda_har.WORN_SEGMENTS, bundle="tnda_har",
    ),
    "pamap2": DatasetInfo(
        pamap2.read_pamap2, tuple(pamap2.LABELS.values()), 5.0, (52.6, 41.5, 78.2), (47.2, 43.6, 63.2),
        pamap2.PAPER_SEGMENTS, people=pamap2.SUBJECTS, bundle="pamap2",
    ),
    "dsads": DatasetInfo(
        dsads.read_dsads, tuple(dsads.LABELS.values()), 5.0, (36.3, 29.5, 53.0), (31.5, 23.7, 46.0),
        dsads.PAPER_SEGMENTS, people=dsads.SUBJECTS, bundle="dsads",
    ),
    "ego4d": DatasetInfo(
        ego4d.read_ego4d, tuple(text for _, text in sorted(ego4d.LABELS.items())), 5.0, (8.6, 6.3, 13.7), (3.7, 4.3, 6.9),
        {"head": "Head"},
    ),
    "ego_exo4d": DatasetInfo(
        ego_exo4d.read_ego_exo4d, ego_exo4d.LABELS, 5.0, (30.2, 24.1, 51.6), (23.1, 18.4, 47.0), {"head": "Head"}
    ),
    "mmea": DatasetInfo(mmea.read_mmea, mmea.LABELS, None, (8.1, 4.0, 13.9), (6.1, 2.8, 10.7), {"head": "Head"}),
}  # fmt: skip


SEGMENT_CHOICES = ("worn", "paper")
LABEL_CASES = ("own", "lower")


def read_windows(
    name: str, folder: str | Path, segments: str | None = "worn", label_case: str = "own"
) -> Iterator[ImuRecording]:
    """Labelled windows of a dataset as the evaluation uses them.

    Args:
        name: key of `DATASETS`.
        folder: the original download, or the UniMTS bundle's folder of this dataset, whose windows stay whole and whose
            labels are named by their ids.
        segments: how the sensors are named. "worn" gives the placements of the dataset's documents, but a neighbouring
            segment where two of them would share one (TNDA-HAR's wrist beside its forearm, its ankle beside its knee).
            "paper" gives the segments of the paper's Table 9, which puts RealWorld's chest on the left shoulder, ankles
            on the foot, and a wrist on the hand or on the forearm. None gives the placements of the documents alone.
        label_case: "own" keeps the letters of Table 9 ("Picking"), "lower" makes them small.

    Raises:
        ValueError: unknown dataset or option.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown dataset {name!r}; known: {', '.join(DATASETS)}")
    if segments not in (*SEGMENT_CHOICES, None):
        raise ValueError(f"segments must be 'worn' or 'paper', got {segments!r}")
    info = DATASETS[name]
    texts = dict(zip(info.labels, class_texts(name, label_case), strict=True))
    renamed = {"paper": info.paper_segments, "worn": info.worn_segments, None: {}}[segments]
    for recording in _labelled(info, folder):
        signals = {renamed.get(place, place): signal for place, signal in recording.signals.items()}
        recording = replace(recording, signals=signals, label=texts[recording.label])
        seconds = None if recording.session.startswith(_FROM_BUNDLE) else info.window_seconds
        yield from [recording] if seconds is None else recording.windows(seconds, info.shortest_seconds)


def class_texts(name: str, label_case: str = "own") -> tuple[str, ...]:
    """Class texts of a dataset in the order of their ids, spelt as `read_windows` spells them.

    Raises:
        ValueError: unknown case.
    """
    if label_case not in LABEL_CASES:
        raise ValueError(f"label_case must be 'own' or 'lower', got {label_case!r}")
    labels = DATASETS[name].labels
    return labels if label_case == "own" else tuple(text.lower() for text in labels)


def _labelled(info: DatasetInfo, folder: str | Path) -> Iterator[ImuRecording]:
    if info.bundle and next(Path(folder).rglob(f"{unimts_bundle.BUNDLES[info.bundle].folder}.json"), None):
        for recording in unimts_bundle.read_unimts_bundle(folder, info.bundle):
            label = info.labels[int(recording.label_id or 0)]
            yield replace(recording, label=label, session=_FROM_BUNDLE + recording.session)
        return
    for recording in info.reader(folder):
        if recording.label in info.labels:
            yield recording
