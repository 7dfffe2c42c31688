"""Files that are whole or not there: written under a temporary name beside their place, then renamed.

`modeling/` has its own few lines, since it travels with a checkpoint.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name beside `path`, whose folder is made; the file written there takes its place at the end.

    After an error in the block nothing is left of it, and `path` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """A text file in UTF-8."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, value: Any, indent: int = 2) -> Path:
    """A JSON file in UTF-8 that ends with a line break."""
    return write_text(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n")
