"""The body on which a place is chosen: every place lies on the body, in the order of a standing person."""

import io

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install matplotlib")
from PIL import Image  # noqa: E402

from anymo_hf.pictures.places import standing_body  # noqa: E402


def test_places_lie_on_the_painted_body():
    picture, places = standing_body()
    painted = np.asarray(Image.open(io.BytesIO(picture)).convert("RGBA"))[..., 3] > 0
    tall, wide = painted.shape
    for name, (across, down) in places.items():
        around = painted[
            max(int(tall * down) - 8, 0) : int(tall * down) + 8, int(wide * across) - 8 : int(wide * across) + 8
        ]
        assert around.mean() > 0.3, name
    assert 0.1 < painted.mean() < 0.6


def test_who_faces_the_viewer_has_the_left_hand_on_the_right():
    _, places = standing_body()
    for name, (across, down) in places.items():
        if name.startswith("left_"):
            other = places[name.replace("left", "right")]
            assert across > 0.5 > other[0] and abs(down - other[1]) < 0.03, name
    heights = [places[name][1] for name in ("head", "chest", "waist", "left_pocket", "left_ankle", "left_shoe")]
    assert heights == sorted(heights)
    assert (
        min(abs(a[0] - b[0]) + abs(a[1] - b[1]) for n, a in places.items() for m, b in places.items() if n < m) > 0.04
    )
