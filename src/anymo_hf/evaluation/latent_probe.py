"""Judges an encoder before the later stages are trained: a linear probe of simulated activities, tried on real windows.

python -m anymo_hf.evaluation.latent_probe --encoder runs/nano/encoder/model --corpus CORPUS --data DIR
python -m anymo_hf.evaluation.latent_probe --release anymo --corpus CORPUS --data DIR

What is read is frozen. Logistic regression learns the activities of the corpus from it, of single sensors, and is judged
as `evaluation/motion_probe` judges the motion, on the same real sets. The gap between both is what the encoder loses;
of a whole release codes and embeddings are read beside its latents, and show what each step after it loses.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from ..freed_memory import keep_freed_memory
from ..interruption import ending_in_words
from ..modeling.body_segments import SEGMENTS
from ..modeling.embedding import embed_windows
from ..modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from ..modeling.modeling_anymo import AnyMoModel
from ..modeling.modeling_stgcn import AnyMoSTGCNModel
from ..modeling.processing_anymo import AnyMoProcessor
from ..simulation.surface import load_template
from ..simulation.views import sample_views
from ..training.corpus import MotionCorpus
from .motion_probe import FRAMES, MAPPED, TASKS, VIEWS, ProbeScores, activity_shares, judge, tasks_in

_BATCH = 64
_STRENGTH = 0.01  # inverse regularisation; features of unit variance

Features = Callable[[torch.Tensor, int], np.ndarray]
"""Windows `(batch, frames, 6)`, m/s^2 and rad/s at 60 Hz, of one segment to features `(batch, width)`."""


def _latents(encoder: AnyMoSTGCNModel, signals: torch.Tensor, placement: int) -> torch.Tensor:
    imu = signals.new_zeros(*signals.shape[:2], len(SEGMENTS), 6)
    imu[:, :, placement] = signals
    worn = torch.zeros(len(imu), len(SEGMENTS), dtype=torch.bool)
    worn[:, placement] = True
    return encoder(imu, worn).last_hidden_state


def _over_time(steps: torch.Tensor) -> np.ndarray:
    return torch.cat([steps.mean(1), steps.std(1)], 1).numpy()


def latent_features(encoder: AnyMoSTGCNModel) -> Features:
    """Mean and deviation over time of an encoder's latents (§3.2)."""
    return torch.inference_mode()(lambda signals, placement: _over_time(_latents(encoder, signals, placement)))


def code_features(extractor: AnyMoFeatureExtractor) -> Features:
    """Mean and deviation over time of the code vectors that stand for a window (§3.2, Eq. 4)."""

    @torch.inference_mode()
    def features(signals: torch.Tensor, placement: int) -> np.ndarray:
        codes = extractor.pqvae.encode(_latents(extractor.stgcn, signals, placement))
        return _over_time(extractor.pqvae.quantizer.lookup(codes))

    return features


def embedding_features(model: AnyMoModel, processor: AnyMoProcessor) -> Features:
    """The whole model's embedding of a window (§3.3)."""

    def features(signals: torch.Tensor, placement: int) -> np.ndarray:
        codes, _ = processor.feature_extractor.encode_all([{placement: row} for row in signals.numpy()])
        return embed_windows(model, processor, [[row] for row in codes.numpy()], [[placement]] * len(codes)).numpy()

    return features


class LatentProbe:
    """Logistic regression on frozen features of one sensor.

    Args:
        features: what is read of its windows.
        placement: segment that wears the sensor.
    """

    def __init__(self, features: Features, placement: int):
        self.features, self.placement = features, placement
        self.regression = make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH, max_iter=300))

    def __call__(self, signals: torch.Tensor, placement: int) -> torch.Tensor:
        """Log chances `(batch, classes)` of windows `(batch, frames, 6)`."""
        if placement != self.placement:
            raise ValueError(f"this probe learnt segment {self.placement}, the windows are of segment {placement}")
        return torch.from_numpy(self.regression.predict_log_proba(self.features(signals, placement)))


def fit_probes(
    features: Mapping[str, Features], corpus: MotionCorpus, placements: Sequence[int], windows: int, seed: int
) -> tuple[dict[str, dict[int, LatentProbe]], list[str]]:
    """For each kind of features a probe of the corpus's activities for each segment, from the same simulated windows; and
    the activities in the order of its logits."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    rows = np.array([row for row, clip in enumerate(corpus.clips) if clip.activity])
    names = sorted({corpus.clips[row].activity for row in rows})
    template = load_template()
    found: dict[tuple[str, int], list[np.ndarray]] = {(kind, place): [] for kind in features for place in placements}
    target: list[int] = []
    for _ in tqdm(range(-(-windows // _BATCH)), desc="simulated windows"):
        chosen = rng.choice(rows, _BATCH)
        terms = corpus.read(chosen, rng.integers(0, corpus.frames - FRAMES + 1, _BATCH), FRAMES)
        body = template.scaled(float(rng.uniform(1.5, 1.95)))
        signals = sample_views(terms, body, generator, VIEWS, placements)
        target += [names.index(str(corpus.clips[row].activity)) for row in chosen]
        for column, place in enumerate(placements):
            for kind, read in features.items():
                found[kind, place].append(read(signals[:, :, column], place))
    seen = sorted(set(target))
    probes = {kind: {place: LatentProbe(read, place) for place in placements} for kind, read in features.items()}
    for (kind, place), rows_of_features in found.items():
        probes[kind][place].regression.fit(np.concatenate(rows_of_features), target)
    return probes, [names[index] for index in seen]


def probe_scores(
    features: Mapping[str, Features],
    corpus: MotionCorpus,
    tasks: Mapping[str, tuple[str, dict[str, tuple[str, ...]]]],
    placements: Mapping[str, int],
    data: str,
    windows: int,
    seed: int,
) -> dict[str, list[ProbeScores]]:
    """For each kind of features its scores on every set: `tasks` and `placements` are of `tasks_in`."""
    probes, names = fit_probes(features, corpus, sorted(set(placements.values())), windows, seed)
    shares = activity_shares(corpus, names)
    return {
        kind: [
            judge(of_place[placements[name]], shares, name, data, placements[name], groups)
            for name, (_, groups) in tasks.items()
        ]
        for kind, of_place in probes.items()
    }


@ending_in_words("latent_probe")
def main(words: list[str] | None = None) -> None:
    """Fits the probes and prints their scores on the sets that are found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--encoder", help="folder of an encoder, such as runs/nano/encoder/model")
    source.add_argument("--release", help="a whole release, such as anymo: latents, codes and embeddings")
    parser.add_argument("--corpus", required=True, help="corpus folder of training/make_corpus.py")
    parser.add_argument("--data", required=True, help=f"folder with any of {', '.join(TASKS)}")
    parser.add_argument("--windows", type=int, default=4000, help="simulated windows to learn from (default 4000)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(words)
    tasks, placements = tasks_in(parser, arguments.data)
    if arguments.encoder:
        features = {"latents": latent_features(AnyMoSTGCNModel.from_pretrained(arguments.encoder).eval())}
    else:
        model, processor = (kind.from_pretrained(arguments.release) for kind in (AnyMoModel, AnyMoProcessor))
        extractor = processor.feature_extractor
        features = {
            "latents": latent_features(extractor.stgcn),
            "codes": code_features(extractor),
            "embedding": embedding_features(model.eval(), processor),
        }
    keep_freed_memory(MAPPED)
    corpus = MotionCorpus(arguments.corpus)
    found = probe_scores(features, corpus, tasks, placements, arguments.data, arguments.windows, arguments.seed)
    for kind, rows in found.items():
        for row in rows:
            print(f"{kind}, {row}", flush=True)


if __name__ == "__main__":
    main()
