"""Simulated signals beside real ones: how much acceleration and turning each harmonic of the stride holds.

python -m anymo_hf.evaluation.signal_comparison --data DIR

prints medians for the walking windows of HAPT (waist), WISDM and MobiFall (pocket) and ClassyGlass (head) and for simulated
people who wear a sensor on the same segment. It needs no alignment: components are taken along and across gravity.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.signal import periodogram

from ..modeling.body_segments import resolve_placement
from ..motion.procedural import HELD_OUT_SEED, simulate_activity
from ..recordings.catalogue import read_windows
from ..simulation.kinematics import segment_kinematics
from ..simulation.surface import load_template
from ..simulation.views import ViewOptions, sample_views, stack_terms

HARMONICS = (1, 2, 3, 4, 6)
COMPONENTS = ("acceleration along gravity", "acceleration across", "turning about gravity", "turning across")
STEP_BAND = (1.1, 3.2)  # Hz, where the step frequency is looked for
# dataset, placement, its labels, the simulated activities that stand for them
PAIRS = (
    ("uci_hapt", "waist", ("walk",), ("walking",)),
    ("uci_hapt", "waist", ("walk upstairs",), ("stairs_up",)),
    ("uci_hapt", "waist", ("walk downstairs",), ("stairs_down",)),
    ("wisdm", "right_pocket", ("walking",), ("walking",)),
    ("wisdm", "right_pocket", ("jogging",), ("jogging", "running")),
    ("wisdm", "right_pocket", ("stairs",), ("stairs_up", "stairs_down")),
    ("mobifall", "right_pocket", ("jumping",), ("jumping",)),
    ("classyglass", "head", ("walking",), ("walking", "walking_slow")),
    ("classyglass", "head", ("running",), ("jogging", "running")),
    ("classyglass", "head", ("taking the stairs",), ("stairs_up", "stairs_down")),
)


def harmonic_profile(signals: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Step frequency and root mean square in a band around each harmonic of the stride.

    Args:
        signals: `(N, T, 6)` acceleration m/s^2 and angular velocity rad/s.
        rate: Hz.

    Returns:
        `(N,)` step frequency in Hz, and `(N, 4, 5)` by component and harmonic, m/s^2 and rad/s; NaN past half the rate.
    """
    acceleration, turning = signals[..., :3], signals[..., 3:]
    up = acceleration.mean(1)
    up = (up / np.linalg.norm(up, axis=-1, keepdims=True))[:, None]
    parts = []
    for vector in (acceleration, turning):
        along = (vector * up).sum(-1, keepdims=True)
        parts += [along, vector - along * up]
    length = 4 * signals.shape[1]  # a finer frequency axis
    spectra = []
    for part in parts:
        frequency, density = periodogram(part, rate, "hann", length, detrend="constant", axis=1)
        spectra.append(density.sum(-1))
    band = (frequency >= STEP_BAND[0]) & (frequency <= STEP_BAND[1])
    step = frequency[band][spectra[0][:, band].argmax(1)]
    profile = np.full((len(signals), len(parts), len(HARMONICS)), np.nan)
    for row, stride in enumerate(step / 2):
        for column, order in enumerate(HARMONICS):
            if (order + 0.5) * stride <= rate / 2:
                near = np.abs(frequency - order * stride) < stride / 2
                for part, density in enumerate(spectra):
                    profile[row, part, column] = np.sqrt(density[row, near].sum() * frequency[1])
    return step, profile


def simulated_signals(activity: str, placement: str, people: int, frames: int = 300) -> np.ndarray:
    """`(people, frames, 6)` signals of one worn sensor at 60 Hz; people that training never draws."""
    terms = [segment_kinematics(simulate_activity(activity, HELD_OUT_SEED + seed)) for seed in range(people)]
    tensors = [
        torch.tensor(np.stack([getattr(term, name)[30 : 30 + frames] for term in terms]), dtype=torch.float32)
        for name in ("specific_force", "lever", "angular_velocity")
    ]
    options = ViewOptions(soft_attachment=0.5, wobble=0.7, belt=0.6, pocket=0.7)
    worn = [resolve_placement(placement)]
    generator = torch.Generator().manual_seed(0)
    return sample_views(stack_terms(*tensors), load_template(), generator, options, worn)[:, :, 0].numpy()


def compare(folder: str | Path, people: int = 30) -> Iterator[str]:
    """Lines of a table, real and simulated in turn; datasets that are not in `folder` are left out."""
    for dataset, placement, labels, activities in PAIRS:
        if not (Path(folder) / dataset).is_dir():
            continue
        windows = [item for item in read_windows(dataset, Path(folder) / dataset) if item.label in labels]
        signals = [next(iter(item.signals.values())) for item in windows]
        longest = max(map(len, signals))  # shorter windows have another resolution
        real = np.stack([signal for signal in signals if len(signal) == longest])
        simulated = np.concatenate([simulated_signals(name, placement, people) for name in activities])
        yield f"{dataset} {', '.join(labels)} ({len(real)} windows) and simulated {', '.join(activities)}, {placement}"
        for name, signals, rate in (("real", real, windows[0].sampling_rate), ("simulated", simulated, 60.0)):
            step, profile = harmonic_profile(signals, rate)
            yield f"  {name}: {np.median(step):.2f} steps/s; harmonics {', '.join(map(str, HARMONICS))} of the stride"
            for component, row in zip(COMPONENTS, np.nanmedian(profile, axis=0), strict=True):
                yield f"    {component:26} " + "  ".join(f"{value:5.2f}" for value in row)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", required=True, help="folder with any of uci_hapt/, wisdm/, mobifall/ and classyglass/"
    )
    for line in compare(parser.parse_args().data):
        print(line, flush=True)
