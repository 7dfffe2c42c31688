"""AnyMo-180: the activity labels of the paper's Table 7 with their counts."""

from __future__ import annotations

import json
from pathlib import Path

_FILE = Path(__file__).with_name("anymo180.json")


def anymo180() -> dict[str, int]:
    """Label -> number of Nymeria windows (paper Table 7), most frequent first."""
    return {label: count for label, count in json.loads(_FILE.read_text(encoding="utf-8"))}


def label_names(label: str) -> list[str]:
    """The parts of a slash-separated label (paper A.4): `walking / hiking` is `walking` and `hiking`.

    A part may be a lone verb whose object stands at the end (`opening bag / package` gives `package`).
    """
    return [part.strip() for part in label.split(" / ") if part.strip()]
