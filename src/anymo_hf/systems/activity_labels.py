"""Names of activities to choose from where a user gives none, and "none of these"."""

from __future__ import annotations

from pathlib import Path

from ..motion.procedural import ACTIVITIES, label_phrases

# what people do most of a day with a device on, as the model's training names it
EVERYDAY = (
    "walking", "running", "walking upstairs", "walking downstairs", "sitting", "standing", "lying", "cycling",
    "standing up", "sitting down", "eating", "drinking", "washing hands", "sweeping", "typing", "writing",
)  # fmt: skip
NONE_OF_THESE = "none of these"


def simulated_labels() -> tuple[str, ...]:
    """The everyday name of every simulated activity, in the order of `ACTIVITIES`."""
    return tuple(label_phrases(name)[0] for name in ACTIVITIES)


def read_labels(path: str | Path) -> list[str]:
    """Labels of a text file, one a line; empty lines, lines that begin with # and repetitions are passed over.

    Raises:
        OSError: no such file, or not a text file.
        ValueError: it holds no label.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise OSError(f"{path}: not a text file in UTF-8 ({error}); write one label a line") from error
    labels = list(dict.fromkeys(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")))
    if not labels:
        raise ValueError(f"{path}: no line holds a label; write one a line")
    return labels
