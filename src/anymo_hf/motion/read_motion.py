"""Reads any known motion file: the format is told by the name or, where that says nothing, by the first bytes."""

from __future__ import annotations

import inspect
import re
import warnings
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..refusals import refusing
from .body_motion import BodyMotion
from .formats import MotionFormat, motion_formats
from .motion_report import MotionReport

# of motion files that nothing here reads: they are named where a folder is searched
_UNREAD = (".fbx", ".c3d", ".trc", ".pkl", ".usd", ".glb")


@dataclass(frozen=True)
class MotionFiles:
    """What `find_motion_files` found.

    Args:
        files: motion files and folders that are one recording, in numerical order.
        passed_over: file that looks like motion but is not read -> why.
    """

    files: list[Path] = field(default_factory=list)
    passed_over: dict[Path, str] = field(default_factory=dict)


def read_motion(path: str | Path, **options: Any) -> BodyMotion:
    """Reads a motion file of any of `motion_formats()`.

    Args:
        path: the file, or the folder of a Nymeria sequence (its skeleton; `nymeria.sequence.read_captured` brings the
            narrations too).
        **options: of the format's own reader (`read_bvh`, `read_mvnx`, `read_asf_amc`, `read_amass`, `read_smpl`).

    Raises:
        OSError: no such file.
        ValueError: an unknown format, an option its reader does not have, or what the reader refuses.
    """
    return inspect_motion(path, **options).motion


def inspect_motion(path: str | Path, **options: Any) -> MotionReport:
    """As `read_motion`, with what was understood."""
    path = Path(path)
    with refusing(path, "motion file"):
        form = motion_formats()[motion_format(path)]
    known = [name for name in inspect.signature(form.read).parameters if name != "path"]
    for name in options:
        if name not in known:
            raise ValueError(
                f"{path}: {name}= is no option of {form.title}, which has {', '.join(known) or 'none'}; leave it out"
            )
    with refusing(path, f"{form.title} file"):
        return replace(form.read(path, **options), format=form.name)


def motion_format(path: str | Path) -> str:
    """The name of the format that a file has.

    Raises:
        OSError: no such file.
        ValueError: none of them.
    """
    path = Path(path)
    formats = motion_formats().values()
    known = f"known are {'; '.join(form.title for form in formats)}"
    if path.is_dir():
        for form in formats:
            if any((path / name).is_file() for name in form.folder_files):
                return form.name
        raise ValueError(f"{path}: a folder, not a motion file; give one of its files")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {known}")
    if (form := _by_suffix(path)) is not None:
        return form.name
    for form in formats:
        for suffix, advice in (form.mistaken or {}).items():
            if path.name.lower().endswith(suffix):
                raise ValueError(f"{path}: {advice}")
    with open(path, "rb") as stream:
        head = stream.read(2000)
    if head.startswith(b"PK"):
        arrays = _npz_names(path)
        if (form := _by_arrays(arrays)) is not None:
            return form.name
        raise ValueError(f"{path}: holds {', '.join(sorted(arrays)) or 'nothing'}, no motion; {known}")
    for form in formats:
        if form.starts(head):
            return form.name
    raise ValueError(f"{path}: not a motion file; {known}")


def _by_suffix(path: Path) -> MotionFormat | None:
    name = path.name.lower()
    return next((form for form in motion_formats().values() if form.suffixes and name.endswith(form.suffixes)), None)


def _by_arrays(arrays: set[str]) -> MotionFormat | None:
    return next((form for form in motion_formats().values() if form.holds(arrays)), None)


def _npz_names(path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: not a whole npz file ({error}); fetch it again") from None


def motion_files(folder: str | Path) -> list[Path]:
    """Motion files in a folder and below it, told by name, numbers in their order (walk_2 before walk_10).

    An .npz counts if it holds motion; a folder that is one recording, as a Nymeria sequence, counts once. Files that look
    like motion but are not read are named in a warning; `find_motion_files` gives all of them.

    Raises:
        OSError: no such folder.
    """
    found = find_motion_files(folder)
    if found.passed_over:
        named = [f"{path} ({why})" for path, why in list(found.passed_over.items())[:3]]
        more = len(found.passed_over) - len(named)
        rest = f"; and {more} more" if more else ""
        warnings.warn(f"passed over, no motion is read from them: {'; '.join(named)}{rest}", UserWarning, stacklevel=2)
    return found.files


def find_motion_files(folder: str | Path) -> MotionFiles:
    """As `motion_files`, with what was passed over and why, and without a warning."""
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: no such folder; give the folder that holds the motion files")
    marks = [name for form in motion_formats().values() for name in form.folder_files]
    recordings = {path.parents[len(Path(name).parts) - 1] for name in marks for path in folder.rglob(name)}
    found = MotionFiles(sorted(recordings, key=_numerically))
    for path in sorted(folder.rglob("*"), key=_numerically):
        if not path.is_file() or recordings & set(path.parents):
            continue
        name = path.name.lower()
        if name.endswith(".npz"):
            try:
                arrays = _npz_names(path)
            except ValueError:
                found.files.append(path)  # damaged: whoever reads it is told so
                continue
            if _by_arrays(arrays) is None:
                found.passed_over[path] = f"holds {', '.join(sorted(arrays)[:6]) or 'nothing'}, no motion"
                continue
            found.files.append(path)
        elif _by_suffix(path) is not None:
            found.files.append(path)
        elif name.endswith(_UNREAD):
            found.passed_over[path] = f"no reader for {path.suffix}; export it as BVH"
    found.files.sort(key=_numerically)
    return found


def _numerically(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", str(path).lower())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]
