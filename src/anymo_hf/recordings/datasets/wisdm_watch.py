"""WISDM 2019 (UCI 507): the watch on the dominant wrist, with all 18 activities."""

from __future__ import annotations

from .wisdm import LABELS, wisdm_dataset

DATASET = wisdm_dataset(
    "wisdm_watch",
    "WISDM watch",
    "watch",
    placements=("right_wrist",),
    labels=tuple(LABELS.values()),
    label_ids=tuple(range(len(LABELS))),
    paper_segments={"right_wrist": "R_Hand"},
    bundle="wisdm",
    note="all people, 5 s; the paper uses the UniMTS test split",
)
