"""Upload and download through the real client, against a Hub on loopback."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
from huggingface_hub import constants, snapshot_download
from support import hub_server

from anymo_hf.hub.dataset_card import check_card
from anymo_hf.hub.upload import push_folder

FEATURES = datasets.Features({"imu": datasets.Array2D((None, 6), "float32"), "label": datasets.ClassLabel(names=["a"])})


def write_data_set(folder, shards=2):
    """A repository of two windows a shard."""
    place = folder / "data" / "walk"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for shard in range(shards):
        rows = [{"imu": np.full((3 + row, 6), 10 * shard + row, np.float32), "label": "a"} for row in range(2)]
        data = datasets.Dataset.from_list(rows, features=FEATURES)
        data.to_parquet(str(place / f"test-{shard:05d}-of-{shards:05d}.parquet"))
    info = datasets.DatasetInfo(features=FEATURES)._to_yaml_dict()["features"]
    import yaml

    head = {
        "license": "apache-2.0",
        "configs": [{"config_name": "walk", "data_files": [{"split": "test", "path": "data/walk/test-*.parquet"}]}],
        "dataset_info": [
            {"config_name": "walk", "features": info, "splits": [{"name": "test", "num_examples": 2 * shards}]}
        ],
    }
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(head)}---\n# Walk\n")
    assert not check_card(folder)
    return folder


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_data_set_arrives_whole_and_is_downloaded_and_read(hub, tmp_path):
    folder = write_data_set(tmp_path / "walk")
    (folder / ".walk.part").mkdir()
    (folder / ".walk.part" / "half.parquet").write_bytes(b"half")
    url = push_folder(folder, "me/walk", "dataset", endpoint=hub.url)
    held = hub.repositories["datasets/me/walk"]
    assert url.startswith(f"{hub.url}/datasets/me/walk/commit/") and held.private
    wanted = {name: content for name, content in files_of(folder).items() if ".part/" not in name}
    assert held.files == wanted and held.large == {name for name in wanted if name.endswith(".parquet")}
    copy = snapshot_download(
        "me/walk", repo_type="dataset", endpoint=hub.url, cache_dir=tmp_path / "hub", token=hub_server.TOKEN
    )
    assert files_of(Path(copy)) == wanted
    rows = datasets.load_dataset(copy, "walk", split="test", cache_dir=str(tmp_path / "cache")).with_format("numpy")
    assert [(row["imu"].shape, row["imu"][0, 0]) for row in rows] == [
        ((3, 6), 0),
        ((4, 6), 1),
        ((3, 6), 10),
        ((4, 6), 11),
    ]


def test_a_model_arrives_in_the_models_name_space(hub, tmp_path):
    folder = tmp_path / "nano"
    (folder / "imu_tokenizer").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    with pytest.raises(OSError, match=r"config.json and \*.safetensors"):
        push_folder(folder, "me/nano", "model", endpoint=hub.url)
    for path in (folder / "model.safetensors", folder / "imu_tokenizer" / "model.safetensors"):
        path.write_bytes(path.parent.name.encode() * 1000)
    push_folder(folder, "me/nano", "model", private=False, endpoint=hub.url)
    assert hub.repositories["models/me/nano"].files == files_of(folder)
    assert not hub.repositories["models/me/nano"].private
    copy = snapshot_download("me/nano", endpoint=hub.url, cache_dir=tmp_path / "hub", token=hub_server.TOKEN)
    assert files_of(Path(copy)) == files_of(folder)


def test_shards_of_an_older_build_go_and_what_is_the_same_is_not_sent_again(hub, tmp_path):
    folder = write_data_set(tmp_path / "walk", shards=3)
    push_folder(folder, "me/walk", "dataset", endpoint=hub.url)
    puts = len([line for line in hub.log if line.startswith("PUT")])
    write_data_set(folder, shards=2)
    (folder / "counts.json").write_text("{}")
    push_folder(folder, "me/walk", "dataset", endpoint=hub.url)
    assert hub.repositories["datasets/me/walk"].files == files_of(folder)
    assert puts == 3 and len([line for line in hub.log if line.startswith("PUT")]) == 3  # same bytes, other names


def test_a_pull_request_changes_nothing_by_itself(hub, tmp_path):
    folder = write_data_set(tmp_path / "walk")
    with pytest.raises(OSError, match="answered 404 .*no such repository"):
        push_folder(folder, "me/walk", "dataset", create_pr=True, endpoint=hub.url)
    push_folder(folder, "me/walk", "dataset", endpoint=hub.url)
    (folder / "counts.json").write_text("{}")
    url = push_folder(folder, "me/walk", "dataset", create_pr=True, message="Counts", endpoint=hub.url)
    held = hub.repositories["datasets/me/walk"]
    assert url == f"{hub.url}/datasets/me/walk/discussions/1" and held.pull_requests == ["Counts"]
    assert "counts.json" not in held.files and len(held.commits) == 1


def test_after_an_error_in_the_middle_only_the_rest_is_sent(hub, tmp_path):
    folder = write_data_set(tmp_path / "walk", shards=4)
    arrived = []

    def second_half_fails(method, path):
        if method == "PUT" and path not in arrived:
            if len(arrived) >= 2:
                return 500
            arrived.append(path)
        return None

    hub.broken = second_half_fails
    with pytest.raises(OSError, match="the server answered 500 .*run the same command again") as caught:
        push_folder(folder, "me/walk", "dataset", endpoint=hub.url)
    assert str(folder) in str(caught.value) and "me/walk" in str(caught.value)
    assert not hub.repositories["datasets/me/walk"].files  # nothing half there
    hub.broken, before = (lambda method, path: 503 if path.endswith("/commit/main") else None), len(hub.log)
    with pytest.raises(OSError, match="answered 503"):
        push_folder(folder, "me/walk", "dataset", endpoint=hub.url)
    sent = [line.split()[1] for line in hub.log[before:] if line.startswith("PUT")]
    assert len(sent) == 2 and not set(sent) & set(arrived)
    hub.broken, before = (lambda method, path: None), len(hub.log)
    push_folder(folder, "me/walk", "dataset", endpoint=hub.url)
    assert not [line for line in hub.log[before:] if line.startswith("PUT")]
    assert hub.repositories["datasets/me/walk"].files == files_of(folder)


def test_nothing_is_sent_without_token_name_or_a_right_card(hub, tmp_path, monkeypatch):
    folder = write_data_set(tmp_path / "walk")
    with pytest.raises(ValueError, match="give owner/name"):
        push_folder(folder, "walk", "dataset", endpoint=hub.url)
    with pytest.raises(ValueError, match="no name of a repository"):
        push_folder(folder, "me/wa lk", "dataset", endpoint=hub.url)
    with pytest.raises(OSError, match="no such folder"):
        push_folder(tmp_path / "none", "me/walk", "dataset", endpoint=hub.url)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(ValueError, match="hf auth login.*HF_TOKEN"):
        push_folder(folder, "me/walk", "dataset", endpoint=hub.url)
    (folder / "data" / "walk" / "test-00001-of-00002.parquet").unlink()
    with pytest.raises(ValueError, match="the files hold 2 rows, dataset_info says 4"):
        push_folder(folder, "me/walk", "dataset", endpoint=hub.url)
    assert not hub.log


def test_a_refused_token_and_a_silent_server_are_named(hub, tmp_path):
    folder = write_data_set(tmp_path / "walk")
    with pytest.raises(OSError, match="answered 401 .*the token is not accepted"):
        push_folder(folder, "me/walk", "dataset", endpoint=hub.url, token="hf_other")
    with pytest.raises(OSError, match="127.0.0.1:9.*run the same command again"):
        push_folder(folder, "me/walk", "dataset", endpoint="http://127.0.0.1:9")


@pytest.mark.slow
def test_load_dataset_reads_from_the_hub_and_streams(hub, tmp_path):
    """In a process of its own, as the address of the Hub is read once."""
    push_folder(write_data_set(tmp_path / "walk"), "me/walk", "dataset", endpoint=hub.url)
    code = (
        "from datasets import load_dataset\n"
        "for streaming in (False, True):\n"
        "    rows = load_dataset('me/walk', 'walk', split='test', streaming=streaming).with_format('numpy')\n"
        "    print([(row['imu'].shape[0], int(row['imu'][0, 0])) for row in rows])\n"
    )
    names = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    names |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "HF_TOKEN": hub_server.TOKEN, "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=names)
    assert done.stdout.splitlines() == [str([(3, 0), (4, 1), (3, 10), (4, 11)])] * 2, done.stderr
