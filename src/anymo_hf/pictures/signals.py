"""Drawing signals: acceleration and angular velocity of each sensor over time, with units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .body import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 1.4  # inches from one sensor's signals to the next
_PIXELS = 2000  # more samples than this are drawn as the least and greatest of each stretch


def draw_signal_rows(
    box: Callable[[float, float, float, float], Axes],
    signals: Mapping[str, np.ndarray],
    rate: float,
    colours: Mapping[str, str],
    columns: tuple[float, float],
    bottom: float,
    wide: float,
    start: float = 0.0,
    marks: Sequence[float] = (),
) -> None:
    """One row a sensor, its acceleration left and its angular velocity right.

    Args:
        box: (left, bottom, width, height) in inches -> new axes.
        signals: placement name -> `(T, 6)` m/s² and rad/s, or `(T, 3)` without a gyroscope.
        rate: Hz.
        colours: placement name -> colour of its name and of x.
        columns: left edges of the two columns, inches.
        bottom: lower edge of the last row, inches.
        wide: width of a column, inches.
        start: time of the first sample, seconds.
        marks: times in seconds to draw a faint line at.
    """
    for place, (name, signal) in enumerate(signals.items()):
        level = bottom + ROW * (len(signals) - 1 - place)
        last = place == len(signals) - 1
        pairs = ((signal[:, :3], "acceleration\n(m/s²)"), (signal[:, 3:], "angular velocity\n(rad/s)"))
        for edge, (values, title) in zip(columns, pairs, strict=True):
            axes = box(edge, level, wide, 0.95)
            for time in marks:
                axes.axvline(time, color="#d9d9d9", linewidth=1.0, zorder=0)
            draw_signal(axes, values, rate, title, colours[name], start)
            if edge == columns[0]:
                axes.set_title(name.replace("_", " "), loc="left", color=colours[name], fontsize=12, weight="bold")
            axes.tick_params(labelbottom=last)
            axes.set_xlabel("time (s)" if last else "")


def draw_signal(axes: Axes, values: np.ndarray, rate: float, title: str, colour: str, start: float = 0.0) -> None:
    """Three channels `(T, 3)` with a legend x, y, z; without columns, the words "no gyroscope"."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylabel(title, fontsize=9)
    axes.yaxis.set_label_coords(-0.56 / _inches_wide(axes), 0.5)
    axes.locator_params(axis="y", nbins=4)
    axes.set_xlim(start, start + len(values) / rate)
    if not values.shape[1]:
        axes.text(0.5, 0.5, "no gyroscope", transform=axes.transAxes, ha="center", va="center", color=GREY)
        return
    time, drawn = _outline(start + np.arange(len(values)) / rate, values)
    for axis, (line, width) in enumerate(((colour, 1.5), ("black", 0.9), (GREY, 1.3))):
        axes.plot(time, drawn[:, axis], color=line, linewidth=width, label="xyz"[axis])
    if np.ptp(values) < 0.1:  # a sensor at rest: its rounding errors are no signal
        middle = (values.max() + values.min()) / 2
        axes.set_ylim(middle - 0.1, middle + 0.1)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.02, 0.94), ncols=3, frameon=False, fontsize=9, handlelength=1.2,
        columnspacing=1.0, borderaxespad=0.0,
    )  # fmt: skip


def _inches_wide(axes: Axes) -> float:
    return axes.get_window_extent().width / axes.figure.dpi


def _outline(time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Long signals as the least and greatest value of each stretch, so that no peak is lost."""
    size = len(values) // _PIXELS
    if size < 4:
        return time, values
    count = len(values) // size * size
    parts = values[:count].reshape(-1, size, values.shape[1])
    ends = np.stack([parts.min(axis=1), parts.max(axis=1)], axis=1).reshape(-1, values.shape[1])
    return time[:count].reshape(-1, size)[:, [0, -1]].ravel(), ends
