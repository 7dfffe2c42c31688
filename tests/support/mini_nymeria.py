"""One mini Nymeria for all tests: four people, half a minute each, the first under the name of a held-out person."""

from pathlib import Path

import pandas as pd

from anymo_hf.nymeria.mini_nymeria import write_mini_nymeria

HELD_OUT = "alec_meza"


def write_held_out_nymeria(folder: Path) -> tuple[Path, Path]:
    """Folder of the sequences and the file of their annotated windows; both may be there already."""
    if (folder / "annotations.parquet").is_file():
        return folder, folder / "annotations.parquet"
    annotations = write_mini_nymeria(folder, people=4, sessions=1, progress=False)
    first = sorted(folder.glob("2023*"))[0]
    name = first.name.replace("ada_alder", HELD_OUT)
    first.rename(folder / name)
    table = pd.read_parquet(annotations)
    mine = table.session_id == first.name
    table.loc[mine, ["session_id", "subject_id"]] = [name, HELD_OUT]
    table.loc[mine, "sample_id"] = table[mine].sample_id.str.replace(first.name, name)
    table.to_parquet(annotations)
    return folder, annotations
