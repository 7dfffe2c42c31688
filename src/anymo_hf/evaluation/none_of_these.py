"""How often `anymo recognize --none` says "none of these", rightly and wrongly.

python -m anymo_hf.evaluation.none_of_these [--data DIR] [--out results/none_of_these.json]

Simulated people that training never draws, with the everyday list: windows of activities that mean something on the list
should keep a label, windows of the others get none. Real windows with all labels of their dataset should keep one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic_write import write_json
from ..interruption import ending_in_words
from ..motion.procedural import ACTIVITIES, label_phrases
from ..recordings.catalogue import DATASETS, read_windows
from ..systems.checkpoint import load_checkpoint, weights_sha256
from ..systems.embeddings import embed_codes, embed_labels, embed_windows
from ..systems.held_out_windows import held_out_windows
from ..systems.recognizer import NEAR_IN_MEANING, zero_shot_recognizer
from .recognition import stratified_subset

SETS = ("uci_hapt", "usc_had")


def simulated_shares(model: Any, processor: Any, windows: int) -> dict[str, float]:
    """Shares, as fractions, of simulated windows: `listed_kept` a label, `others_refused` one."""
    recognizer = zero_shot_recognizer(model, processor, none_of_these=True)
    names = embed_labels(model, processor, [label_phrases(name)[0] for name in ACTIVITIES])
    assert recognizer.texts is not None
    near = dict(zip(ACTIVITIES, (names @ recognizer.texts.T).max(1) >= NEAR_IN_MEANING, strict=True))
    shown = held_out_windows(processor, windows)
    embeddings = embed_codes(model, processor, shown.codes, shown.placements)
    none = recognizer.scores(embeddings).argmax(1) == len(recognizer.labels) - 1
    listed = np.array([near[name] for name in shown.activities])
    return {"listed_kept": float((~none[listed]).mean()), "others_refused": float(none[~listed].mean())}


def kept_share(model: Any, processor: Any, dataset: str, folder: str | Path, most: int) -> float:
    """Share, as a fraction, of a dataset's windows that keep one of its labels."""
    recordings = list(read_windows(dataset, folder))
    labels = [label for label in DATASETS[dataset].labels if any(one.label == label for one in recordings)]
    truth = np.array([labels.index(str(one.label)) for one in recordings])
    chosen = [recordings[row] for row in stratified_subset(truth, most)]
    recognizer = zero_shot_recognizer(model, processor, labels, none_of_these=True)
    scores = recognizer.scores(embed_windows(model, processor, chosen))
    return float((scores.argmax(1) < len(labels)).mean())


@ending_in_words("none_of_these")
def main(words: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="anymo")
    parser.add_argument("--windows", type=int, default=290, help="simulated windows (default 290, two an activity)")
    parser.add_argument("--data", type=Path, help=f"folder that holds {' and '.join(SETS)}")
    parser.add_argument("--out", type=Path, default=Path("results/none_of_these.json"))
    given = parser.parse_args(words)
    model, processor = load_checkpoint(given.model)
    found = {name: 100 * share for name, share in simulated_shares(model, processor, given.windows).items()}
    for name in SETS if given.data else ():
        if (given.data / name).is_dir():
            found[f"{name}_kept"] = 100 * kept_share(model, processor, name, given.data / name, 1000)
    for name, value in found.items():
        print(f"{name}: {value:.1f} %")
    settings = {"model": given.model, "weights_sha256": weights_sha256(given.model), "unit": "percent"}
    write_json(given.out, settings | {"windows": given.windows, **found})
    print(f"written: {given.out}")


if __name__ == "__main__":
    main()
