"""What the builders' tests share: the scripts' folder on the path, as for a script that is run, and a small Nymeria."""

import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "dataset_scripts"))


@pytest.fixture(scope="session")
def mini_nymeria(tmp_path_factory):
    """Four people, half a minute each, the first of them under the name of a held-out subject; its annotations."""
    from anymo_hf.nymeria import imu as nymeria_imu
    from anymo_hf.nymeria.mini_nymeria import write_mini_nymeria

    if nymeria_imu._pyvrs() is None:
        pytest.skip("needs vrs: pip install vrs")
    folder = tmp_path_factory.mktemp("mini") / "nymeria"
    annotations = write_mini_nymeria(folder, people=4, sessions=1, progress=False)
    first = sorted(folder.glob("2023*"))[0]
    name = first.name.replace("ada_alder", "alec_meza")
    first.rename(folder / name)
    table = pd.read_parquet(annotations)
    mine = table.session_id == first.name
    table.loc[mine, ["session_id", "subject_id"]] = [name, "alec_meza"]
    table.loc[mine, "sample_id"] = table[mine].sample_id.str.replace(first.name, name)
    table.to_parquet(annotations)
    return folder, annotations


@pytest.fixture
def light_reader(monkeypatch):
    """`vrs` rather than projectaria-tools, which prints."""
    from anymo_hf.nymeria import imu as nymeria_imu

    monkeypatch.setattr(nymeria_imu, "_aria", lambda: None)
