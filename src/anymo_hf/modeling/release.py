"""Writing a release: a folder that Auto classes load, with the code that travels with it."""

from __future__ import annotations

import glob
import json
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from .embedding import check_same_codebook
from .saved_code import write_json

if TYPE_CHECKING:
    from .modeling_anymo import AnyMoModel
    from .processing_anymo import AnyMoProcessor


def save_release(folder: str | os.PathLike, model: AnyMoModel, processor: AnyMoProcessor) -> Path:
    """Writes a folder that Auto classes load, with `anymo_hf` installed or with `trust_remote_code=True`.

    Everything is written to a folder beside it first and then renamed into place, so that a save that is cut off does
    not leave files of two runs. The tokenizer's `model_max_length` becomes the positions of the language model.

    Args:
        folder: made if it is missing; files of an older release in it are replaced, others are left alone.
        model: its weights and config.
        processor: with a feature extractor.

    Raises:
        OSError: the disk is full, or the like; an older release in the folder is kept.
        ValueError: the processor has no feature extractor, or its codes do not fit the model.
    """
    if processor.feature_extractor is None:
        raise ValueError("a release needs a processor with a feature extractor")
    offset = model.config.imu_token_offset
    if offset != processor.tokenizer.imu_token_offset:
        raise ValueError(
            f"the model's imu_token_offset is {offset}, the tokenizer's {processor.tokenizer.imu_token_offset}; "
            "they are from different runs"
        )
    check_same_codebook(model, processor)
    target = Path(folder).resolve()
    with draft_folder(target) as draft:
        _write_release(draft, model, processor)
        files = sorted(path.relative_to(draft) for path in draft.rglob("*") if path.is_file())
        for file in files:
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            os.replace(draft / file, target / file)
        # a whole weight file or shards of an older release would be loaded in place of the new ones
        for old in target.glob("model*.safetensors*"):
            if old.relative_to(target) not in files:
                old.unlink()
    return Path(folder)


@contextmanager
def draft_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside `target` of this process's own, since two may write one release at once; gone at the end.

    What killed processes of this machine left there is removed.

    Raises:
        OSError: the disk is full, or the like.
    """
    machine = re.sub(r"[^A-Za-z0-9-]", "-", platform.node())[:32] or "here"
    for left in target.parent.glob(f".{glob.escape(target.name)}.{machine}.*.part"):
        number = left.name.split(".")[-2]
        if number.isdigit() and not _runs(int(number)):
            shutil.rmtree(left, ignore_errors=True)
    draft = target.with_name(f".{target.name}.{machine}.{os.getpid()}.part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        yield draft
    except (OSError, SafetensorError) as error:
        raise OSError(f"could not write {target} ({error}); make room there, or give another folder") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _runs(number: int) -> bool:
    # as in `atomic_write`, which does not travel with a checkpoint
    if os.name == "nt":  # there signal 0 is Ctrl-C
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _write_release(folder: Path, model: AnyMoModel, processor: AnyMoProcessor) -> None:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    positions = getattr(model.config.text_config, "max_position_embeddings", None)
    if positions is not None:
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        write_json(folder / "tokenizer_config.json", settings | {"model_max_length": positions})
