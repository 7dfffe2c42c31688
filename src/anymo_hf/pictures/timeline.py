"""Drawing what a recording shows over time; the headline is the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..atomic_write import replacing
from ..modeling.windows import TimelineEntry
from .body import COLOURS, GREY
from .page import new_figure

_COLUMNS = 1500  # least and greatest acceleration are drawn for so many stretches of time


def clock(seconds: float, tenths: bool = True) -> str:
    """Seconds as h:mm:ss.s, the hours where there are some."""
    rest = round(seconds, 1 if tenths else 0)
    hours, minutes = int(rest // 3600), int(rest % 3600 // 60)
    text = f"{rest % 60:04.1f}" if tenths else f"{rest % 60:02.0f}"
    return f"{hours}:{minutes:02d}:{text}" if hours else f"{minutes}:{text}"


def headline(seconds: Mapping[str, float]) -> str:
    """The answer in one line: the activities with the longest time, and their share."""
    total = sum(seconds.values())
    parts = [f"{name} {100 * value / total:.0f} %" for name, value in list(seconds.items())[:3]]
    more = len(seconds) - len(parts)
    return ", ".join(parts) + (f" and {more} more" if more else "")


def draw_timeline(
    out: str | Path,
    entries: Sequence[TimelineEntry],
    seconds: Mapping[str, float],
    accelerations: Mapping[str, tuple[np.ndarray, float]],
    note: str = "",
) -> None:
    """Writes a PNG: activities as bars over time, how sure each is, and the acceleration's magnitude below.

    Args:
        out: the picture; its folder is made.
        entries: of the timeline.
        seconds: activity -> seconds, the longest first; also the order of the rows.
        accelerations: placement -> magnitude `(T,)` in m/s^2 and its rate in Hz.
        note: a line of small print below the headline.

    Raises:
        ImportError: matplotlib is missing.
    """
    names = list(seconds)
    row, band = 0.32, 0.9
    bottom = 0.75 + (band + 0.3) * len(accelerations)
    height = bottom + row * len(names) + 1.1
    figure, box = new_figure(13.0, height)
    figure.suptitle(headline(seconds), fontsize=17, y=1 - 0.15 / height, va="top")
    figure.text(0.5, 1 - 0.55 / height, note, ha="center", va="top", fontsize=10, color="#666666")
    last = entries[-1].end
    unit, name = (3600.0, "h") if last >= 7200 else (60.0, "min") if last >= 180 else (1.0, "s")
    axes = box(2.3, bottom, 10.3, row * len(names))
    for entry in entries:
        level = names.index(entry.activity)
        axes.barh(
            level, (entry.end - entry.start) / unit, left=entry.start / unit, height=0.8,
            color=COLOURS[level % len(COLOURS)], alpha=0.25 + 0.75 * min(1.0, entry.confidence),
        )  # fmt: skip
    axes.set_yticks(
        range(len(names)), [f"{text}  {clock(value, False)}" for text, value in seconds.items()], fontsize=10
    )
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, last / unit)
    axes.grid(axis="x", color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelbottom=not accelerations)
    for place, (text, (magnitude, rate)) in enumerate(accelerations.items()):
        level = 0.75 + (band + 0.3) * (len(accelerations) - 1 - place)
        axes = box(2.3, level, 10.3, band)
        edges = np.unique(np.linspace(0, len(magnitude), min(len(magnitude), _COLUMNS) + 1).astype(int))
        low, high = np.minimum.reduceat(magnitude, edges[:-1]), np.maximum.reduceat(magnitude, edges[:-1])
        axes.fill_between(edges[:-1] / rate / unit, low, high, color=GREY, step="post", linewidth=0.8)
        axes.set_xlim(0, last / unit)
        axes.set_ylabel(f"{text.replace('_', ' ')}\n|a| (m/s²)", fontsize=9, rotation=0, ha="right", va="center")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelbottom=place == len(accelerations) - 1)
    axes.set_xlabel(f"time ({name}); the paler a bar, the less sure")
    with replacing(out) as draft:
        figure.savefig(draft, format="png", dpi=100)
