"""Simulated beside real body trackers: bars of error and correlation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..atomic_write import replacing

# columns of the arrays: where on its segment a tracker was simulated
LEVER_ARMS = {"segment origin": "#b8c4d6", "body template": "#2e6f9e", "fitted (ceiling)": "#e0a030"}
_NOTICEABLE = 0.15  # rad/s, drawn as a line


def draw_trackers(
    path: Path, names: Sequence[str], gyro_rmse: np.ndarray, correlation: np.ndarray, rmse: np.ndarray, cutoff: float
) -> None:
    """Write the PNG.

    Args:
        path: of the PNG.
        names: of the n trackers.
        gyro_rmse: `(n,)` rad/s.
        correlation, rmse: `(n, 3)` of acceleration, rmse in m/s^2; columns as in `LEVER_ARMS`.
        cutoff: Hz, of the low-pass that acceleration went through.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7), layout="constrained")
    places = np.arange(len(names))
    turning, alike, wrong = figure.subplots(3, 1, sharex=True)
    turning.bar(places, gyro_rmse, color="#555555")
    turning.axhline(_NOTICEABLE, color="#c0392b", linewidth=0.8)
    turning.set_ylabel("gyroscope\nRMSE, rad/s")
    for number, (label, colour) in enumerate(LEVER_ARMS.items()):
        at = places + 0.27 * (number - 1)
        alike.bar(at, correlation[:, number], 0.27, color=colour, label=label)
        wrong.bar(at, rmse[:, number], 0.27, color=colour)
    alike.set_ylabel(f"acceleration\ncorrelation, {cutoff:g} Hz")
    alike.legend(title="lever arm", ncols=3, fontsize=8, loc="lower left")
    wrong.set_ylabel("acceleration\nRMSE, m/s²")
    wrong.set_xticks(places, names, rotation=60, ha="right")
    with replacing(path) as draft:
        figure.savefig(draft, format="png", dpi=120)
