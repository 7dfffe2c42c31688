"""A data set is read only where memory is left for the threads that read it: without, pyarrow waits for ever."""

import os
import shlex
import subprocess
import sys

import pandas as pd
import pytest

_TOO_SMALL = """
import resource, sys
from pathlib import Path
from datasets import disable_progress_bars
from anymo_hf.evaluation.finetuning import FinetuneSettings
from anymo_hf.hub.finetuned_release import finetune_release

disable_progress_bars()
size = 4096 * int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (size + (800 << 20),) * 2)  # enough for two threads
try:
    finetune_release("none", sys.argv[1], "default", sys.argv[1] + "/tuned", FinetuneSettings())
except MemoryError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isfile("/proc/self/statm"), reason="asks /proc for a process's memory")
def test_memory_too_small_for_threads_is_no_reason_to_wait(tmp_path):
    (tmp_path / "data").mkdir()
    pd.DataFrame({"label": [0, 1]}).to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    words = shlex.join([sys.executable, "-c", _TOO_SMALL, str(tmp_path)])
    ended = subprocess.run(  # a thread asks for 256 MB
        ["sh", "-c", f"ulimit -s 262144 && exec {words}"], capture_output=True, text=True, timeout=100,
        env=os.environ | {"HF_DATASETS_CACHE": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert (ended.stdout, ended.returncode) == ("no room for a thread\n", 0), ended.stderr


def test_an_output_that_is_the_model_or_other_peoples_folder_is_refused_before_anything_is_read(tmp_path):
    from anymo_hf.evaluation.finetuning import FinetuneSettings
    from anymo_hf.hub.finetuned_release import finetune_release

    for folder, text in (("model", "config.json"), ("data", "README.md")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / text).write_text("{}")
    (tmp_path / "file").write_text("keep")
    for folder, message in (
        ("model", "is the model that is tuned"),
        ("data", "holds other files and no model"),
        ("file", "cannot be made: .*file is a file"),
        ("file/below", "cannot be made: .*file is a file"),
    ):
        with pytest.raises(ValueError, match=f"{folder} {message}; give another folder"):
            finetune_release(str(tmp_path / "model"), "nowhere", "default", tmp_path / folder, FinetuneSettings())
