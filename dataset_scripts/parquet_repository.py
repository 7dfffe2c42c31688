"""What repositories of these builders share: whole Parquet files named as on the Hub, written text, the card's YAML."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
from datasets.exceptions import DatasetGenerationError

_ROW_GROUP = 256


@contextmanager
def new_config(out: Path, config: str) -> Iterator[Path]:
    """A work folder whose `data/` replaces `out/data/<config>` when all went well; what a killed build left is removed."""
    work = out / f".{config}.part"
    shutil.rmtree(work, ignore_errors=True)
    (work / "data").mkdir(parents=True)
    try:
        yield work
        target = out / "data" / config
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(work / "data", target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def make_rows(
    builder: datasets.GeneratorBasedBuilder, num_proc: int = 1, progress: bool = True
) -> datasets.DatasetDict:
    """The splits of a builder; an error of our own comes out as it was raised, where one process makes the rows."""
    bars = datasets.is_progress_bar_enabled()
    if not progress:
        datasets.disable_progress_bars()
    try:
        builder.download_and_prepare(num_proc=num_proc if num_proc > 1 else None)
        return builder.as_dataset()
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, ValueError | OSError):
            raise error.__cause__ from None
        raise
    finally:
        if bars:
            datasets.enable_progress_bars()


def write_split(rows: datasets.Dataset, folder: Path, split: str, rows_per_file: int | None = None) -> int:
    """`<split>-00000-of-0000N.parquet`, zstd; without `rows_per_file` about 300 MB of Arrow data each.

    Returns:
        The number of files.
    """
    size = rows_per_file or -(-rows.num_rows // max(1, round(rows.data.nbytes / 300e6)))
    files = -(-rows.num_rows // size)
    schema = rows.features.arrow_schema
    for index in range(files):
        part = rows.select(range(index * size, min((index + 1) * size, rows.num_rows))).with_format("arrow")
        # small row groups: whoever streams or shuffles holds one at a time
        with pq.ParquetWriter(
            folder / f"{split}-{index:05d}-of-{files:05d}.parquet", schema, compression="zstd"
        ) as file:  # fmt: skip
            for batch in part.iter(_ROW_GROUP):
                file.write_table(batch)
    return files


def write_text(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_json(path: Path, content: Any) -> None:
    """Indented JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of the repository, or nothing where there is none.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); delete it and write every config again") from error


def card_head(
    pretty_name: str,
    licence: str,
    files: Mapping[str, Mapping[str, str]],
    features: Mapping[str, datasets.Features],
    **more: Any,
) -> str:
    """The YAML between dashes that `load_dataset` reads.

    Args:
        pretty_name, licence: of the data set.
        files: config -> split -> pattern of its files.
        features: config -> its columns.
        more: other keys.
    """
    import yaml

    head = {
        "pretty_name": pretty_name,
        "license": licence,
        **more,
        "configs": [
            {"config_name": name, "data_files": [{"split": split, "path": path} for split, path in splits.items()]}
            for name, splits in files.items()
        ],
        "dataset_info": [
            {"config_name": name, "features": columns._to_yaml_list()} for name, columns in features.items()
        ],
    }
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n"
