"""Tables and settings: narrated windows, replies of a language model, windows files, rows of AnyMo Bench, YAML, results."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from fuzz.door import Door

from anymo_hf.annotation.stage_cache import StageCache
from anymo_hf.annotation.windows_table import read_windows
from anymo_hf.evaluation.bench_scores import read_bench
from anymo_hf.evaluation.caption_activity import CaptionScores
from anymo_hf.recordings import windows_file
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.training.settings import EncoderSettings, load_settings

_ROWS = [
    {"sequence": "20230607_s0_james_johnson_act1_abc123", "start": 5.0, "end": 9.5, "text": "C sits down."},
    {"sequence": "20230607_s0_james_johnson_act1_abc123", "start": 0.25, "end": 5.0, "text": "C walks."},
    {"sequence": "own", "start": 1.0, "end": 2.0, "text": "null"},
]
