"""Stage 1: masked cross-view predictive pre-training of the ST-GCN encoder (paper §3.2, A.3)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from ..modeling.configuration_anymo import AnyMoSTGCNConfig
from ..modeling.modeling_stgcn import AnyMoSTGCNForPreTraining
from ..simulation.surface import load_template
from ..simulation.views import sample_views
from .corpus import MotionCorpus
from .settings import EncoderSettings, check_views
from .training_loop import (
    MODEL_FILES,
    finished_metrics,
    local_part,
    replace_folder,
    run_steps,
    same_shape,
    start_hash,
    step_generator,
    write_metrics,
)
from .worn_setups import visible_masks

WEIGHTS = "model"


def train_encoder(settings: EncoderSettings, root: str | Path, accelerator: Accelerator) -> dict:
    """Reads `root/corpus`, writes `root/encoder/model` (loadable) and `root/encoder/metrics.json`; returns metrics."""
    root = Path(root)
    corpus, folder = MotionCorpus(root / "corpus"), root / "encoder"
    fingerprint = settings.fingerprint(corpus.identity() + start_hash(settings.start_from))
    if done := finished_metrics(folder, fingerprint, *(folder / WEIGHTS / name for name in MODEL_FILES)):
        return done
    longest = max(settings.frames)
    if longest > corpus.frames:
        raise ValueError(f"frames asks for windows of {longest}, the corpus holds clips of {corpus.frames}")
    template, options = load_template(), check_views(settings.views)
    torch.manual_seed(settings.seed)
    model = AnyMoSTGCNForPreTraining(AnyMoSTGCNConfig.from_preset(settings.preset))
    if settings.start_from:
        config, model = model.config, AnyMoSTGCNForPreTraining.from_pretrained(settings.start_from)
        same_shape(model, config, settings.start_from)
    model.to(accelerator.device)

    def step(number: int, shared: np.random.Generator) -> dict[str, torch.Tensor]:
        frames = int(shared.choice(settings.frames))
        rows = shared.choice(len(corpus), settings.batch_size, replace=len(corpus) < settings.batch_size)
        starts = shared.integers(0, corpus.frames - frames + 1, settings.batch_size)
        body = template.scaled(float(shared.uniform(*settings.height_range)))
        rows, starts = local_part(rows, accelerator), local_part(starts, accelerator)
        own = step_generator(settings.seed, number, accelerator.process_index, 2)
        terms = [part.to(accelerator.device) for part in corpus.read(rows, starts, frames)]
        generator = torch.Generator(accelerator.device).manual_seed(int(own.integers(2**62)))
        first, second = (sample_views(*terms, body, generator, options) for _ in range(2))
        seen = [visible_masks(own, len(rows), settings.worn_share).to(accelerator.device) for _ in range(2)]
        with accelerator.autocast():
            output = model(first, second, *seen)
        accelerator.backward(output.loss)
        labels = torch.arange(len(rows), device=output.logits.device)
        return {"loss": output.loss.detach(), "accuracy": (output.logits.argmax(-1) == labels).float().mean()}

    metrics = run_steps("encoder", model, step, settings, folder, fingerprint, accelerator)
    if accelerator.is_main_process:
        replace_folder(folder / WEIGHTS, model.save_pretrained)
        write_metrics(folder, metrics | {"finished": True})
    accelerator.wait_for_everyone()
    return metrics
