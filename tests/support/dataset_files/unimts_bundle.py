"""Small original files of unimts_bundle."""

import json

import numpy as np

from anymo_hf.recordings.datasets.unimts_bundle import BUNDLES


def write(folder, name, windows, labels, classes=None, split="test"):
    place = folder / "UniMTS_data" / BUNDLES[name].folder
    place.mkdir(parents=True, exist_ok=True)
    np.save(place / f"X_{split}.npy", windows)
    np.save(place / f"y_{split}.npy", labels)
    count = BUNDLES[name].classes if classes is None else classes
    words = {str(i): ["activity", str(i)] for i in range(count)}
    (place / f"{BUNDLES[name].folder}.json").write_text(json.dumps({"label_dictionary": words}))
    return place
