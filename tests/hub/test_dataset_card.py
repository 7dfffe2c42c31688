"""Cards by the Hub's rules: those of the project pass, and each fault is named with its field."""

import configparser
import importlib
from pathlib import Path

import datasets
import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard, ModelCardData
from support.forked import run_program

import anymo_hf
from anymo_hf.hub import model_card
from anymo_hf.hub.builders import parquet_repository
from anymo_hf.hub.dataset_card import check_card, data_patterns

ROOT = Path(__file__).parents[2]
FEATURES = datasets.Features({"imu": datasets.Array2D((None, 6), "float32"), "label": datasets.Value("string")})
GOOD = {
    "license": "cc-by-4.0",
    "language": ["en", "deu"],
    "tags": ["imu"],
    "size_categories": ["n<1K"],
    "configs": [{"config_name": "walk", "data_files": [{"split": "test", "path": "data/test-*.parquet"}]}],
    "dataset_info": {
        "config_name": "walk",
        "features": FEATURES._to_yaml_list(),
        "splits": [{"name": "test", "num_examples": 2}],
    },
}
RESULT = {
    "task": {"type": "feature-extraction"},
    "dataset": {"type": "uci_har", "name": "UCI-HAR"},
    "metrics": [{"type": "accuracy", "value": 49.2}],
}


def _write(folder, data):
    text = data if isinstance(data, str) else f"---\n{yaml.safe_dump(data)}---\n# Title\n"
    (folder / "README.md").write_text(text)
    return folder / "README.md"


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "data").mkdir()
    rows = datasets.Dataset.from_list([{"imu": [[0.0] * 6] * 3, "label": "walk"}] * 2, features=FEATURES)
    rows.to_parquet(str(tmp_path / "data" / "test-00000-of-00001.parquet"))
    _write(tmp_path, GOOD)
    return tmp_path


def test_the_released_models_card_passes():
    assert check_card(ROOT / "anymo", "model") == []


@pytest.mark.parametrize("template", sorted((ROOT / "hub_cards").glob("*.md")), ids=lambda path: path.name)
def test_templates_are_told_and_pass_once_filled(template, tmp_path):
    assert "a template; fill it first" in check_card(template)[0]
    card = DatasetCard if "dataset" in template.name else ModelCard
    filled = card.from_template(
        ModelCardData(license="apache-2.0", language="en"), template_path=str(template), name="x"
    )
    filled.save(tmp_path / "README.md")
    assert check_card(tmp_path / "README.md") == []


_PART = {"rows": 2000, "bytes": 1, "shards": 1, "hours": 1.0}
_HEARD = {
    "splits": {"test": _PART | {"subjects": ["1"], "classes": ["sit"]}},
    "whole": False,
    "beside": ["subjects 1 of 14"],
}
_MOVED = _PART | {"windows": 1, "recordings": 1, "subjects": 1, "hours_by_source": {"cmu_bvh": 1.0}}


@pytest.mark.parametrize(
    ("name", "counts", "licence", "words"),
    [
        ("anymo_zeroshot", {"usc_had": _HEARD}, "unknown", "| see the source, and ask its owners"),
        ("anymo_zeroshot", {"openpack": _HEARD}, "cc-by-nc-sa-4.0", "| CC BY-NC-SA 4.0 |"),
        ("anymo_zeroshot", {"openpack": _HEARD, "usc_had": _HEARD}, "other", "| see the source, and ask its owners"),
        ("anymo_synthetic", {"views": {"splits": {"train": _MOVED}}}, "other", "was obtained from mocap.cs.cmu.edu"),
    ],
)
def test_cards_name_a_licence_only_where_it_is_certain(name, counts, licence, words, tmp_path):
    """Of invented counts; the builders' own tests check the cards of what they wrote."""
    (tmp_path / "README.md").write_text(importlib.import_module(f"anymo_hf.hub.builders.{name}").card(counts))
    assert check_card(tmp_path / "README.md") == []
    card = DatasetCard.load(tmp_path / "README.md")  # the Hub's own reader understands it
    assert card.data.license == licence and card.data.size_categories == ["1K<n<10K"] and words in card.text


def test_templates_are_installed_with_the_package():
    """An installed package has what setup.cfg names below the package's folder, and nothing of a clone."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    package = Path(anymo_hf.__file__).parent
    patterns = setup["options.package_data"]["anymo_hf"].split()
    installed = {path for pattern in patterns for path in package.glob(pattern)}
    templates = {parquet_repository.TEMPLATE, model_card.TEMPLATE}
    assert templates <= installed and not any(path.is_symlink() for path in templates)
    assert {path.resolve() for path in (ROOT / "hub_cards").glob("*.md")} == {path.resolve() for path in templates}


@pytest.mark.slow
def test_builders_run_from_an_installed_package(tmp_path):
    def run(*arguments):
        return run_program("anymo_hf.hub.builders", *arguments, folder=tmp_path)

    done = run("anymo-bench", "--help")
    assert done.returncode == 0 and "--drop-held-out" in done.stdout, done.stderr
    failed = run("none")
    assert failed.returncode == 2 and "anymo-180, anymo-bench" in failed.stderr


def test_a_right_card_and_its_files_pass(repository):
    assert check_card(repository) == check_card(repository / "README.md") == []
    assert data_patterns(GOOD) == {"walk": {"test": ["data/test-*.parquet"]}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"license": "apache 2"}, "license: must be one of the Hub's licence identifiers.*'apache 2'"),
        ({"license": None}, "license: must be one of"),
        ({"license": "other", "license_name": "My Licence"}, "license_name: must be an identifier"),
        ({"license_link": "LICENSE.txt"}, "license_link: 'LICENSE.txt' is neither an address nor a file"),
        ({"language": "english"}, "language: must be an ISO 639 code"),
        ({"language": False}, "language: .*'no'"),
        ({"tags": ["imu", 3]}, "tags: must be text, got 3"),
        ({"tags": [{"a": 1}]}, "tags: must be text"),
        ({"pretty_name": ["a", "b"]}, "pretty_name: must be one value"),
        ({"size_categories": ["1K-10K"]}, "size_categories: must be one of n<1K"),
        ({"task_categories": ["har"]}, "task_categories: must be one of the Hub's tasks"),
        ({"annotations_creators": "me"}, "annotations_creators: must be one of found"),
        ({"datasets": "a/b/c"}, "datasets: must be owner/name"),
        ({"configs": []}, "configs: must be a list"),
        ({"configs": [{"config_name": "a/b", "data_files": "x"}]}, "config_name must be a name without"),
        ({"configs": GOOD["configs"] * 2}, "configs: walk stands twice"),
        ({"configs": [{"config_name": "walk", "data_files": [{"split": "te-st", "path": "x"}]}]}, "split 'te-st' must be"),
        ({"configs": [{"config_name": "walk", "data_files": "../x.parquet"}]}, "path '../x.parquet' must lead to files"),
        ({"configs": [{"config_name": "walk", "data_files": "x-*.parquet"}]}, "split train: no file matches x-"),
        ({"dataset_info": {"config_name": "run"}}, "config_name 'run' is none of configs: walk"),
        ({"dataset_info": GOOD["dataset_info"] | {"features": [{"name": "a", "dtype": "float33"}]}}, "cannot be read"),
        ({"dataset_info": GOOD["dataset_info"] | {"features": GOOD["dataset_info"]["features"][1:]}}, "other columns .*imu"),
        (
            {"dataset_info": GOOD["dataset_info"] | {"splits": [{"name": "test", "num_examples": 3}]}},
            "the files hold 2 rows, dataset_info says 3",
        ),
        ({"dataset_info": GOOD["dataset_info"] | {"splits": [{"name": "test"}]}}, "splits must have name and num_examples"),
        ({"model-index": {}}, "model-index: must be a list"),
        ({"model-index": [{"name": "x", "results": [RESULT | {"task": {}}]}]}, "result 1: task.type must be text"),
        ({"model-index": [{"name": "x", "results": [RESULT | {"dataset": {"type": "a"}}]}]}, "dataset.name must be"),
        (
            {"model-index": [{"name": "x", "results": [RESULT | {"metrics": [{"type": "f1", "value": float("nan")}]}]}]},
            "f1 has the value nan",
        ),
        ({"model-index": [{"name": "x", "results": [RESULT | {"metrics": []}]}]}, "metrics must be a list"),
    ],
)  # fmt: skip
def test_each_fault_is_named_with_file_and_field(repository, change, message):
    _write(repository, GOOD | change)
    problems = check_card(repository)
    assert len(problems) == 1, problems
    assert problems[0].startswith(f"{repository / 'README.md'}: ")
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(problems[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# Title\n", "no YAML; the first line must be ---"),
        ("---\nlicense: mit\n", "another --- must close it"),
        ("---\nlicense: [mit\n---\n", "the YAML cannot be read"),
        ("---\nlicense: mit\nlicense: other\n---\n", "key 'license' stands twice"),
        ("---\n- mit\n---\n", "must hold keys and values"),
        ("---\ntags: imu\n---\n", "license: missing"),
    ],
)
def test_a_card_without_right_yaml_is_refused(tmp_path, text, message):
    (problem,) = check_card(_write(tmp_path, text))
    assert message in problem


def test_a_cut_parquet_file_and_a_missing_card_are_named(repository, tmp_path):
    path = repository / "data" / "test-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    (problem,) = check_card(repository)
    assert "test-00000-of-00001.parquet is no whole Parquet file" in problem
    with pytest.raises(OSError, match="no card"):
        check_card(repository / "data")
