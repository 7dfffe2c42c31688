"""Stage 2: the PQ-VAE on latents of sparse views from the frozen encoder, and the codes of every view (paper §3.2, A.3)."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from ...modeling.configuration_anymo import AnyMoPQVAEConfig
from ...modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from ...modeling.modeling_pqvae import AnyMoPQVAEModel
from ...modeling.modeling_stgcn import AnyMoSTGCNModel
from ..activity_words import ActivityContrast, ActivityWords
from ..checkpoints import file_hash, finished_metrics, replace_folder, same_shape, start_hash, write_metrics
from ..coded_views import CODES, CodedViews, save_codes
from ..corpus import MotionCorpus
from ..processes import local_part
from ..settings import TokenizerSettings
from ..synchronized_norm import synchronize_norms
from ..training_loop import run_steps
from ..view_latents import export_latents, latent_batch, load_latents
from .encoder import WEIGHTS

EXTRACTOR = "feature_extractor"
EXTRACTOR_FILES = ("preprocessor_config.json", "imu_tokenizer/config.json", "imu_tokenizer/model.safetensors")


def train_tokenizer(settings: TokenizerSettings, root: str | Path, accelerator: Accelerator) -> dict:
    """Reads `root/corpus` and `root/encoder` (or `root/signal`); writes `root/tokenizer`: feature_extractor/, codes.npz,
    metrics.json."""
    settings, root = settings.for_processes(accelerator.num_processes), Path(root)
    corpus, folder = MotionCorpus(root / "corpus"), root / "tokenizer"
    source = root / settings.encoder / WEIGHTS
    if not (source / "model.safetensors").is_file():
        script = {"encoder": "pretrain_encoder", "signal": "add_signal_branch"}[settings.encoder]
        raise OSError(f"no trained encoder in {source}; run training/{script}.py first")
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
    training = TokenizerTraining(settings, model, views, corpus, folder, accelerator).to(accelerator.device)
    if accelerator.num_processes > 1:
        synchronize_norms(training)

    def step(number: int, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        return training.backward(shared)

    metrics = run_steps("tokenizer", training, step, settings, folder, fingerprint, accelerator)
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
    width = views["latents"].shape[-1]
    config = AnyMoPQVAEConfig.from_preset(settings.preset, input_dim=width, **settings.codebooks())
    if settings.start_from:
        model = AnyMoFeatureExtractor.from_pretrained(settings.start_from).pqvae
        same_shape(model, config, settings.start_from)
        return model.to(device)
    model = AnyMoPQVAEModel(config).to(device)
    _start_codebooks(model, views, settings.seed)
    return model


class TokenizerTraining(nn.Module):
    """The PQ-VAE and, with `activity_weight`, the head that reads activities' words from its quantized vectors.

    Args:
        settings: of this stage.
        model: that learns.
        views: of `load_latents`.
        corpus: their clips.
        cache: folder for sentence vectors.
        accelerator: of this run.

    Raises:
        ValueError: an `activity_weight`, and fewer than two named activities.
    """

    def __init__(
        self,
        settings: TokenizerSettings,
        model: AnyMoPQVAEModel,
        views: dict[str, np.ndarray],
        corpus: MotionCorpus,
        cache: Path,
        accelerator: Accelerator,
    ):
        super().__init__()
        self.model, self.settings, self.views, self.accelerator = model, settings, views, accelerator
        self.rows, self.contrast = np.arange(len(views["length"])), None
        if settings.activity_weight:
            words = ActivityWords(corpus.clips, settings.broader_activities)
            width = model.config.bottleneck_dim
            self.contrast = ActivityContrast(words, width, settings.temperature, cache, accelerator)
            self.rows = np.flatnonzero(words.activity[views["clip"]] >= 0)

    def backward(self, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        """Losses of a batch of views, with backward."""
        size, config, accelerator = self.settings.batch_size, self.model.config, self.accelerator
        # sorted before they are shared out, so that dead codes are refreshed from the rows one process would draw
        rows = np.sort(shared.choice(self.rows, size, replace=len(self.rows) < size))
        own = local_part(rows, accelerator)
        latents, mask = latent_batch(self.views, own, accelerator.device)
        with accelerator.autocast():
            output = self.model(latents, mask)
        total, losses = output.loss, {"loss": output.loss.detach()}
        if accelerator.num_processes > 1:  # a mean over latent steps, of which processes hold unequal numbers
            steps = mask.sum().to(total.dtype)
            total = total * steps / accelerator.reduce(steps, "mean")
            losses["loss"] = total.detach()
        if self.contrast is not None:
            activity = self.contrast(output.quantized, mask, self.views["clip"][own], shared)
            total, losses["activity"] = total + self.settings.activity_weight * activity, activity.detach()
        accelerator.backward(total)
        books = torch.arange(config.num_codebooks, device=mask.device)
        used = torch.zeros(config.num_codebooks * config.codebook_size, device=mask.device)
        used[output.codes[mask] + config.codebook_size * books] = 1.0
        return losses | {"codes_in_batch": used.sum() / config.num_codebooks}


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
