"""Surface template: candidate sensor placements on the body with their local frames (paper §3.1, A.2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from ..modeling.body_graph import SEGMENTS

TEMPLATE_FILE = Path(__file__).with_name("body_template.safetensors")

# Paper Table 5: candidates per segment; 2,374 in all.
CANDIDATE_COUNTS: dict[str, int] = {
    "Pelvis": 108,
    "L5": 59,
    "L3": 35,
    "T12": 90,
    "T8": 105,
    "Neck": 44,
    "Head": 290,
    "R_Shoulder": 42,
    "R_UpperArm": 90,
    "R_Forearm": 127,
    "R_Hand": 145,
    "L_Shoulder": 45,
    "L_UpperArm": 90,
    "L_Forearm": 120,
    "L_Hand": 145,
    "R_UpperLeg": 108,
    "R_LowerLeg": 122,
    "R_Foot": 125,
    "R_Toe": 72,
    "L_UpperLeg": 106,
    "L_LowerLeg": 122,
    "L_Foot": 112,
    "L_Toe": 72,
}


@dataclass(frozen=True)
class SurfaceTemplate:
    """Candidate placements on one body, sorted by segment.

    Args:
        segment: `(P,)` segment index of each candidate, ascending, every segment at least once.
        offset: `(P, 3)` lever arm from the segment origin, segment axes, metres.
        frame: `(P, 3, 3)` sensor axes as columns (tangent, binormal, outward normal) in segment axes.
        height: body height in metres that the offsets belong to.

    Raises:
        ValueError: shapes that do not agree, unsorted or missing segments, frames that are not rotations.
    """

    segment: np.ndarray
    offset: np.ndarray
    frame: np.ndarray
    height: float

    def __post_init__(self) -> None:
        count = len(self.segment)
        if self.segment.shape != (count,) or self.offset.shape != (count, 3) or self.frame.shape != (count, 3, 3):
            raise ValueError(
                "segment, offset and frame must be (P,), (P, 3) and (P, 3, 3), "
                f"got {self.segment.shape}, {self.offset.shape} and {self.frame.shape}"
            )
        if (np.diff(self.segment) < 0).any():
            raise ValueError("segment must be ascending; sort the candidates by segment")
        if not np.array_equal(np.unique(self.segment), np.arange(len(SEGMENTS))):
            raise ValueError(
                f"every segment 0..{len(SEGMENTS) - 1} needs a candidate, got {np.unique(self.segment).tolist()}"
            )
        product = np.swapaxes(self.frame, -1, -2) @ self.frame
        if not np.allclose(product, np.eye(3), atol=1e-4) or (np.linalg.det(self.frame) < 0).any():
            raise ValueError("frame must hold right-handed rotations with orthonormal columns")
        if not np.isfinite(self.offset).all():
            raise ValueError("offset must be finite")
        if not 0.5 <= self.height <= 2.6:
            raise ValueError(f"height must lie between 0.5 and 2.6 m, got {self.height}")

    def scaled(self, height: float) -> SurfaceTemplate:
        """The same body at another height: every lever arm grows with it, frames stay."""
        return SurfaceTemplate(self.segment, self.offset * (height / self.height), self.frame, height)

    def ranges(self) -> tuple[np.ndarray, np.ndarray]:
        """First row and number of candidates of each segment, both `(23,)`."""
        counts = np.bincount(self.segment, minlength=len(SEGMENTS))
        return np.cumsum(counts) - counts, counts


def load_template(path: str | Path | None = None) -> SurfaceTemplate:
    """Load the body that ships with the package (CC0 MakeHuman mesh, 1.75 m), or another template file.

    Raises:
        OSError: the file is missing or is no safetensors file.
        ValueError: tensors or metadata are missing or wrong.
    """
    path = Path(path) if path is not None else TEMPLATE_FILE
    if not path.is_file():
        raise OSError(f"no surface template at {path}; build one with `python -m {__package__}.build_template`")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata, names = file.metadata() or {}, set(file.keys())
            missing = {"segment", "offset", "frame"} - names
            if missing or "height" not in metadata:
                raise ValueError(f"{path} lacks {sorted(missing) or 'the metadata entry height'}; rebuild it")
            segment, offset, frame = (file.get_tensor(name) for name in ("segment", "offset", "frame"))
    except SafetensorError as error:
        raise OSError(f"{path} is not a readable safetensors file: {error}") from error
    height = float(metadata["height"])
    stored = SurfaceTemplate(segment.astype(np.int64), offset.astype(np.float64), frame.astype(np.float64), height)
    # float32 frames are rotations to 1e-7 only; square them up in float64.
    exact = surface_frames(stored.frame[..., 2], stored.frame[..., 0])
    return SurfaceTemplate(stored.segment, stored.offset, exact, height)


def surface_frames(normals: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Right-handed sensor frames from surface normals and an anatomical axis (paper Eq. 1).

    Args:
        normals: `(P, 3)` outward normals.
        axes: `(P, 3)` anatomical axis of each candidate's segment.

    Returns:
        `(P, 3, 3)` with columns tangent, binormal = normal x tangent, normal.
    """
    normals = normals / np.linalg.norm(normals, axis=-1, keepdims=True)
    axes = axes / np.linalg.norm(axes, axis=-1, keepdims=True)
    tangents = _in_plane(axes, normals)
    # A normal along the axis (a finger tip) leaves no direction: fall back to the least aligned body axis.
    lost = np.linalg.norm(tangents, axis=-1) < 1e-3
    tangents[lost] = _in_plane(np.eye(3)[np.argmin(np.abs(normals[lost]), axis=-1)], normals[lost])
    tangents /= np.linalg.norm(tangents, axis=-1, keepdims=True)
    return np.stack([tangents, np.cross(normals, tangents), normals], axis=-1)


def farthest_points(points: np.ndarray, count: int) -> np.ndarray:
    """Rows of `count` well-spread points: each next one lies farthest from all chosen before.

    The first is the point nearest to the centroid, so the result depends on the points only.

    Raises:
        ValueError: fewer points than asked for.
    """
    if not 0 < count <= len(points):
        raise ValueError(f"cannot choose {count} of {len(points)} points")
    chosen = [int(np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=-1)))]
    distance = np.linalg.norm(points - points[chosen[0]], axis=-1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=-1))
        # Two vertices at one place must not be chosen as the same row twice.
        distance[chosen] = -1.0
    return np.array(chosen)


def _in_plane(vectors: np.ndarray, normals: np.ndarray) -> np.ndarray:
    return vectors - np.sum(vectors * normals, axis=-1, keepdims=True) * normals
