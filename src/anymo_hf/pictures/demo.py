"""The demonstration: recordings of a simulated or a real person, what a model says of them, and the picture.

Simulated people have seeds from `HELD_OUT_SEED` up, which training never draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..atomic_write import replacing
from ..modeling.body_segments import SEGMENTS, resolve_placement
from ..motion.body_motion import BodyMotion
from ..motion.procedural import ACTIVITIES, HELD_OUT_SEED, label_phrases, simulate_activity
from ..motion.seeds import seed_of
from ..recordings.catalogue import DATASETS, read_windows
from ..recordings.imu_recording import ImuRecording
from ..simulation.surface import SurfaceTemplate, load_template
from ..simulation.views import motion_terms, sample_views, wearer_body
from ..systems.activity_labels import simulated_labels
from ..systems.captions import generate_captions
from ..systems.embeddings import embed_codes, embed_labels
from ..systems.held_out_windows import FRAME_RATE, WINDOW_SECONDS
from ..systems.known_motions import nearest_motions
from .body import COLOURS, GREY, WORN_SIDES, draw_worn_body, worn_site
from .page import new_figure
from .signals import ROW, draw_signal_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass
class DemoRecording(ImuRecording):
    """A recording with what the picture needs besides.

    Args:
        labels: candidate activities, the true one among them.
        title: what this is, in words.
        motion: the body's motion where it is known.
        body: candidate placements of the wearer.
        sites: placement name -> row of `body` where the sensor sits.
    """

    labels: tuple[str, ...] = ()
    title: str = ""
    motion: BodyMotion | None = None
    body: SurfaceTemplate = field(default_factory=load_template)
    sites: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DemoResult:
    """What `run_demo` found: `(score, text)` pairs best first, a caption, and where the picture is."""

    recording: DemoRecording
    activities: list[tuple[float, str]]
    caption: str
    motions: list[tuple[float, str]]
    picture: Path

    def report(self) -> str:
        """The answers as lines of text."""
        worn = ", ".join(name.replace("_", " ") for name in self.recording.signals)
        seconds = len(next(iter(self.recording.signals.values()))) / self.recording.sampling_rate
        lines = [
            f"recording: {self.recording.title}, {seconds:.1f} s; worn: {worn}",
            f"true activity: {self.recording.label}",
            f"recognised among {len(self.recording.labels)} activities:",
            *(f"  {score:6.3f}  {label}" for score, label in self.activities),
            f"caption: {self.caption}",
            "nearest motions (cosine):",
            *(f"  {score:6.3f}  {text}" for score, text in self.motions),
            f"picture: {self.picture}",
        ]
        return "\n".join(lines)


# -- recordings to demonstrate on ----------------------------------------------------------------------------------------


def simulated_recording(
    seed: int = HELD_OUT_SEED, activity: str | None = None, placements: Sequence[str] | None = None
) -> DemoRecording:
    """Five seconds of a simulated person whom training never saw, wearing noisy devices.

    Args:
        seed: which person, from `HELD_OUT_SEED` up; also decides what is left out below.
        activity: a key of `ACTIVITIES`; a random everyday one when left out.
        placements: names of places, one segment each; three random ones when left out.

    Raises:
        ValueError: a seed that training may draw, an unknown activity or place, or two sensors on one segment.
    """
    if seed < HELD_OUT_SEED:
        raise ValueError(f"seed must be at least {HELD_OUT_SEED} (training draws those below), got {seed}")
    rng = np.random.default_rng([seed, 1])
    if activity is None:  # the same one as long as no new activity has a smaller key
        everyday = (name for name, one in ACTIVITIES.items() if one.everyday)
        activity = min(everyday, key=lambda name: seed_of("demo", seed, name))
    if placements is None:
        shuffled = [str(name) for name in rng.permutation(sorted(WORN_SIDES))]
        placements = list({resolve_placement(name): name for name in reversed(shuffled)}.values())[-3:]
    elif not placements:
        raise ValueError("placements is empty; name at least one place, such as left_wrist")
    segments = [resolve_placement(name) for name in placements]
    if len(set(segments)) < len(segments):
        raise ValueError(f"placements {list(placements)} hold two sensors on one segment; keep one of them")
    motion = simulate_activity(activity, seed, WINDOW_SECONDS)
    body = wearer_body(motion, load_template())
    sites = {name: worn_site(body, name, rng) for name in placements}
    # a body with one candidate a segment: so the view sits where the picture shows it
    rows = body.ranges()[0].copy()
    rows[segments] = list(sites.values())
    worn = SurfaceTemplate(np.arange(len(SEGMENTS)), body.offset[rows], body.frame[rows], body.height)
    views = sample_views(
        motion_terms(motion, FRAME_RATE), worn, torch.Generator().manual_seed(seed), segments=segments
    )[0]
    return DemoRecording(
        {name: views[:, place].numpy() for place, name in enumerate(placements)},
        FRAME_RATE,
        label_phrases(activity)[0],
        subject=motion.subject,
        session=motion.name,
        dataset="procedural",
        labels=simulated_labels(),
        title=f"simulated person {seed}",
        motion=motion,
        body=body,
        sites=sites,
    )


def real_recording(data: str | Path, seed: int = 0) -> DemoRecording:
    """A random window of a random class of a random dataset found in a folder.

    Args:
        data: folder that holds datasets named as in `DATASETS`, or one of them.
        seed: of the choice.

    Raises:
        OSError: no such folder, or no dataset in it.
        ValueError: the chosen dataset has no labelled window.
    """
    from tqdm import tqdm

    root = Path(data)
    if not root.is_dir():
        raise OSError(f"{root}: no such folder; give the one that holds {', '.join(DATASETS)}")
    found = [name for name in DATASETS if (root / name).is_dir()]
    if not found and root.resolve().name in DATASETS:
        root, found = root.resolve().parent, [root.resolve().name]
    if not found:
        raise OSError(f"{root} holds none of the folders {', '.join(DATASETS)}")
    rng = np.random.default_rng(seed)
    name = str(rng.choice(found))
    groups: dict[str, list[ImuRecording]] = {}
    for window in tqdm(read_windows(name, root / name), desc=name, delay=1, leave=False, disable=None):
        groups.setdefault(str(window.label), []).append(window)
    if not groups:
        raise ValueError(f"{root / name}: no labelled window found")
    group = groups[str(rng.choice(sorted(groups)))]
    chosen, body = group[int(rng.integers(len(group)))], load_template()
    return DemoRecording(
        chosen.signals,
        chosen.sampling_rate,
        chosen.label,
        chosen.label_id,
        chosen.subject,
        chosen.session,
        name,
        labels=DATASETS[name].labels,
        title=" ".join(f"{name}, person {chosen.subject or '?'}, session {chosen.session or '?'}".split()),
        body=body,
        sites={place: worn_site(body, place, rng) for place in chosen.signals},
    )


# -- the demonstration ---------------------------------------------------------------------------------------------------


@torch.inference_mode()
def run_demo(model: Any, processor: Any, recording: DemoRecording, out: str | Path, top_k: int = 5) -> DemoResult:
    """Recognise, caption and retrieve for one recording, and draw it.

    Args:
        model: `AnyMoForConditionalGeneration`.
        processor: `AnyMoProcessor` with a feature extractor.
        recording: from `simulated_recording` or `real_recording`.
        out: the PNG.
        top_k: how many activities and motions.

    Raises:
        ImportError: matplotlib is missing.
    """
    import matplotlib  # noqa: F401  (before the work, not after it)

    features = processor.feature_extractor(
        recording.signals, sampling_rate=recording.sampling_rate, return_tensors="np"
    )
    codes, worn = features["imu_codes"], features["imu_placements"]
    imu = embed_codes(model, processor, codes, worn)
    cosine = torch.from_numpy(embed_labels(model, processor, recording.labels) @ imu[0])
    scores = (cosine / model.config.contrastive_temperature).softmax(-1).tolist()
    ranked = sorted(zip(scores, recording.labels, strict=True), key=lambda pair: -pair[0])
    result = DemoResult(
        recording,
        ranked[:top_k],
        generate_captions(model, processor, codes, worn)[0],
        nearest_motions(model, processor, imu, worn[0], top_k)[0],
        Path(out),
    )
    draw_demo(result, codes[0], processor.feature_extractor.pqvae.quantizer.embedding.float().cpu().numpy())
    return result


def draw_demo(result: DemoResult, codes: np.ndarray, codebook: np.ndarray) -> None:
    """Write the picture: the body with its sensors, their signals, the motion tokens, and the answers.

    Args:
        result: what to show, and where to.
        codes: `(2L,)` codes of the recording.
        codebook: `(books, size, dim)` code vectors.
    """
    recording, devices = result.recording, len(result.recording.signals)
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(recording.signals)}
    words = "".join(letter for letter in result.caption if letter.isprintable())
    caption = fill(_short(words, 170) or "(no words)", 85)
    # everything in inches, from the bottom: answers, tokens, signals, the answer and the caption
    tokens, signals = 3.5, 5.2
    top = signals + ROW * devices - 0.1
    width, height = 15.0, top + 1.1 + 0.2 * caption.count("\n")
    score, activity = result.activities[0]
    figure, box = new_figure(width, height, f"{activity}, {100 * score:.0f} %")
    figure.text(0.5, 1 - 0.6 / height, f"in its own words: “{caption}”", ha="center", va="top", fontsize=11)
    _draw_body(box(0.8, 0.7, 5.3, top - 1.15), recording, colours)
    draw_signal_rows(box, recording.signals, recording.sampling_rate, colours, (7.2, 11.5), signals, 3.2)
    _draw_tokens(box(7.2, tokens, 7.5, 0.7), codes, codebook)
    title = f"recognised among {len(recording.labels)} activities"
    _draw_ranking(box(7.2, 0.7, 3.2, 1.8), result.activities, title, "probability", str(recording.label))
    _draw_ranking(box(11.5, 0.7, 3.2, 1.8), result.motions, "nearest known motions", "cosine")
    with replacing(result.picture) as draft:
        figure.savefig(draft, format="png", dpi=100)


def _draw_tokens(axes: Axes, codes: np.ndarray, codebook: np.ndarray) -> None:
    """A row of cells for each book; a cell's colour is its code's place on the main axis of the codes that occur."""
    books, size, _ = codebook.shape
    table = np.asarray(codes).reshape(-1, books) - size * np.arange(books)
    shades = np.empty((books, len(table)))
    for book in range(books):
        seen, place = np.unique(table[:, book], return_inverse=True)
        vectors = codebook[book, seen] - codebook[book, seen].mean(axis=0)
        main = vectors @ np.linalg.svd(vectors, full_matrices=False)[2][0]
        shades[book] = (np.argsort(np.argsort(main)) / max(len(seen) - 1, 1))[place]
    edges = np.arange(len(table) + 1) * 4 / FRAME_RATE
    axes.pcolormesh(edges, np.arange(books + 1), shades, cmap="viridis", edgecolors="white", linewidth=0.4)
    axes.set_yticks(np.arange(books) + 0.5, [f"book {book + 1}" for book in range(books)])
    axes.invert_yaxis()
    axes.set_xlabel("time (s)")
    distinct = " and ".join(str(len(np.unique(column))) for column in table.T)
    axes.set_title(f"motion tokens: {distinct} different codes; like colour, like code", loc="left", fontsize=11)
    axes.spines[:].set_visible(False)


def _draw_ranking(axes: Axes, pairs: Sequence[tuple[float, str]], title: str, unit: str, truth: str = "") -> None:
    """Bars with their texts above them, so that long ones have room."""
    for place, (score, text) in enumerate(pairs):
        colour = COLOURS[1] if text == truth else GREY
        axes.barh(place, score, height=0.34, color=colour)
        words = _short(text, 38) + ("  (true)" if text == truth else "")
        axes.text(0, place - 0.24, f"{score:.2f}  {words}", ha="left", va="bottom", fontsize=10)
    scores = [score for score, _ in pairs]
    axes.set_xlim(min(0.0, *scores), max(1.0, *scores))
    axes.set_ylim(len(pairs) - 0.6, -0.8)
    axes.set_yticks([])
    axes.set_xlabel(unit)
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3].rstrip() + "..."


def _draw_body(axes: Axes, recording: DemoRecording, colours: dict[str, str]) -> None:
    motion = recording.motion or simulate_activity("standing", 0, 2.0)
    draw_worn_body(axes, motion, len(motion.positions) // 2, recording.body, recording.sites, colours)
    note = f"{recording.label}, middle of the window" if recording.motion else "a standing body; the pose is not known"
    axes.set_title(f"{recording.title}\n{note}", loc="left", fontsize=11)
