"""What of a command's results must be equal: every byte but those that tell the time or count what was asked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

# seconds a run took, when it was, and how much of it had to be done: true of the run, not of its result
_OF_THE_RUN = {
    "seconds",
    "train_seconds",
    "export_seconds",
    "asked",
    "started",
    "date",
    "per_second",
    "milliseconds",
    "minutes",
}


def digest(folder: Path) -> dict[str, str]:
    """File below `folder` -> hash of what must be equal; lock files are left out."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(_content(path)).hexdigest()[:16]
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".json":
        return json.dumps(_without_times(json.loads(data)), sort_keys=True).encode()
    if path.suffix == ".jsonl":  # threads write answers in any order
        return b"\n".join(sorted(data.splitlines()))
    if path.suffix == ".safetensors":
        length = 8 + int.from_bytes(data[:8], "little")
        head = json.loads(data[8:length])
        notes = {name: _parsed(text) for name, text in head.pop("__metadata__", {}).items()}
        return json.dumps([head, _without_times(notes)], sort_keys=True).encode() + data[length:]
    return data


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_times(one) for name, one in value.items() if name not in _OF_THE_RUN}
    return [_without_times(one) for one in value] if isinstance(value, list) else value


def differences(found: dict[str, str], wanted: dict[str, str]) -> dict[str, list[str]]:
    """Files that are missing, that are other, and that should not be there; nothing where all are equal."""
    parts = {
        "missing": sorted(set(wanted) - set(found)),
        "other": sorted(name for name in set(found) & set(wanted) if found[name] != wanted[name]),
        "left over": sorted(set(found) - set(wanted)),
    }
    return {kind: names for kind, names in parts.items() if names}
