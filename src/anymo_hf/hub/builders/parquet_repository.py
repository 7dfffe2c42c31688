"""The one home of Hub-layout repositories: rows made in parts that survive a kill, Parquet files, counts and the card.

A config is made in `OUT/.<config>.part`: rows as Arrow files, a few recordings each, then the Parquet files, which take the
place of the old ones when all are there. What a stopped build has finished is used again while source and options are the
same.
"""

from __future__ import annotations

import errno
import os
import shutil
from bisect import bisect_left
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial, wraps
from hashlib import sha256
from inspect import signature
from pathlib import Path
from typing import Any

import datasets
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets.arrow_writer import ArrowWriter
from datasets.table import table_cast
from huggingface_hub import DatasetCard, DatasetCardData
from tqdm import tqdm

from ... import __version__
from ...atomic_write import replacing, write_json, write_text
from ...interruption import was_interrupted
from ...refusals import parse_json
from ...simulation.engines import run_jobs
from .window_builder import WindowBuilder

TEMPLATE = Path(__file__).parents[1] / "templates" / "dataset_card.md"
PARTS = 256  # of a split, at most
BYTES_PER_FILE = 300e6  # as Arrow data
_ROW_GROUP = 256


def one_at_a_time(build: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """A function with an argument `out`, a repository that it writes: of two at once the second waits for the first.

    Both would replace the same files and add to the same counts, each from what it read before the other wrote. The folder
    itself is locked, so that no file is left in it; where that is not possible, as on Windows, nobody waits.
    """

    @wraps(build)
    def alone(*args: Any, **kwargs: Any) -> dict[str, Any]:
        out = Path(signature(build).bind(*args, **kwargs).arguments["out"])
        new = not out.exists()
        out.mkdir(parents=True, exist_ok=True)
        held = _lock(out)
        try:
            return build(*args, **kwargs)
        finally:
            if new:
                with suppress(OSError):  # it holds something
                    out.rmdir()
            if held is not None:
                os.close(held)

    return alone


def _lock(folder: Path) -> int | None:
    """A descriptor to close at the end."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:
        return None
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            flock(held, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            print(f"{folder}: another build writes into it; waiting for its end", flush=True)
            flock(held, LOCK_EX)
    except OSError:  # a file system that locks no folder
        os.close(held)
        return None
    except BaseException:
        os.close(held)
        raise
    return held


def write_config(
    out: Path,
    kind: type[WindowBuilder],
    config: str,
    settings: Mapping[str, Any],
    sources: Callable[[], str],
    count: Callable[[datasets.Dataset], dict[str, Any]],
    num_proc: int = 1,
    rows_per_file: int | None = None,
    progress: bool = True,
    known: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Writes `out/data/<config>/<split>-00000-of-0000N.parquet`.

    Args:
        out: the repository.
        kind, config, settings: the builder, its config and the fields of that.
        sources: gives `files_identity` of all that is read; looked at again after every part, since a reader takes a file
            that has gone for one that never was.
        known: what `sources` gave before anything was read; None to ask now.
        count: what to tell of a split.
        num_proc: processes that make rows.
        rows_per_file: rows of a Parquet file; without it files hold about 300 MB.
        progress: show a bar.

    Returns:
        split -> what `count` and `write_split` gave, and as "frames" what `common_frames` gave, if anything.

    Raises:
        ValueError: as the builder, a repository of another one, or a split without rows.
        OSError: as the builder, sources that changed meanwhile, a full disk, or a worker that the system ended. Finished
            parts stay for the next call, unless the source is to blame.
    """
    known_configs = {config, *(one.name for one in kind.BUILDER_CONFIGS)}
    data = out / "data"
    if foreign := sorted(
        one.name for one in (data.iterdir() if data.is_dir() else ()) if one.name not in known_configs
    ):
        raise ValueError(f"{out} is the repository of another data set, with {', '.join(foreign)}; give another folder")
    work, target = out / f".{config}.part", data / config
    known = sources() if known is None else known
    told = repr((__version__, kind.__name__, sorted(settings.items()), known, rows_per_file))
    identity = sha256(told.encode()).hexdigest()
    counts = {}
    try:
        if not (work / "identity").is_file() or (work / "identity").read_text() != identity:
            shutil.rmtree(work, ignore_errors=True)
            write_text(work / "identity", identity)
        for stale in work.rglob(".*.part"):
            stale.unlink()
        builder = kind(cache_dir=str(work / "cache"), config_name=config, **settings)
        made = make_rows(builder, work / "rows", num_proc, progress, partial(_unchanged, sources, known))
        frames = common_frames(made)
        for split, rows in made.items():
            if not rows.num_rows:
                raise ValueError(f"{config}: the source holds no window for the split {split}")
            written = write_split(rows, work / "data", split, rows_per_file, frames)
            counts[split] = count(rows) | written | ({"frames": frames} if frames else {})
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(work / "data", target)
    except ChildProcessError as error:
        raise OSError(
            f"{out}: the system ended a process that made {config}, for want of memory perhaps; run it again with fewer, "
            f"finished parts are kept in {work.name}"
        ) from error
    except (ValueError, OSError) as error:
        if was_interrupted():  # pyarrow ends a conversion that Ctrl-C met with an error of its own
            raise KeyboardInterrupt from error
        number = getattr(error, "errno", None)
        if number is None:  # not the system's: the source must change first
            shutil.rmtree(work, ignore_errors=True)
        if number not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(
            number,
            f"the disk is full ({error}); free some and run it again, finished parts are kept; or delete them",
            str(work),
        ) from error
    shutil.rmtree(work, ignore_errors=True)
    return counts


def make_rows(
    builder: WindowBuilder,
    folder: Path,
    num_proc: int,
    progress: bool,
    check: Callable[[], None],
) -> dict[str, datasets.Dataset]:
    """The splits of a builder, from Arrow files in `folder`; those that are there already are not made again.

    `check` is called after every part, and once when all are there; where it raises, the part is not kept.
    """
    files: dict[str, list[Path]] = {}
    jobs = []
    for generator in builder._split_generators(None):
        (shared,) = (key for key, value in generator.gen_kwargs.items() if isinstance(value, list))
        items = generator.gen_kwargs[shared]
        size = -(-len(items) // PARTS) or 1
        parts = [items[first : first + size] for first in range(0, len(items), size)]
        paths = [folder / f"{generator.name}-{index:05d}.arrow" for index in range(len(parts))]
        files[str(generator.name)] = paths
        jobs += [
            (builder, generator.gen_kwargs | {shared: part}, path, check)
            for part, path in zip(parts, paths, strict=True)
            if not path.is_file()
        ]
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(map(len, files.values()))
    with tqdm(
        total=total, initial=total - len(jobs), unit="part", desc=builder.config.name, disable=not progress
    ) as bar:
        for _ in run_jobs(_write_part, jobs, num_proc=num_proc):
            bar.update()
    check()
    return {
        split: datasets.concatenate_datasets([datasets.Dataset.from_file(str(path)) for path in paths])
        for split, paths in files.items()
    }


def _unchanged(sources: Callable[[], str], known: str) -> None:
    if sources() != known:
        raise OSError("the sources changed while they were read; put them back, or let them be, and run it again")


def _write_part(job: tuple[WindowBuilder, dict[str, Any], Path, Callable[[], None]]) -> None:
    builder, arguments, path, check = job
    features, size = builder.info.features, builder.DEFAULT_WRITER_BATCH_SIZE
    with replacing(path) as draft:
        with ArrowWriter(path=str(draft), features=features, writer_batch_size=size) as writer:
            for _, row in builder._generate_examples(**arguments):
                writer.write(features.encode_example(row))
            writer.finalize()
        check()


def common_frames(splits: Mapping[str, datasets.Dataset]) -> dict[str, int]:
    """Column -> frames of a signal, for columns of signals that have as many of them in every row of every split.

    With a length in its type a column becomes one array as a whole, without one row after row.
    """
    found = {}
    for name, kind in next(iter(splits.values())).features.items():
        if isinstance(kind, (datasets.Array2D, datasets.Array3D)) and kind.shape[0] is None:
            chunks = [chunk for rows in splits.values() for chunk in rows.data.column(name).chunks]
            lengths = {
                length for chunk in chunks for length in pc.list_value_length(chunk.storage).unique().to_pylist()
            }
            if len(lengths) == 1 and (length := lengths.pop()):
                found[name] = length
    return found


def with_frames(columns: datasets.Features, frames: Mapping[str, int]) -> datasets.Features:
    """Columns with the lengths that `common_frames` found in their types."""
    sized = {name: type(columns[name])((length, *columns[name].shape[1:]), columns[name].dtype)
             for name, length in frames.items()}  # fmt: skip
    return datasets.Features(columns | sized)


def write_split(
    rows: datasets.Dataset,
    folder: Path,
    split: str,
    rows_per_file: int | None = None,
    frames: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """`<split>-00000-of-0000N.parquet`, zstd, with the lengths `frames` in the types of columns; files that are there
    already stay.

    Returns:
        Numbers of rows, of their bytes as Arrow data and of files, as "rows", "bytes" and "shards".
    """
    size = rows_per_file or -(-rows.num_rows // max(1, round(rows.data.nbytes / BYTES_PER_FILE)))
    files = -(-rows.num_rows // size)
    schema = with_frames(rows.features, frames or {}).arrow_schema
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(files):
        path = folder / f"{split}-{index:05d}-of-{files:05d}.parquet"
        if path.is_file():
            continue
        part = rows.select(range(index * size, min((index + 1) * size, rows.num_rows))).with_format("arrow")
        # small row groups: whoever streams or shuffles holds one at a time
        with replacing(path) as draft, pq.ParquetWriter(draft, schema, compression="zstd") as file:
            for batch in part.iter(_ROW_GROUP):
                file.write_table(table_cast(batch, schema))
    return {"rows": rows.num_rows, "bytes": rows.data.nbytes, "shards": files}


def list_files(*roots: str | Path) -> dict[str, str]:
    """Path -> size and time of every file of folders, taken before anything is read: what goes later has been there."""
    tops = [top for root in map(Path, roots) for top in (sorted(root.iterdir()) if root.is_dir() else [root])]
    return {str(path): _state(path) for top in tops for path in _files_of(top)}


def files_identity(*roots: str | Path, listed: Mapping[str, str] | None = None) -> str:
    """Checksum of the names, sizes and times of files, in folders too, which are too many to be read twice.

    Args:
        roots: files and folders.
        listed: what `list_files` gave earlier; a root of which it knows nothing is looked at now.
    """
    digest, names = sha256(__version__.encode()), sorted(listed or ())
    for root in map(Path, roots):
        first, end = (bisect_left(names, f"{root}{letter}") for letter in (os.sep, chr(ord(os.sep) + 1)))
        files = [root] if listed and str(root) in listed else sorted(map(Path, names[first:end]))
        # os.walk follows no link, and so no reader looks behind one that stands in its folder
        linked = {top for top in {root / path.relative_to(root).parts[0] for path in files if path != root}
                  if top.is_symlink() and top.is_dir()}  # fmt: skip
        known = [path for path in files if not linked or root / path.relative_to(root).parts[0] not in linked]
        for path in known or _files_of(root):
            state = listed[str(path)] if known and listed else _state(path)
            digest.update(f"{path.relative_to(root.parent).as_posix()} {state}\n".encode())
    return digest.hexdigest()


def _files_of(root: Path) -> list[Path]:
    return (
        [root] if not root.is_dir() else sorted(Path(base, name) for base, _, names in os.walk(root) for name in names)
    )


def _state(path: Path) -> str:
    try:
        state = path.stat()
    except OSError:  # a link to nothing, or gone since it was listed
        return "gone"
    return f"{state.st_size} {state.st_mtime_ns}"


# -- text files ----------------------------------------------------------------------------------------------------------


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of the repository, or nothing where there is none.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); delete it and write every config again") from error


def add_counts(
    out: Path,
    config: str,
    counts: dict[str, Any],
    order: Mapping[str, Any],
    card: Callable[[dict[str, Any]], str],
) -> None:
    """Puts the counts of a config into `counts.json`, in the order of `order`, and `card` of them all into README.md.

    A config whose files are gone is left out, so that the card does not name it either.
    """
    known = read_json(out / "counts.json") | {config: counts}
    known = {name: known[name] for name in order if name in known and (out / "data" / name).is_dir()}
    write_text(out / "README.md", card(known))
    write_json(out / "counts.json", known)  # last: what it names is done, so that a stopped build writes the card again


# -- the card ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SplitFiles:
    """Pattern of a split's files in the repository, its rows, their bytes as Arrow data, and `common_frames`."""

    pattern: str
    rows: int
    bytes: int
    frames: Mapping[str, int] = field(default_factory=dict)


def split_files(config: str, splits: Mapping[str, Mapping[str, Any]]) -> dict[str, SplitFiles]:
    """From what `write_config` gave."""
    return {
        split: SplitFiles(f"data/{config}/{split}-*.parquet", part["rows"], part["bytes"], part.get("frames", {}))
        for split, part in splits.items()
    }


def with_classes(columns: datasets.Features, names: list[str]) -> datasets.Features:
    """Columns as the card tells them: `label_id`, a whole number in the files as in the official release, is a class.

    `load_dataset` then gives a `ClassLabel`, by which a split can be stratified.
    """
    return datasets.Features(columns | {"label_id": datasets.ClassLabel(names=names)})


def fill_card(
    script: str,
    title: str,
    licence: str,
    tags: list[str],
    files: Mapping[str, Mapping[str, SplitFiles]],
    features: Mapping[str, datasets.Features],
    summary: str,
    contents: list[str],
    licences: list[str],
    tasks: tuple[str, ...],
    main: str | None = None,
) -> str:
    """`templates/dataset_card.md` with the YAML that `load_dataset` reads.

    Args:
        script: name of the builder's file; the data set is called alike, with hyphens.
        title: for people.
        licence: the Hub's identifier, "other" for the terms that `licences` tells.
        tags: for the Hub's search.
        files: config -> split -> files; configs may share files.
        features: config -> its columns.
        summary: what the rows are.
        contents, licences: Markdown lines.
        tasks: the Hub's categories.
        main: the config that `load_dataset` gives without a name; None for the first.
    """
    rows = sum({part.pattern: part.rows for splits in files.values() for part in splits.values()}.values())
    steps = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M")
    first = main if main in files else next(iter(files))
    split = "test" if "test" in files[first] else next(iter(files[first]))
    name = script.replace("_", "-")
    data = DatasetCardData(
        pretty_name=title,
        language="en",
        license=licence,
        size_categories=[next((text for power, text in enumerate(steps, 3) if rows < 10**power), "10M<n<100M")],
        **({"license_name": "terms-of-the-sources", "license_link": "README.md"} if licence == "other" else {}),
        tags=["imu", "wearable", *tags],
        task_categories=list(tasks),
        configs=[
            {
                "config_name": config,
                # load_dataset without a name gives the main one
                **({"default": True} if config == first and len(files) > 1 else {}),
                "data_files": [{"split": name, "path": part.pattern} for name, part in splits.items()],
            }
            for config, splits in files.items()
        ],
        dataset_info=[
            {
                "config_name": config,
                "features": with_frames(features[config], next(iter(splits.values())).frames)._to_yaml_list(),
                "splits": [
                    {"name": name, "num_bytes": part.bytes, "num_examples": part.rows} for name, part in splits.items()
                ],
            }
            for config, splits in files.items()
        ],
    )
    card = DatasetCard.from_template(
        data,
        template_path=str(TEMPLATE),
        arguments=f'"{name}", split="{split}"',
        script=script,
        version=__version__,
        summary=summary,
        contents="\n".join(contents),
        licences="\n".join(licences),
    )
    return card.content + "\n"
