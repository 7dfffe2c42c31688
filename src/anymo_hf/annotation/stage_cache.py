"""An append-only JSONL of answers: one line an answer, on disk before it is used, found again by its key."""

from __future__ import annotations

import json
import os
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..refusals import parse_json, refusing


def key_of(*parts: Any) -> str:
    """Hash of what decides an answer (JSON values), 32 hexadecimal digits."""
    return sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]


class StageCache:
    """Records by key in one file. Threads may share it; a second process is refused.

    A process that is killed loses at most the line that it was writing: a last line without its end is cut off when the
    file is opened again. Use as a context manager, or call `close`.

    Args:
        path: the file; its folder is made.

    Raises:
        OSError: another process has the file open, or it cannot be read.
        ValueError: a damaged line before the last one.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._process = FileLock(f"{self.path}.lock")
        try:
            self._process.acquire(timeout=0)
        except Timeout as error:
            raise OSError(
                f"{self.path}: another process works with it; wait for its end, or choose another folder"
            ) from error
        self._thread = threading.Lock()
        try:
            with refusing(self.path, "file of answers", "delete it, or choose another folder"):
                self._open()
        except BaseException:
            self._process.release()
            raise

    def _open(self) -> None:
        # where each record's line begins; a million replies would not fit beside everything else
        self._offsets, self._end = self._read()
        self._file = self.path.open("ab", buffering=0)
        self._file.truncate(self._end)
        self._reader = self.path.open("rb")

    def _read(self) -> tuple[dict[str, int], int]:
        offsets: dict[str, int] = {}
        end = 0
        if not self.path.is_file():
            return offsets, end
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break  # killed while writing it
                try:
                    offsets[parse_json(line)["key"]] = end
                except (ValueError, TypeError, KeyError) as error:
                    raise ValueError(
                        f"{self.path}, line {number}: damaged ({error!r}); delete this line, its answer is asked for again"
                    ) from error
                end += len(line)
        return offsets, end

    def __len__(self) -> int:
        return len(self._offsets)

    def get(self, key: str) -> dict[str, Any] | None:
        """The record of a key, or None."""
        with self._thread:
            offset = self._offsets.get(key)
            if offset is None:
                return None
            self._reader.seek(offset)
            return json.loads(self._reader.readline())

    def put(self, key: str, record: dict[str, Any]) -> dict[str, Any]:
        """Append a record and return it; it is with the operating system when this returns."""
        record = {"key": key} | record
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        with self._thread:
            try:
                if self._file.write(line) != len(line):
                    raise OSError("no space left")
            except OSError as error:
                self._file.truncate(self._end)  # no half line before the next one
                raise OSError(f"{self.path}: cannot be written ({error}); make room and run again") from error
            self._offsets[key] = self._end
            self._end += len(line)
        return record

    def close(self) -> None:
        """Write to the disk and let other processes in."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()
            self._reader.close()
            self._process.release()

    def __enter__(self) -> StageCache:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
