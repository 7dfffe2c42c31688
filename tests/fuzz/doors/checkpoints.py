"""What was saved: archives, checkpoints, processors, tokenizers, codes, training states, the authors' files, rows."""

import json
from pathlib import Path

import numpy as np
import torch
from fuzz.door import Door
from support.tiny_release import make_tiny_parts, write_tiny_release

from anymo_hf.hub.official_files import read_official
from anymo_hf.modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from anymo_hf.modeling.processing_anymo import AnyMoProcessor
from anymo_hf.modeling.tokenization_anymo import AnyMoTokenizer
from anymo_hf.simulation.archive import Archive, simulate_archive
from anymo_hf.simulation.archive.shard import Shard
from anymo_hf.systems.checkpoint import load_checkpoint
from anymo_hf.training import checkpoints
from anymo_hf.training.coded_views import CodedViews, load_codes, save_codes


def _archive(folder: Path) -> Path:
    simulate_archive(folder / "a", procedural=1, seconds=2.0, activities=["walking"], progress=False)
    return folder / "a"


def _read_archive(path: Path) -> list:
    archive = Archive(path)
    return [archive.shard(name).terms() for name in archive.names]


def _shard(folder: Path) -> Path:
    archive = _archive(folder)
    (path,) = archive.rglob("walking*")
    target = folder / path.name
    path.rename(target)
    for file in sorted(archive.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    archive.rmdir()
    return target


def _read_shard(path: Path) -> list:
    """Without the manifest's checksum, as whoever has a shard alone."""
    shard = Shard(path)
    motion = shard.poses()
    return [shard.terms(), motion.positions, motion.orientations, motion.frame_rate]


def _release(*endings: str) -> dict:
    def write(folder: Path) -> Path:
        path = Path(write_tiny_release(folder / "anymo"))
        for file in path.rglob("*.py"):
            file.unlink()  # code is not data
        return path

    return {"write": write, "spoil": lambda path: str(path).endswith(endings)}


def _read_checkpoint(path: Path) -> list:
    model, processor = load_checkpoint(str(path))
    batch = processor(text=["a person walks"], return_tensors="pt")
    with torch.no_grad():
        embedded = model.get_text_features(**batch) if hasattr(model, "get_text_features") else batch["input_ids"]
    return [embedded if torch.is_tensor(embedded) else None]


def _read_processor(path: Path) -> list:
    processor = AnyMoProcessor.from_pretrained(path)
    return [np.asarray(processor(text=["a person walks"])["input_ids"], float)]


def _read_extractor(path: Path) -> list:
    extractor = AnyMoFeatureExtractor.from_pretrained(path)
    found = extractor({"left_wrist": np.tile([0, 0, 9.8, 0, 0, 0.1], (120, 1))}, sampling_rate=60)
    return [np.asarray(found["imu_codes"][0], float)]


def _read_tokenizer(path: Path) -> list:
    tokenizer = AnyMoTokenizer.from_pretrained(path)
    ids = tokenizer("a person walks")["input_ids"]
    return [np.asarray(ids, float), tokenizer.decode(ids)]


def _tokenizer(folder: Path) -> Path:
    make_tiny_parts()[1].tokenizer.save_pretrained(folder)
    return folder


def _state(folder: Path) -> Path:
    module, optimizer = _module()
    module(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    checkpoints.save_checkpoint(
        folder / "checkpoint.safetensors", module, optimizer, checkpoints.RunLog(5, 2.0), "same"
    )
    return folder / "checkpoint.safetensors"


def _module() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    module = torch.nn.Linear(3, 2)
    return module, torch.optim.AdamW(module.parameters())


def _read_state(path: Path) -> list:
    module, optimizer = _module()
    log = checkpoints.load_checkpoint(path, module, optimizer, "same")
    return [log.step, log.seconds, log.averages, log.history, list(module.parameters())]


def _codes(folder: Path) -> Path:
    codes = np.arange(24, dtype=np.int16).reshape(3, 4, 2) % 16
    save_codes(folder / "codes.npz", CodedViews(codes, np.array([4, 3, 2]), np.arange(3), np.full((3, 5), -1), 16))
    return folder / "codes.npz"


def _read_codes(path: Path) -> list:
    views = load_codes(path)
    return [[views.tokens(row) for row in range(len(views.length))], [views.worn(row) for row in range(len(views.length))],
            views.codes_used()]  # fmt: skip


def _official(ending: str) -> Door:
    tensors = {"quantizer.books.0.weight": torch.ones(4, 3), "decoder.weight": torch.ones(2, 3)}

    def write(folder: Path) -> Path:
        path = folder / f"pytorch_model.{ending}"
        folder = path.parent
        if ending == "safetensors":
            from safetensors.torch import save_file

            path = path.with_name("model.safetensors")
            save_file(tensors, path)
        else:
            torch.save(tensors, path)
        return folder

    return Door(f"official weights, {ending}", write, lambda path: read_official("llm", path).tensors, largest=1e39)


def _in_memory(name: str, content, read) -> Door:
    """A door for values rather than files: they are JSON here so that they can be spoiled."""
    parts: list = []

    def write(folder: Path) -> Path:
        parts[:] = make_tiny_parts()
        (folder / "values.json").write_text(json.dumps(content))
        return folder / "values.json"

    def open_(path: Path):
        try:
            # a link to an endless device is no values
            value = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        except (ValueError, OSError, RecursionError):
            return None  # no values, so nothing to hand over
        # keyword arguments and rows are mappings, or Python itself refuses them
        return read(parts[1], value) if isinstance(value, dict) else None

    return Door(name, write, open_, from_file=False)


_STILL = [[0.0, 0.5, 9.8, 0.0, 0.1, 0.2]] * 60
_CODES = {"imu_codes": [[3, 20, 7, 16, 3, 29]], "imu_placements": [[11]], "text": ["a person walks"]}
_ROW = {"placements": ["left_wrist"], "left_wrist": _STILL, "sampling_rate": 60, "label": 3}
DOORS = [
    Door("archive", _archive, _read_archive),
    Door("archive's shard alone", _shard, _read_shard),
    Door("checkpoint", read=_read_checkpoint, largest=1e39, **_release("anymo/config.json", "anymo/model.safetensors")),
    Door("processor", read=_read_processor, **_release("config.json", "tokenizer.json", ".jinja")),
    Door("feature extractor", read=_read_extractor,
         **_release("preprocessor_config.json", "processor_config.json", "imu_tokenizer/config.json",
                    "imu_tokenizer/model.safetensors")),
    Door("tokenizer", _tokenizer, _read_tokenizer),
    Door("state of a training", _state, _read_state, largest=1e39),
    Door("codes of a corpus", _codes, _read_codes),
    _official("safetensors"),
    _official("bin"),
    _in_memory("codes to the processor", _CODES,
               lambda processor, value: [np.asarray(ids, float) for ids in processor(**value).values()]),
    _in_memory("rows to the processor", _ROW,
               lambda processor, value: np.asarray(processor.from_row(value)["imu_input_ids"], float)),
]  # fmt: skip
