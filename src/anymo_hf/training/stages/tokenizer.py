"""Stage 2: the PQ-VAE on latents of sparse views from the frozen encoder, and the codes of every view (paper §3.2, A.3)."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from ...modeling.configuration_anymo import AnyMoPQVAEConfig
from ...modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from ...modeling.modeling_pqvae import AnyMoPQVAEModel
from ...modeling.modeling_stgcn import AnyMoSTGCNModel
from ..checkpoints import file_hash, finished_metrics, replace_folder, same_shape, start_hash, write_metrics
from ..coded_views import CODES, CodedViews, save_codes
from ..corpus import MotionCorpus
from ..processes import local_part
from ..settings import TokenizerSettings
from ..training_loop import run_steps
from ..view_latents import export_latents, latent_batch, load_latents
from .encoder import WEIGHTS

EXTRACTOR = "feature_extractor"
EXTRACTOR_FILES = ("preprocessor_config.json", "imu_tokenizer/config.json", "imu_tokenizer/model.safetensors")


def train_tokenizer(settings: TokenizerSettings, root: str | Path, accelerator: Accelerator) -> dict:
    """Reads `root/corpus` and `root/encoder`; writes `root/tokenizer`: feature_extractor/, codes.npz, metrics.json."""
    settings, root = settings.for_processes(accelerator.num_processes), Path(root)
    corpus, folder = MotionCorpus(root / "corpus"), root / "tokenizer"
    source = root / "encoder" / WEIGHTS
    if not (source / "model.safetensors").is_file():
        raise OSError(f"no trained encoder in {source}; run training/pretrain_encoder.py first")
    inputs = corpus.identity() + file_hash(source / "model.safetensors")
    fingerprint = settings.fingerprint(inputs + start_hash(settings.start_from, EXTRACTOR_FILES[-1]))
    results = (folder / CODES, *(folder / EXTRACTOR / name for name in EXTRACTOR_FILES))
    if done := finished_metrics(folder, fingerprint, *results):
        return done
    encoder = AnyMoSTGCNModel.from_pretrained(source).to(accelerator.device).eval()
    encoder.config._name_or_path = ""  # the release does not tell where it was trained
    started = time.monotonic()
    export_latents(settings, corpus, encoder, folder, fingerprint, accelerator)
    export_seconds = time.monotonic() - started
    views = load_latents(folder)
    torch.manual_seed(settings.seed)
    model = _start_model(settings, views, accelerator.device)

    def step(number: int, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        return _step(model, views, settings.batch_size, shared, accelerator)

    metrics = run_steps("tokenizer", model, step, settings, folder, fingerprint, accelerator)
    if accelerator.is_main_process:
        views = encode_views(model, views)
        save_codes(folder / CODES, views)
        plain = AnyMoSTGCNModel(encoder.config)
        plain.load_state_dict(encoder.state_dict())
        extractor = AnyMoFeatureExtractor(plain.cpu(), model.cpu().eval())
        replace_folder(folder / EXTRACTOR, extractor.save_pretrained)
        # a stage that had ended keeps the time it once took
        metrics = {"export_seconds": round(export_seconds, 1)} | metrics
        write_metrics(folder, metrics | {"finished": True, "codes_used": views.codes_used()})
    accelerator.wait_for_everyone()
    return metrics


def _start_model(settings: TokenizerSettings, views: dict[str, np.ndarray], device: torch.device) -> AnyMoPQVAEModel:
    """From `start_from`, or new with codebooks of projected latents."""
    config = AnyMoPQVAEConfig.from_preset(settings.preset)
    if settings.start_from:
        model = AnyMoFeatureExtractor.from_pretrained(settings.start_from).pqvae
        same_shape(model, config, settings.start_from)
        return model.to(device)
    model = AnyMoPQVAEModel(config).to(device)
    _start_codebooks(model, views, settings.seed)
    return model


def _step(
    model: AnyMoPQVAEModel,
    views: dict[str, np.ndarray],
    batch_size: int,
    shared: np.random.Generator,
    accelerator: Accelerator,
) -> dict[str, torch.Tensor]:
    """Losses of a batch of views, with backward."""
    count, config = len(views["length"]), model.config
    # sorted before they are shared out, so that dead codes are refreshed from the rows one process would draw
    rows = np.sort(shared.choice(count, batch_size, replace=count < batch_size))
    latents, mask = latent_batch(views, local_part(rows, accelerator), accelerator.device)
    with accelerator.autocast():
        output = model(latents, mask)
    loss = output.loss
    if accelerator.num_processes > 1:  # a mean over latent steps, of which processes hold unequal numbers
        steps = mask.sum().to(loss.dtype)
        loss = loss * steps / accelerator.reduce(steps, "mean")
    accelerator.backward(loss)
    books = torch.arange(config.num_codebooks, device=mask.device)
    used = torch.zeros(config.num_codebooks * config.codebook_size, device=mask.device)
    used[output.codes[mask] + config.codebook_size * books] = 1.0
    return {"loss": loss.detach(), "codes_in_batch": used.sum() / config.num_codebooks}


@torch.no_grad()
def _start_codebooks(model: AnyMoPQVAEModel, views: dict[str, np.ndarray], seed: int) -> None:
    """Sets the codebooks to projected latents of random views."""
    rng = np.random.default_rng(seed)
    count = len(views["length"])
    rows = np.sort(rng.choice(count, min(count, 1024), replace=False))
    latents, mask = latent_batch(views, rows, model.device)
    model.quantizer.initialise(model.project(latents[mask]).cpu(), torch.Generator().manual_seed(seed))


@torch.no_grad()
def encode_views(model: AnyMoPQVAEModel, views: dict[str, np.ndarray]) -> CodedViews:
    """Codes of every view of `load_latents`."""
    count, steps = views["latents"].shape[:2]
    codes = np.zeros((count, steps, model.config.num_codebooks), np.int16)
    for begin in range(0, count, 256):
        rows = np.arange(begin, min(begin + 256, count))
        latents, mask = latent_batch(views, rows, model.device)
        codes[rows, : latents.shape[1]] = model.encode(latents, mask).cpu().numpy()
    length, clip, placements = (np.asarray(views[name]) for name in ("length", "clip", "placements"))
    return CodedViews(codes, length, clip, placements, model.config.codebook_size)
