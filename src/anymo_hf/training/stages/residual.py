"""Tunes the residual of motion embeddings on many windows at a time, and writes the release again; not in the paper.

Stage 4 trains all weights on a few windows a step. The residual of an embedding (paper §3.3) is a linear function of the
mean of projected codes, so with everything else frozen a step of hundreds of windows against every activity's words takes
milliseconds. What it learns carries over to real recordings better than what the language model makes of the same codes
(training/EXPERIMENTS.md).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import nn

from ...modeling.embedding import check_same_codebook
from ...modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from ...modeling.modeling_anymo import AnyMoForConditionalGeneration
from ...modeling.processing_anymo import AnyMoProcessor
from ...modeling.release import save_release
from ...modeling.word_and_code_embedding import own_embedding
from ..activity_words import ActivityWords
from ..batches import crop_length
from ..checkpoints import MODEL_FILES, file_hash, finished_metrics, write_metrics
from ..coded_views import CODES, CodedViews, load_codes
from ..corpus import MotionCorpus
from ..losses.matched_contrast import equal_pairs, matched_contrastive_loss
from ..processes import gather_rows, local_part
from ..settings import ResidualSettings
from ..training_loop import run_steps
from .language import TOKENIZER_FILES
from .tokenizer import EXTRACTOR, EXTRACTOR_FILES

_TEXTS_AT_ONCE = 64
_MEASURED = 512  # windows on which the lengths of both parts are measured


def tune_residual(settings: ResidualSettings, root: str | Path, release: str | Path, accelerator: Accelerator) -> dict:
    """Reads `root/corpus`, `root/tokenizer` and the release `start_from`; writes `root/residual` and `release`.

    Raises:
        OSError: no codes, no corpus, or no release at `start_from`.
        ValueError: `start_from` is not given, was trained on other codes, or the corpus has fewer than two named activities.
    """
    if not settings.start_from:
        raise ValueError("start_from: name the folder of the release whose residual is tuned (--start-from)")
    settings, root = settings.for_processes(accelerator.num_processes), Path(root)
    source, folder = Path(settings.start_from), root / "residual"
    if not (source / "model.safetensors").is_file():
        raise OSError(f"start_from: no release in {source}; run training/tune_contrastive.py first")
    corpus, codes_path = MotionCorpus(root / "corpus"), root / "tokenizer" / CODES
    views = load_codes(codes_path)
    hashes = file_hash(codes_path) + file_hash(source / "model.safetensors")
    fingerprint = settings.fingerprint(corpus.identity() + hashes)
    results = (Path(release) / name for name in (*MODEL_FILES, *TOKENIZER_FILES, *EXTRACTOR_FILES))
    done = finished_metrics(folder, fingerprint, *results)
    if done and done.get("weights") == file_hash(Path(release) / "model.safetensors"):
        return done
    model = AnyMoForConditionalGeneration.from_pretrained(source).float().to(accelerator.device).eval()
    model.requires_grad_(False)
    processor = AnyMoProcessor.from_pretrained(source)
    extractor = AnyMoFeatureExtractor.from_pretrained(root / "tokenizer" / EXTRACTOR)
    check_same_codebook(model, AnyMoProcessor(extractor, processor.tokenizer))
    training = ResidualTraining(settings, model, processor, corpus, views, accelerator)

    def step(number: int, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        losses = training.losses(shared)
        accelerator.backward(losses["label"] + settings.narration_weight * losses["narration"])
        return {name: value.detach() for name, value in losses.items()}

    metrics = run_steps("residual", training.residual, step, settings, folder, fingerprint, accelerator)
    scale = training.scale(settings.residual_share)
    model.imu_residual_scale.fill_(scale)
    model.config.imu_residual_scale = scale
    if accelerator.is_main_process:
        save_release(release, model.cpu(), processor)
        weights = file_hash(Path(release) / "model.safetensors")
        write_metrics(folder, metrics | {"finished": True, "weights": weights, "scale": scale})
    accelerator.wait_for_everyone()
    return metrics


class ResidualTraining:
    """What a step needs: codes as projected vectors, and the embeddings of all words of the corpus.

    Args:
        settings: of this stage.
        model: frozen; its `imu_residual_norm` and `imu_residual_head` are trained in place.
        processor: of the same release.
        corpus: whose named activities and narrations are learned.
        views: codes of its sparse views.
        accelerator: of this run.

    Raises:
        ValueError: fewer than two named activities.
    """

    def __init__(
        self,
        settings: ResidualSettings,
        model: AnyMoForConditionalGeneration,
        processor: AnyMoProcessor,
        corpus: MotionCorpus,
        views: CodedViews,
        accelerator: Accelerator,
    ):
        self.settings, self.model, self.views, self.accelerator = settings, model, views, accelerator
        self.processor = processor
        self.residual = nn.ModuleDict({"norm": model.imu_residual_norm, "head": model.imu_residual_head})
        self.residual.requires_grad_(True)
        self.activities = ActivityWords(corpus.clips, settings.broader_activities)
        self.rows = np.flatnonzero(self.activities.activity[views.clip] >= 0)
        self.words = self._embed(self.activities.texts)
        self.unsaid = self.activities.unsaid.to(accelerator.device)
        embedding = own_embedding(model.get_input_embeddings())
        with torch.no_grad():
            self.table = embedding.project_codes(torch.arange(embedding.num_codes, device=accelerator.device))

    @torch.no_grad()
    def _embed(self, texts: list[str]) -> torch.Tensor:
        from tqdm import tqdm

        parts = []
        begins = range(0, len(texts), _TEXTS_AT_ONCE)
        for begin in tqdm(begins, desc="texts", unit="batch", delay=1, disable=not self.accelerator.is_main_process):
            batch = self.processor(text=texts[begin : begin + _TEXTS_AT_ONCE], return_tensors="pt")
            parts.append(self.model.get_text_features(**batch.to(self.accelerator.device)).pooler_output)
        return torch.cat(parts)

    def embeds(self, rows: np.ndarray, most: int) -> torch.Tensor:
        """Unit residuals `(rows, projection_dim)` of the first `most` latent steps of some views."""
        device = self.table.device
        length = torch.from_numpy(self.views.length[rows].astype(np.int64)).clamp_max(most).to(device)
        codes = torch.from_numpy(self.views.codes[rows, :most].astype(np.int64)).to(device)
        codes = codes + torch.arange(codes.shape[2], device=device) * self.views.codebook_size
        real = torch.arange(codes.shape[1], device=device) < length[:, None]
        total = (self.table[codes].sum(2) * real[..., None]).sum(1)
        mean = total / (codes.shape[2] * length[:, None])
        return F.normalize(self.residual["head"](self.residual["norm"](mean)), dim=-1)

    def losses(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """Cross-entropy against a phrase of every activity, and narrations of the batch (Eq. 5), of random views."""
        settings, device = self.settings, self.table.device
        rows = rng.choice(self.rows, settings.batch_size)
        most = crop_length(settings, rng)
        spoken = self.words[self.activities.draw(rng).to(device)]
        told = [self.activities.narrations[clip] for clip in self.views.clip[rows]]
        drawn = np.array([rng.choice(texts) if len(texts) else -1 for texts in told])
        own = np.asarray(local_part(rows, self.accelerator))
        target = torch.from_numpy(self.activities.activity[self.views.clip[own]]).to(device)
        embeds = self.embeds(own, most)
        scores = (embeds @ spoken.T / settings.temperature).masked_fill(self.unsaid[target], -torch.inf)
        losses = {"label": F.cross_entropy(scores, target), "narration": embeds.new_zeros(())}
        if settings.narration_weight > 0 and (drawn >= 0).any():
            spoken_of = np.flatnonzero(drawn >= 0)
            windows = gather_rows(embeds, self.accelerator)[spoken_of]
            texts = torch.from_numpy(drawn[spoken_of]).to(device)
            pairs = equal_pairs([str(text) for text in drawn[spoken_of]]).to(device)
            losses["narration"] = matched_contrastive_loss(
                windows, self.words[texts], pairs, None, settings.temperature
            )
        return losses

    @torch.no_grad()
    def scale(self, share: float) -> float:
        """The factor that makes the residual `share` times as long as the language model's part, on random views."""
        rng = np.random.default_rng(self.settings.seed)
        rows = rng.choice(self.rows, min(_MEASURED, len(self.rows)), replace=False)
        lengths: dict[str, list[torch.Tensor]] = {"imu_embedding_head": [], "imu_residual_head": []}
        hooks = [
            getattr(self.model, name).register_forward_hook(
                lambda module, inputs, output, name=name: lengths[name].append(output.float().norm(dim=-1))
            )
            for name in lengths
        ]
        try:
            for begin in range(0, len(rows), _TEXTS_AT_ONCE):
                part = rows[begin : begin + _TEXTS_AT_ONCE]
                codes = [self.views.tokens(row, self.settings.latents) for row in part]
                worn = [self.views.worn(row) for row in part]
                batch = self.processor(imu_codes=codes, imu_placements=worn, return_tensors="pt")
                self.model.get_imu_features(**batch.to(self.table.device))
        finally:
            for hook in hooks:
                hook.remove()
        language, residual = (torch.cat(values).mean() for values in lengths.values())
        return float(share * language / residual)
