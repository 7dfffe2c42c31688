"""A picture of a standing body on which a place for a sensor is chosen, and where on it each place lies."""

from __future__ import annotations

from functools import cache
from io import BytesIO

import numpy as np

from ..modeling.body_segments import resolve_placement
from ..motion.procedural import simulate_activity
from ..simulation.surface import load_template
from .body import WORN_SIDES, candidate_places, draw_skin, skin_at, view
from .page import new_figure

_INCHES_PER_METRE = 5.0
_MARGIN = 0.06  # metres around the body


@cache
def standing_body() -> tuple[bytes, dict[str, tuple[float, float]]]:
    """One who stands and faces the viewer.

    Returns:
        A PNG, and of each place in `WORN_SIDES` whose sensor is seen from ahead, but for the ears beside the head, how far
        it lies from the left and from the top of the picture, both 0 to 1.

    Raises:
        ImportError: matplotlib is missing.
    """
    motion, body = simulate_activity("standing", 0, 2.0), load_template()
    skins, faces = skin_at(motion, [0])
    points, _ = candidate_places(body, motion, 0)
    forward = np.array([1.0, 0.0, 0.0])
    right, up, _ = view(forward)
    flat = np.stack([skins[0] @ right, skins[0] @ up], axis=-1)
    low, high = flat.min(axis=0) - _MARGIN, flat.max(axis=0) + _MARGIN
    wide, tall = high - low
    figure, box = new_figure(wide * _INCHES_PER_METRE, tall * _INCHES_PER_METRE)
    axes = box(0, 0, wide * _INCHES_PER_METRE, tall * _INCHES_PER_METRE)
    draw_skin(axes, skins[0], faces, forward)
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_axis_off()
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=110, transparent=True)
    places = {}
    for name, side in WORN_SIDES.items():
        if side[0] < 0 or name.endswith("_ear"):
            continue
        start, count = (part[resolve_placement(name)] for part in body.ranges())
        spots, offset = points[start : start + count], body.offset[start : start + count]
        if name.endswith("_shoe"):
            chosen = spots.mean(axis=0)
        elif name.endswith("_ankle"):  # above the shoe, so that both can be touched
            chosen = spots[np.argsort(spots[:, 2])[count * 3 // 10 : count * 7 // 20 + 1]].mean(axis=0)
        else:  # the middle of the tenth that lies farthest to the place's side, as `worn_site` draws one of them
            reach = ((offset - offset.mean(axis=0)) / np.maximum(np.ptp(offset, axis=0), 1e-6)) @ np.array(side)
            chosen = spots[np.argsort(-reach)[: max(3, count // 10)]].mean(axis=0)
        across, height = (np.array([chosen @ right, chosen @ up]) - low) / (high - low)
        places[name] = (float(across), float(1 - height))
    return picture.getvalue(), places
