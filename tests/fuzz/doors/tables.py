"""Tables and settings: narrated windows, replies of a language model, windows files, rows of AnyMo Bench, YAML."""

import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from fuzz.door import Door

from anymo_hf.annotation.stage_cache import StageCache
from anymo_hf.annotation.windows_table import read_windows
from anymo_hf.evaluation.bench_scores import read_bench
from anymo_hf.evaluation.bench_statistics import SCHEMA
from anymo_hf.recordings import windows_file
from anymo_hf.training.settings import EncoderSettings, load_settings

_ROWS = [
    {"sequence": "20230607_s0_james_johnson_act1_abc123", "start": 5.0, "end": 9.5, "text": "C sits down."},
    {"sequence": "20230607_s0_james_johnson_act1_abc123", "start": 0.25, "end": 5.0, "text": "C walks."},
    {"sequence": "own", "start": 1.0, "end": 2.0, "text": "null"},
]
_SETTINGS = """# Stage 1
preset: nano
steps: 20000
max_minutes: 39
batch_size: 32
learning_rate: 1.5e-3
frames: [100, 125, 150]
worn_share: 0.7
views: {soft_attachment: 0.5, wobble: 0.7, belt: 0.6, pocket: 0.7}
checkpoint_every: 50
"""


def _narrated(ending: str) -> Door:
    def write(folder: Path) -> Path:
        path = folder / f"windows.{ending}"
        if ending == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in _ROWS))
        elif ending == "csv":
            pd.DataFrame(_ROWS).to_csv(path, index=False)
        else:
            pd.DataFrame(_ROWS).to_parquet(path, index=False)
        return path

    def read(path: Path) -> list:
        table = read_windows(path)
        return [table[name].to_numpy(float) for name in ("start_time_sec", "end_time_sec")]

    return Door(f"narrated windows, {ending}", write, read, largest=1e308)


def _replies(folder: Path) -> Path:
    path = folder / "replies.jsonl"
    path.write_text("".join(json.dumps({"key": f"k{n}", "label": "walking", "votes": [n, 1]}) + "\n" for n in range(6)))
    return path


def _read_replies(path: Path) -> int:
    with StageCache(path) as cache:
        return [cache.get(f"k{n}") is not None for n in range(6)].count(True)


def _windows(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [("ann", "s1", "Walking", 0, "test", "", 50.0, 0.5 * k, ["left_wrist"], 6, 20, rng.normal(0, 3, 120).astype("f4"))
            for k in range(3)]  # fmt: skip
    columns = {name: [row[place] for row in rows] for place, name in enumerate(windows_file.SCHEMA.names)}
    table = pa.table(columns, schema=windows_file.SCHEMA)
    facts = {"anymo_windows": windows_file._VERSION, "dataset": "wisdm", "segments": "worn", "note": "",
             "sha256": windows_file._sha256(table)}  # fmt: skip
    pq.write_table(table.replace_schema_metadata(facts), folder / "wisdm.parquet")
    return folder / "wisdm.parquet"


def _read_windows(path: Path) -> list:
    found = windows_file.read_windows_file(path)
    return [(one.signals, one.sampling_rate, 1e-6 * one.start_time) for one in found.recordings]


def _bench(folder: Path) -> Path:
    values = {
        "imu": [[0.5] * 18] * 10, "label": "walking", "label_id": 3, "subject_id": "ann", "session_id": "one",
        "start_time_sec": 1.0, "end_time_sec": 2.0, "sample_id": "a",
    }  # fmt: skip
    rows = [{field.name: values.get(field.name, _blank(field.type)) for field in SCHEMA} for _ in range(3)]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / "test-00000-of-00001.parquet")
    return folder / "test-00000-of-00001.parquet"


def _blank(kind: pa.DataType):
    return "x" if pa.types.is_string(kind) else [] if pa.types.is_list(kind) else 1


def _read_bench(path: Path) -> list:
    recordings, ids = read_bench([path])
    return [(one.signals, 1e-6 * one.start_time) for one in recordings]


def _settings(folder: Path) -> Path:
    (folder / "encoder.yaml").write_text(_SETTINGS)
    return folder / "encoder.yaml"


DOORS = [
    _narrated("jsonl"),
    _narrated("csv"),
    _narrated("parquet"),
    # a file of answers that is a link to none yet is begun where the link says
    Door("replies of a language model", _replies, _read_replies, leaves=frozenset({"replies.jsonl.lock", "missing"})),
    Door("windows file", _windows, _read_windows),
    Door("rows of AnyMo Bench", _bench, _read_bench),
    Door("settings in YAML", _settings, lambda path: astuple(load_settings(path, EncoderSettings)), largest=1e300),
]
