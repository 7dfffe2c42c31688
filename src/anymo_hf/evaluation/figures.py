"""Figures as PNG, from results files alone: radar (paper Figure 1), captions (5), UMAP (6), confusion."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..atomic_write import replacing
from ..modeling.known_names import did_you_mean
from .caption_activity import stems
from .labelled_captions import FILE as LABELLED
from .paired_embeddings import FOLDER as EMBEDDINGS
from .paired_embeddings import read_embeddings
from .paper_results import paper_columns, paper_results
from .tables import part_of_results, read_json, recognition_results, refused, task_results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OWN_COLOURS = ("#d01c8b", "#4d4d4d", "#bf812d", "#01665e", "#542788", "#8c510a")
RIGHT, WRONG, QUIET = "#1b7837", "#b2182b", "#8a8a8a"
_AXES = (  # title, task, group of the paper's table, score (paper, appendix "radar")
    ("Exact activity match", "recognition", "average", "accuracy"),
    ("Balanced recognition", "recognition", "average", "macro_f1"),
    ("Top-2 activity recall", "recognition", "average", "recall_at_2"),
    ("IMU-to-text rank quality", "retrieval", "ego_exo4d, 100 samples, imu_to_text", "mrr"),
    ("Text-to-IMU rank quality", "retrieval", "ego_exo4d, 100 samples, text_to_imu", "mrr"),
    ("Word match", "captioning", "ego_exo4d", "bleu_1"),
    ("Sequence overlap", "captioning", "ego_exo4d", "rouge_l"),
    ("Content alignment", "captioning", "ego_exo4d", "meteor"),
    ("Semantic similarity", "captioning", "ego_exo4d", "bert_f1"),
)
_EXAMPLES = 6


def write_figure(name: str, results: str | Path, out: str | Path, systems: Sequence[str] | None = None) -> Path:
    """Writes `out/NAME.png`, whole or not at all.

    Args:
        name: key of `FIGURES`.
        results: folder that `anymo evaluate` wrote.
        out: folder for the picture.
        systems: names of those that the figure shows; None takes all, for "confusion" AnyMo alone where it has results.

    Raises:
        ValueError: unknown name, nothing to show, or a damaged file, by its name.
        OSError: no such folder.
        ImportError: matplotlib is missing.
    """
    if name not in FIGURES:
        raise ValueError(f"unknown figure {name!r}{did_you_mean(name, FIGURES)}; known: {', '.join(FIGURES)}")
    if not Path(results).is_dir():
        raise OSError(f"{results}: no such folder; give the one that anymo evaluate wrote")
    draw, command = FIGURES[name]
    if systems is not None and name not in ("confusion", "umap"):
        raise ValueError(f"the figure {name!r} shows every system; systems are chosen for confusion and umap")
    try:
        figure = draw(Path(results)) if systems is None else draw(Path(results), systems)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(refused(results, error, command)) from error
    if figure is None:
        of = "" if systems is None else f" of {', '.join(systems)}"
        raise ValueError(f"{results} holds nothing{of} for the figure {name!r}; run {command} first")
    path = Path(out) / f"{name}.png"
    with replacing(path) as draft:
        figure.savefig(draft, format="png", dpi=150, facecolor="white")
    return path


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


# -- radar ---------------------------------------------------------------------------------------------------------------


def compared_sets(scored: dict[str, dict[str, Any]]) -> list[str]:
    """Data sets of the paper's Table 1 that every system here has, less systems that have none of them.

    Args:
        scored: system -> data set -> its row.
    """
    known = set(paper_results("recognition")) - {"average"}
    shared = [known & set(rows) for rows in scored.values() if known & set(rows)]
    return sorted(set.intersection(*shared)) if shared else []


def radar_values(results: Path) -> tuple[dict[str, list[float]], list[str]]:
    """Of every zero-shot system here, the nine axes' values in percent (NaN where not measured), and the data sets that
    recognition is the mean of, see `compared_sets`."""
    scored: dict[str, dict[str, Any]] = {}
    for one in recognition_results(results):
        if part_of_results(one) == "A":
            rows = {row.dataset: vars(row) for row in one.rows if row.wording == "label"}
            scored[one.title] = rows
    released = read_json(results / "recognition.json")
    if released is not None and "AnyMo" not in scored:
        scored["AnyMo"] = {row["dataset"]: row for row in released["datasets"]}
    sets = compared_sets(scored)
    found: dict[str, list[float]] = {}
    for title, rows in scored.items():
        if sets and set(sets) <= set(rows):
            means = [float(np.mean([rows[name][score] for name in sets])) for *_, score in _AXES[:3]]
            found[title] = means + [np.nan] * 6
    for one in task_results(results, "retrieval"):
        for row in one.rows:
            if (row["dataset"], row["subset"]) == ("ego_exo4d", "100"):
                scores = found.setdefault(one.title, [np.nan] * 9)
                scores[3:5] = [row.get(way, {}).get("mrr", np.nan) for way in ("imu_to_text", "text_to_imu")]
    for one in task_results(results, "captions"):
        for row in one.rows:
            if (row["dataset"], row["subset"]) == ("ego_exo4d", "all"):
                scores = found.setdefault(one.title, [np.nan] * 9)
                names = ("bleu_1", "rouge_l", "meteor_f_mean", "bert_f1")
                scores[5:] = [row["scores"].get(name, np.nan) for name in names]
    return found, sets


def simulated_values(results: Path) -> list[float] | None:
    """The radar's axes of retrieval and captions, of AnyMo on simulated people; None where neither was scored."""
    asked, told = read_json(results / "retrieval.json"), read_json(results / "captioning.json")
    if asked is None and told is None:
        return None
    ranked = [np.nan] * 2 if asked is None else [asked[way]["mrr"] for way in ("imu_to_text", "text_to_imu")]
    scores = {} if told is None else told["scores"]
    words = [scores.get(name, np.nan) for name in ("bleu_1", "rouge_l", "meteor_f_mean", "bert_f1")]
    return [np.nan] * 3 + ranked + words


def _radar(results: Path) -> Figure | None:
    ours, sets = radar_values(results)
    if not ours:
        return None
    theirs: dict[str, list[float]] = {}
    for number, (_, task, group, score) in enumerate(_AXES):
        column = paper_columns(task).index(score)
        groups = sets if sets and task == "recognition" else [group]
        for system in paper_results(task)[groups[0]]:
            values = [paper_results(task)[name].get(system, [np.nan] * (column + 1))[column] for name in groups]
            theirs.setdefault(system, [np.nan] * 9)[number] = float(np.mean(values))
    simulated = simulated_values(results)
    every = np.array([*ours.values(), *theirs.values(), *([] if simulated is None else [simulated])])
    top = 1.1 * np.nanmax(every, axis=0)
    angles = np.linspace(0, 2 * np.pi, len(_AXES), endpoint=False)
    figure = _figure(12, 7.5)
    axes = figure.add_subplot(projection="polar")
    axes.set_theta_offset(np.pi / 2)
    axes.set_theta_direction(-1)

    def draw(values: Any, **style: Any) -> None:
        scaled = np.asarray(values, dtype=float) / top
        axes.plot([*angles, angles[0]], [*scaled, scaled[0]], marker="o", markersize=3, **style)

    for number, (system, values) in enumerate(theirs.items()):
        bold = system == "AnyMo"
        draw(values, label=f"{system} (paper)", linestyle="--", linewidth=1.6 if bold else 0.8,
             color="#333333" if bold else f"C{number % 10}", alpha=0.9 if bold else 0.5)  # fmt: skip
    for number, (system, values) in enumerate(ours.items()):
        colour = _OWN_COLOURS[number % len(_OWN_COLOURS)]
        draw(values, label=f"{system} (here)", linewidth=2.4, color=colour)
    if simulated is not None:
        draw(simulated, label="AnyMo (here, simulated people)", linewidth=1.8, linestyle=":", color=_OWN_COLOURS[0])
    axes.set_xticks(angles, [""] * len(angles))
    for angle, (title, *_), limit in zip(angles, _AXES, top, strict=True):
        side = "center" if abs(np.sin(angle)) < 0.1 else "left" if np.sin(angle) > 0 else "right"
        axes.text(angle, 1.06, f"{textwrap.fill(title, 16)}\nup to {limit:.0f}", ha=side, va="center", fontsize=8)
    axes.set_yticklabels([])
    axes.set_ylim(0, 1)
    figure.legend(loc="outside right center", fontsize=8, frameon=False)
    over = f"means over {', '.join(sets)}, the paper's too" if sets else "the paper's means over its 14 sets"
    said = f"Each axis has its own scale; a gap was not measured. Recognition here: the copies at hand, {over}."
    if simulated is not None:
        said += "\nDotted: simulated people; no data of the paper."
    figure.supxlabel(said, fontsize=8)
    return figure


# -- captions ------------------------------------------------------------------------------------------------------------


def _captions(results: Path) -> Figure | None:
    # by name and references, which are the same for the same windows
    parts: dict[tuple[str, tuple[str, ...]], dict[str, list[str]]] = {}
    for one in task_results(results, "captions"):
        for row in one.rows:
            name = row["dataset"] if row["subset"] == "all" else f"{row['dataset']}, {row['subset']} of them,"
            parts.setdefault((name, tuple(row["references"])), {})[one.title] = row["captions"]
    simulated = read_json(results / "captioning.json")
    if simulated is not None:
        parts.setdefault(("simulated", tuple(simulated["references"])), {})["AnyMo"] = simulated["captions"]
        if "selected" in simulated:
            parts["simulated", tuple(simulated["references"])]["AnyMo, selected"] = simulated["selected"]["captions"]
    labelled = read_json(results / LABELLED)
    for row in [] if labelled is None else labelled["datasets"]:
        ways = {"AnyMo": row["captions"]["written"], "AnyMo, selected": row["captions"]["selected"]}
        parts[f"{row['dataset']}, labelled", tuple(row["references"])] = ways
    if not parts:
        return None
    figure = _figure(7.0 * len(parts), 0.6 + _EXAMPLES * (0.62 + 0.3 * max(map(len, parts.values()))))
    boxes = figure.subplots(1, len(parts), squeeze=False)[0]
    for axes, ((dataset, references), systems) in zip(boxes, parts.items(), strict=True):
        axes.set_axis_off()
        axes.set_title(f"{dataset.replace('_', ' ')} windows", loc="left")
        others = [references.index(text) for text in dict.fromkeys(references)]
        chosen = [others[k] for k in np.linspace(0, len(others) - 1, min(_EXAMPLES, len(others))).astype(int)]
        line, height = 1.0, 1.0 / (len(chosen) * (len(systems) + 1.6))
        for row in chosen:
            axes.text(0, line, _cut(references[row], 88), transform=axes.transAxes, fontsize=9, va="top", weight="bold")
            line -= height
            for system, captions in systems.items():
                _coloured(axes, line, system, _cut(captions[row], 88), references[row])
                line -= height
            line -= 0.6 * height
    figure.suptitle(
        "Bold: the reference, of labelled windows the label. Green words stand in it in some form, red ones do not.",
        fontsize=9,
    )
    return figure


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _coloured(axes: Any, line: float, system: str, caption: str, reference: str) -> None:
    from matplotlib.offsetbox import AnchoredOffsetbox, HPacker, TextArea

    known = set(stems(reference))
    words = [TextArea(f"{system}:", textprops={"fontsize": 9, "color": QUIET})]
    for word in caption.split() or ["(nothing)"]:
        own = set(stems(word))
        colour = QUIET if not own else RIGHT if own & known else WRONG
        words.append(TextArea(word, textprops={"fontsize": 9, "color": colour}))
    packed = HPacker(children=words, pad=0, sep=3)
    box = AnchoredOffsetbox("upper left", child=packed, pad=0, frameon=False, bbox_to_anchor=(0, line),
                            bbox_transform=axes.transAxes, borderpad=0)  # fmt: skip
    axes.add_artist(box)


# -- embeddings ----------------------------------------------------------------------------------------------------------


def plane(vectors: np.ndarray, seed: int = 0) -> tuple[np.ndarray, str]:
    """`(n, dim)` to `(n, 2)` by UMAP where it is installed, else by the first two principal components; and by which."""
    try:
        from umap import UMAP
    except ImportError:
        centred = vectors - vectors.mean(0)
        _, _, directions = np.linalg.svd(centred, full_matrices=False)
        return centred @ directions[:2].T, "principal components; pip install umap-learn for UMAP"
    return UMAP(random_state=seed, metric="cosine").fit_transform(vectors), "UMAP"


def _umap(results: Path, systems: Sequence[str] | None = None) -> Figure | None:
    paths = sorted((results / EMBEDDINGS).glob("*.json"))
    found = [read_embeddings(path) for path in paths if systems is None or path.stem in systems]
    if not found:
        return None
    figure = _figure(6.5 * len(found), 6)
    for axes, one in zip(figure.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        points, by = plane(one.vectors)
        real, labels = np.array(one.real), np.array(one.labels)
        for number, label in enumerate(dict.fromkeys(one.labels)):
            for recorded, marker in ((True, "o"), (False, "^")):
                rows = (labels == label) & (real == recorded)
                axes.scatter(*points[rows].T, s=14, marker=marker, color=f"C{number % 10}", alpha=0.7 if recorded else 0.35,
                             linewidths=0, label=label if recorded else None)  # fmt: skip
        axes.set_title(f"{one.title}: {one.dataset}, {one.place.replace('_', ' ')}\ncircles real, triangles simulated; {by}",
                       fontsize=9)  # fmt: skip
        axes.set_xticks([])
        axes.set_yticks([])
        axes.legend(fontsize=8, frameon=False)
    return figure


# -- confusion -----------------------------------------------------------------------------------------------------------


def _confusion(results: Path, systems: Sequence[str] | None = None) -> Figure | None:
    scored = [one for one in recognition_results(results) if one.system not in ("chance", "majority")]
    own = [one for one in scored if one.system == "anymo"]
    if systems is not None:
        own = scored = [one for one in recognition_results(results) if one.system in systems]
    found = [
        (f"{one.title}, {row.dataset}", row.labels, row.confusion)
        for one in own or scored
        for row in one.rows
        if row.wording == "label"
    ]
    released = read_json(results / "recognition.json")
    if not found and released is not None and "anymo" in (systems or ("anymo",)):
        found = [(f"AnyMo, {row['dataset']}", row["labels"], row["confusion"]) for row in released["datasets"]]
    if not found:
        return None
    wide = min(3, len(found))
    high = -(-len(found) // wide)
    figure = _figure(5.2 * wide, 4.8 * high)
    boxes = figure.subplots(high, wide, squeeze=False).ravel()
    for axes in boxes[len(found) :]:
        axes.set_axis_off()
    for axes, (title, labels, counts) in zip(boxes, found, strict=False):
        table = np.array(counts, dtype=float)
        share = 100 * table / np.maximum(table.sum(1, keepdims=True), 1)
        shown = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
        small = len(labels) <= 12
        names = [textwrap.fill(str(label), 22) if small else f"{label}  {k}" for k, label in enumerate(labels, 1)]
        axes.set_xticks(
            range(len(labels)), names if small else range(1, len(labels) + 1), rotation=90, fontsize=6 if small else 5
        )
        axes.set_yticks(range(len(labels)), names, fontsize=6 if small else 5)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("predicted", fontsize=7)
        axes.set_ylabel("true", fontsize=7)
        if small:
            for row, column in np.argwhere(share >= 1):
                axes.text(column, row, f"{share[row, column]:.0f}", ha="center", va="center", fontsize=6,
                          color="white" if share[row, column] > 55 else "black")  # fmt: skip
    figure.colorbar(shown, ax=list(boxes), shrink=0.4, label="percent of each true class")
    return figure


FIGURES: dict[str, tuple[Callable[..., Any], str]] = {
    "radar": (_radar, "anymo evaluate recognition --system NAME"),
    "captions": (_captions, "anymo evaluate captioning"),
    "umap": (_umap, "anymo evaluate embeddings"),
    "confusion": (_confusion, "anymo evaluate recognition --system NAME"),
}
