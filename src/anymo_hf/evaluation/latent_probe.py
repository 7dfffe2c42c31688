"""Judges an encoder before the later stages are trained: a linear probe of simulated activities, tried on real windows.

python -m anymo_hf.evaluation.latent_probe --encoder runs/nano/encoder/model --corpus CORPUS --data DIR

The encoder is frozen. Logistic regression learns the activities of the corpus from mean and deviation over time of the
latents of single sensors, and is judged as `evaluation/motion_probe` judges the motion, on the same real sets. The gap
between both is what the encoder loses.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from ..interruption import ending_in_words
from ..modeling.body_segments import SEGMENTS
from ..modeling.modeling_stgcn import AnyMoSTGCNModel
from ..simulation.surface import load_template
from ..simulation.views import sample_views
from ..training.corpus import MotionCorpus
from .motion_probe import FRAMES, TASKS, VIEWS, activity_shares, judge, tasks_in

_BATCH = 64
_STRENGTH = 0.01  # inverse regularisation; features of unit variance


class LatentProbe:
    """Logistic regression on the frozen encoder's latents of one sensor.

    Args:
        encoder: in evaluation mode.
        placement: segment that wears the sensor.
    """

    def __init__(self, encoder: AnyMoSTGCNModel, placement: int):
        self.encoder, self.placement = encoder, placement
        self.regression = make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH, max_iter=300))

    @torch.inference_mode()
    def features(self, signals: torch.Tensor) -> np.ndarray:
        """Mean and deviation of latents `(batch, 2 * latent_dim)` of `(batch, frames, 6)` m/s^2 and rad/s at 60 Hz."""
        imu = signals.new_zeros(*signals.shape[:2], len(SEGMENTS), 6)
        imu[:, :, self.placement] = signals
        worn = torch.zeros(len(imu), len(SEGMENTS), dtype=torch.bool)
        worn[:, self.placement] = True
        latents = self.encoder(imu, worn).last_hidden_state
        return torch.cat([latents.mean(1), latents.std(1)], 1).numpy()

    def __call__(self, signals: torch.Tensor, placement: int) -> torch.Tensor:
        """Log chances `(batch, classes)` of windows `(batch, frames, 6)`."""
        if placement != self.placement:
            raise ValueError(f"this probe learnt segment {self.placement}, the windows are of segment {placement}")
        return torch.from_numpy(self.regression.predict_log_proba(self.features(signals)))


def fit_probes(
    encoder: AnyMoSTGCNModel, corpus: MotionCorpus, placements: Sequence[int], windows: int, seed: int
) -> tuple[dict[int, LatentProbe], list[str]]:
    """A probe of the corpus's activities for each segment, and the activities in the order of its logits."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    rows = np.array([row for row, clip in enumerate(corpus.clips) if clip.activity])
    names = sorted({corpus.clips[row].activity for row in rows})
    probes, template = {place: LatentProbe(encoder, place) for place in placements}, load_template()
    found: dict[int, list[np.ndarray]] = {place: [] for place in placements}
    target: list[int] = []
    for _ in tqdm(range(-(-windows // _BATCH)), desc="simulated windows"):
        chosen = rng.choice(rows, _BATCH)
        terms = corpus.read(chosen, rng.integers(0, corpus.frames - FRAMES + 1, _BATCH), FRAMES)
        body = template.scaled(float(rng.uniform(1.5, 1.95)))
        signals = sample_views(terms, body, generator, VIEWS, placements)
        target += [names.index(str(corpus.clips[row].activity)) for row in chosen]
        for column, place in enumerate(placements):
            found[place].append(probes[place].features(signals[:, :, column]))
    seen = sorted(set(target))
    for place, probe in probes.items():
        probe.regression.fit(np.concatenate(found[place]), target)
    return probes, [names[index] for index in seen]


@ending_in_words("latent_probe")
def main(words: list[str] | None = None) -> None:
    """Fits the probes and prints their scores on the sets that are found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", required=True, help="folder of an encoder, such as runs/nano/encoder/model")
    parser.add_argument("--corpus", required=True, help="corpus folder of training/make_corpus.py")
    parser.add_argument("--data", required=True, help=f"folder with any of {', '.join(TASKS)}")
    parser.add_argument("--windows", type=int, default=4000, help="simulated windows to learn from (default 4000)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(words)
    tasks, placements = tasks_in(parser, arguments.data)
    encoder = AnyMoSTGCNModel.from_pretrained(arguments.encoder).eval()
    corpus = MotionCorpus(arguments.corpus)
    probes, names = fit_probes(encoder, corpus, sorted(set(placements.values())), arguments.windows, arguments.seed)
    shares = activity_shares(corpus, names)
    for name, (_, groups) in tasks.items():
        place = placements[name]
        print(judge(probes[place], shares, name, arguments.data, place, groups), flush=True)


if __name__ == "__main__":
    main()
