"""Checks a model or dataset card offline: its YAML by the Hub's rules, and a data set's files by its card.

`huggingface_hub` asks the Hub to validate a card; here the rules that matter are written down as data. Not checked: that
datasets, base models and metrics named in a card exist, three-letter language codes (only their form), keys that the Hub
gives no meaning to, the Markdown below the YAML, and the YAML rules that the Hub may add.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml

Kind = Literal["model", "dataset"]
CARD = "README.md"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# https://huggingface.co/docs/hub/repositories-licenses
LICENCES = _words(
    """apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
    afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
    cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl
    lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl openmdw-1.0
    openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
    fair-noncommercial-research-license llama2 llama3
    llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma unknown other"""
)
LANGUAGES = _words(  # ISO 639-1
    """aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo
    es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki
    kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr
    nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th
    ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu code multilingual"""
)
TASKS = _words(
    """text-classification token-classification table-question-answering question-answering zero-shot-classification
    translation summarization feature-extraction text-generation fill-mask sentence-similarity text-ranking
    text-to-speech text-to-audio automatic-speech-recognition audio-to-audio audio-classification audio-text-to-text
    voice-activity-detection depth-estimation image-classification object-detection image-segmentation text-to-image
    image-to-text image-to-image image-to-video unconditional-image-generation video-classification
    reinforcement-learning robotics tabular-classification tabular-regression tabular-to-text table-to-text
    multiple-choice text-retrieval time-series-forecasting text-to-video image-text-to-text image-text-to-image
    image-text-to-video visual-question-answering document-question-answering zero-shot-image-classification
    graph-ml mask-generation zero-shot-object-detection text-to-3d image-to-3d image-feature-extraction
    video-text-to-text keypoint-detection visual-document-retrieval any-to-any video-to-video other"""
)
SIZES = _words(
    """n<1K 1K<n<10K 10K<n<100K 100K<n<1M 1M<n<10M 10M<n<100M 100M<n<1B 1B<n<10B 10B<n<100B 100B<n<1T n>1T other"""
)
_CREATORS = frozenset(["found", "crowdsourced", "expert-generated", "machine-generated", "other"])
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")
_SPLIT = re.compile(r"\w+(\.\w+)*")
_CONFIG_FORBIDDEN = set('<>:/\\|?*"')


def check_card(path: str | Path, kind: Kind | None = None) -> list[str]:
    """What is wrong with a card, a line each with file, field and mend; nothing where it is right.

    Args:
        path: the card, or the folder that holds it as README.md. Given the folder, a data set's Parquet files are
            compared with `configs` and `dataset_info` too.
        kind: default: "dataset" where the YAML says what only a data set has.

    Raises:
        OSError: there is no card.
    """
    path = Path(path)
    folder = path if path.is_dir() else None
    path = path / CARD if folder else path
    if not path.is_file():
        raise OSError(f"{path}: no card; write one, with the YAML that the Hub reads between two lines ---")
    try:
        data = _front_matter(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of another encoding, too
        return [f"{path}: {error}"]
    if kind is None:
        kind = "dataset" if {"configs", "dataset_info", "size_categories"} & set(data) else "model"
    problems = _check_plain(data, path.parent)
    problems += _check_model_index(data["model-index"]) if "model-index" in data else []
    if kind == "dataset":
        problems += _check_data_set(data, folder)
    return [f"{path}: {problem}" for problem in problems]


def card_data(path: str | Path) -> dict[str, Any]:
    """The YAML of a card.

    Raises:
        OSError: there is no card.
        ValueError: it has no YAML, or one that cannot be read.
    """
    try:
        return _front_matter(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


class _Once(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        twice = [key for index, key in enumerate(keys) if key in keys[:index]]
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _front_matter(text: str) -> dict[str, Any]:
    match = re.match(r"---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", text, re.S | re.M)
    if not match:
        raise ValueError("no YAML; the first line must be --- and another --- must close it")
    if "{{" in match[1]:
        raise ValueError("a template; fill it first")
    try:
        data = yaml.load(match[1], Loader=_Once)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(f"the YAML cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(data, dict) or not data:
        raise ValueError("the YAML must hold keys and values, such as license: apache-2.0")
    return data


# -- one field -----------------------------------------------------------------------------------------------------------


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _one_of(known: frozenset[str], where: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        return None if value in known else f"must be one of {where}"

    return check


def _matches(pattern: re.Pattern[str], what: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        return None if isinstance(value, str) and pattern.fullmatch(value) else f"must be {what}"

    return check


def _language(value: Any) -> str | None:
    # YAML 1.1 reads `no` as false
    known = isinstance(value, str) and (value in LANGUAGES or re.fullmatch(r"[a-z]{3}", value))
    return None if known else "must be an ISO 639 code such as en (put Norwegian's in quotes: 'no')"


_TEXT = _matches(re.compile(r".*\S.*", re.S), "text")
_TASK = _one_of(TASKS, "the Hub's tasks, such as feature-extraction or other")
_MULTI = frozenset(["monolingual", "multilingual", "translation", "other"])
_RULES: dict[str, tuple[bool, Callable[[Any], str | None]]] = {  # key -> may it be a list, the rule of each value
    "license": (True, _one_of(LICENCES, "the Hub's licence identifiers, such as apache-2.0, cc-by-4.0 or other")),
    "license_name": (False, _matches(re.compile(r"[a-z0-9][a-z0-9.-]*"), "an identifier such as my-license-1.0")),
    "license_link": (False, _TEXT),
    "language": (True, _language),
    "tags": (True, _TEXT),
    "metrics": (True, _TEXT),
    "datasets": (True, _matches(_REPOSITORY, "owner/name")),
    "base_model": (True, _matches(_REPOSITORY, "owner/name")),
    "library_name": (False, _matches(re.compile(r"[\w.-]+"), "one word, such as transformers")),
    "pipeline_tag": (False, _TASK),
    "pretty_name": (False, _TEXT),
    "task_categories": (True, _TASK),
    "task_ids": (True, _TEXT),
    "size_categories": (True, _one_of(SIZES, "n<1K, 1K<n<10K, ... and n>1T")),
    "annotations_creators": (True, _one_of(_CREATORS | {"no-annotation"}, "found, crowdsourced, ... and no-annotation")),
    "language_creators": (True, _one_of(_CREATORS, "found, crowdsourced, expert-generated, machine-generated and other")),
    "multilinguality": (True, _one_of(_MULTI, "monolingual, multilingual, translation and other")),
    "source_datasets": (
        True,
        _matches(re.compile(r"original|extended(\|.+)?|[\w.-]+(/[\w.-]+)?"), "original, extended or a name"),
    ),
}  # fmt: skip


def _check_plain(data: dict[str, Any], folder: Path) -> list[str]:
    problems = [] if "license" in data else ["license: missing; name the Hub's identifier of it, or other"]
    for key, (many, rule) in _RULES.items():
        if key not in data:
            continue
        if isinstance(data[key], list) and not many:
            problems.append(f"{key}: must be one value, got {data[key]!r}")
            continue
        for value in _listed(data[key]):
            # lists and dicts cannot be looked up in a set
            fault = rule(value) if not isinstance(value, (list, dict)) else "must be text"
            if fault:
                problems.append(f"{key}: {fault}, got {value!r}")
    link = data.get("license_link")
    if isinstance(link, str) and "://" not in link and not (folder / link).is_file():
        problems.append(f"license_link: {link!r} is neither an address nor a file beside the card")
    return problems


def _check_model_index(index: Any) -> list[str]:
    if not isinstance(index, list) or not index:
        return ["model-index: must be a list of models, each with name and results"]
    problems = []
    for model in index:
        if not isinstance(model, dict) or not isinstance(model.get("name"), str):
            problems.append(f"model-index: a model without name: {str(model)[:80]}")
            continue
        results = model.get("results")
        if not isinstance(results, list) or not results:
            problems.append(f"model-index {model['name']}: results must be a list that holds something")
            continue
        for number, result in enumerate(results):
            where = f"model-index {model['name']}, result {number + 1}"
            parts = result if isinstance(result, dict) else {}
            for part, keys in (("task", ("type",)), ("dataset", ("type", "name"))):
                held = parts.get(part)
                for key in keys:
                    if not isinstance(held, dict) or not isinstance(held.get(key), str) or not held[key]:
                        problems.append(f"{where}: {part}.{key} must be text")
            metrics = parts.get("metrics")
            if not isinstance(metrics, list) or not metrics:
                problems.append(f"{where}: metrics must be a list that holds something")
                continue
            for metric in metrics:
                if not isinstance(metric, dict) or not isinstance(metric.get("type"), str):
                    problems.append(f"{where}: a metric without type: {metric!r}")
                elif isinstance(value := metric.get("value"), float) and not math.isfinite(value) or value is None:
                    problems.append(f"{where}: {metric['type']} has the value {value!r}; give a number")
    return problems


# -- a data set ----------------------------------------------------------------------------------------------------------


def data_patterns(data: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Config -> split -> patterns of its files, from the `configs` of a card.

    Raises:
        ValueError: they are not as `load_dataset` wants them.
    """
    configs = data.get("configs")
    if not isinstance(configs, list) or not configs:
        raise ValueError("configs: must be a list, each with config_name and data_files")
    patterns: dict[str, dict[str, list[str]]] = {}
    for config in configs:
        name = config.get("config_name") if isinstance(config, dict) else None
        if not isinstance(name, str) or not name or set(name) & _CONFIG_FORBIDDEN:
            raise ValueError(
                f"configs: config_name must be a name without {' '.join(sorted(_CONFIG_FORBIDDEN))}: {name!r}"
            )
        if name in patterns:
            raise ValueError(f"configs: {name} stands twice")
        patterns[name] = {}
        for entry in _listed(config.get("data_files")):
            entry = entry if isinstance(entry, dict) else {"split": "train", "path": entry}
            split, paths = entry.get("split"), _listed(entry.get("path"))
            if not isinstance(split, str) or not _SPLIT.fullmatch(split):
                raise ValueError(f"configs {name}: split {split!r} must be of letters, digits, _ and dots between them")
            for path in paths:
                inside = isinstance(path, str) and path and ".." not in PurePosixPath(path).parts
                if not inside or PurePosixPath(path).is_absolute():
                    raise ValueError(f"configs {name}: path {path!r} must lead to files of the repository")
            patterns[name].setdefault(split, []).extend(paths)
    if sum(bool(config.get("default")) for config in configs) > 1:
        raise ValueError("configs: only one of them can be the default")
    return patterns


def _check_data_set(data: dict[str, Any], folder: Path | None) -> list[str]:
    problems: list[str] = []
    patterns: dict[str, dict[str, list[str]]] = {}
    if "configs" in data:
        try:
            patterns = data_patterns(data)
        except ValueError as error:
            problems.append(str(error))
    features, rows = {}, {}
    for info in _listed(data.get("dataset_info", [])):
        name = info.get("config_name", "default") if isinstance(info, dict) else None
        if not isinstance(name, str) or (patterns and name not in patterns):
            problems.append(f"dataset_info: config_name {name!r} is none of configs: {', '.join(patterns)}")
            continue
        for split in _listed(info.get("splits") or []):
            count = split.get("num_examples") if isinstance(split, dict) else None
            if not isinstance(count, int) or count < 0 or not isinstance(split.get("name"), str):
                problems.append(f"dataset_info {name}: splits must have name and num_examples, got {split!r}")
            else:
                rows[name, split["name"]] = count
        if "features" in info:
            try:
                features[name] = _features(info["features"])
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                problems.append(f"dataset_info {name}: features cannot be read ({error})")
    if folder is not None:
        if not patterns and not problems:
            problems.append("configs: missing; name the files of each config and split")
        for name, splits in patterns.items():
            for split, paths in splits.items():
                files = sorted({file for pattern in paths for file in folder.glob(pattern) if file.is_file()})
                where = f"configs {name}, split {split}"
                if not files:
                    problems.append(f"{where}: no file matches {', '.join(paths)}; build it again")
                else:
                    problems += _check_parquet(where, files, features.get(name), rows.get((name, split)))
    return problems


def _features(listed: Any) -> Any:
    from datasets import Features

    return Features._from_yaml_list(listed)


def _reads_as(found: Any, told: Any) -> bool:
    """Whether a column of a file becomes what the card tells; whole numbers become classes."""
    return found == told or (type(told).__name__ == "ClassLabel" and getattr(found, "dtype", "").startswith("int"))


def _check_parquet(where: str, files: list[Path], features: Any, rows: int | None) -> list[str]:
    import pyarrow.parquet as pq
    from datasets import Features

    problems, count = [], 0
    for file in (file for file in files if file.suffix == ".parquet"):
        try:
            content = pq.ParquetFile(file)
            count += content.metadata.num_rows
            found = Features.from_arrow_schema(content.schema_arrow)
        except (OSError, ValueError) as error:
            problems.append(f"{where}: {file.name} is no whole Parquet file ({error}); build it again")
            continue
        differ = [] if features is None else [
            key for key in {**features, **found} if not _reads_as(found.get(key), features.get(key))
        ]  # fmt: skip
        if differ:
            problems.append(f"{where}: {file.name} has other columns than dataset_info: {', '.join(differ)}")
    if rows is not None and count != rows and not problems:
        problems.append(f"{where}: the files hold {count} rows, dataset_info says {rows}; build it again")
    return problems
