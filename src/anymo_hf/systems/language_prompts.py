"""What a language model is asked about a window: its numbers or its picture in words, from `language_prompts.yaml`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from string import ascii_letters, ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np

from ..modeling.imu_signal import resample
from ..recordings.imu_recording import ImuRecording

RATE = 10.0  # Hz, of the numbers that a language model reads
MOST_OPTIONS = 50  # more texts than that are candidates of retrieval, of which ten are ranked
RANKED = 10
_AXES = "xyz"
_KINDS = (("acceleration", "m/s^2"), ("angular velocity", "rad/s"))


@cache
def _file() -> bytes:
    return files("anymo_hf.systems").joinpath("language_prompts.yaml").read_bytes()


@cache
def prompts() -> dict[str, Any]:
    """The file of words."""
    import yaml

    return yaml.safe_load(_file())


def prompts_hash() -> str:
    """First 16 digits of the file's SHA-256, for results."""
    return hashlib.sha256(_file()).hexdigest()[:16]


def option_keys(count: int) -> list[str]:
    """a to z, then aa, ab, …; numbers from 1 for more than `MOST_OPTIONS`."""
    if count > MOST_OPTIONS:
        return [str(number + 1) for number in range(count)]
    letters = [chr(ord("a") + number) for number in range(26)]
    return (letters + [first + second for first in letters for second in letters])[:count]


def choice_keys(count: int) -> list[str]:
    """A to Z, then a to z: one letter is one token of a model, so its log-probability is the option's.

    Raises:
        ValueError: over 52 options.
    """
    if count > len(ascii_letters):
        raise ValueError(f"a multiple-choice question takes at most {len(ascii_letters)} options, got {count}")
    return list(ascii_uppercase + ascii_lowercase)[:count]


def messages(
    recording: ImuRecording,
    texts: Sequence[str],
    style: str = "text",
    picture: bytes | None = None,
    choice: bool = False,
) -> list[dict[str, Any]]:
    """A conversation that asks which of `texts` fits, or without any for a sentence.

    Args:
        style: "text" or "hargpt"; the latter has no letters, asks for steps, and takes no picture.
        picture: PNG in place of the numbers.
        choice: ask for the key of one option, see `choice_keys`, instead of a ranking.

    Raises:
        ValueError: HARGPT's form with a picture, without options or with more than `MOST_OPTIONS`.
    """
    if style == "hargpt" and (picture is not None or not 0 < len(texts) <= MOST_OPTIONS):
        raise ValueError(f"HARGPT's form reads numbers and takes 1 to {MOST_OPTIONS} options, got {len(texts)}")
    words = prompts()[style]
    kind = "caption" if not texts else "options" if len(texts) <= MOST_OPTIONS else "candidates"
    keys = option_keys(len(texts))
    if choice:
        kind, keys = "choice", choice_keys(len(texts))
    signals = low_rate(recording)
    count = len(next(iter(signals.values())))
    block = {"hargpt": _bracketed, "text": _lines}[style](signals) if picture is None else ""
    mark = ")" if kind in ("options", "choice") else "."
    user = words[kind].format(
        places=" and ".join(_place(place, signal) for place, signal in signals.items()),
        rate=f"{RATE:g}",
        samples=count,
        seconds=f"{count / RATE:g}",
        signals=block,
        signals_before="" if picture is None else prompts()["picture"] + "\n\n",
        labels=", ".join(texts),
        options="\n".join(f"{key}{mark} {text}" for key, text in zip(keys, texts, strict=True)),
    )
    system = prompts().get(f"{kind}_system", words["system"])
    content: Any = user
    if picture is not None:
        import base64

        address = "data:image/png;base64," + base64.b64encode(picture).decode()
        content = [{"type": "image_url", "image_url": {"url": address}}, {"type": "text", "text": user}]
    return [{"role": "system", "content": system}, {"role": "user", "content": content}]


def low_rate(recording: ImuRecording) -> dict[str, np.ndarray]:
    """Placement -> `(samples, 3 or 6)` at 10 Hz, low-passed, in alphabetical order."""
    return {
        place: resample(np.asarray(signal, dtype=float), recording.sampling_rate, RATE)
        for place, signal in sorted(recording.signals.items())
    }


def _place(place: str, signal: np.ndarray) -> str:
    kinds = "an accelerometer" if signal.shape[1] == 3 else "an accelerometer and a gyroscope"
    return f"{kinds} on the {place.replace('_', ' ')}"


def _lines(signals: dict[str, np.ndarray]) -> str:
    found = []
    for place, signal in signals.items():
        found.append(f"{place.replace('_', ' ')}:")
        for column, values in enumerate(signal.T):
            kind, unit = _KINDS[column // 3]
            found.append(f"{kind} {_AXES[column % 3]} ({unit}): " + ",".join(f"{value:.2f}" for value in values))
    return "\n".join(found)


def _bracketed(signals: dict[str, np.ndarray]) -> str:
    found = []
    for place, signal in signals.items():
        for start in range(0, signal.shape[1], 3):
            kind, unit = _KINDS[start // 3]
            found.append(f"{kind.capitalize()} on the {place.replace('_', ' ')} ({unit}):")
            for axis, values in zip(_AXES, signal[:, start : start + 3].T, strict=True):
                found.append(f"{_AXES.index(axis) + 1}. {axis}-axis: [" + " ".join(f"{v:.2f}" for v in values) + "]")
    return "\n".join(found)


def window_picture(recording: ImuRecording) -> bytes:
    """PNG: a row for each placement, acceleration and angular velocity; the limits are wider only where they must be.

    Raises:
        ImportError: matplotlib is missing.
    """
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    places = sorted(recording.signals)
    figure = Figure((10.24, 2.56 * len(places) + 0.4), dpi=100, layout="constrained")
    panels = figure.subplots(len(places), 2, squeeze=False)
    for row, place in enumerate(places):
        signal = np.asarray(recording.signals[place], dtype=float)
        time = np.arange(len(signal)) / recording.sampling_rate
        for column, (kind, unit) in enumerate(_KINDS):
            panel, limit = panels[row, column], (20.0, 10.0)[column]
            values = signal[:, 3 * column : 3 * column + 3]
            for axis, (color, line) in enumerate(zip(("red", "green", "blue"), values.T, strict=False)):
                panel.plot(time, line, color=color, linewidth=1, label=_AXES[axis])
            limit = max(limit, 1.05 * np.abs(values).max(initial=0))
            panel.set(xlim=(0, time[-1] if len(time) > 1 else 1), ylim=(-limit, limit), xlabel="time (s)")
            panel.set_ylabel(unit)
            panel.set_title(f"{place.replace('_', ' ')}: {kind}" + ("" if values.size else " (none)"), fontsize=11)
            if values.size:
                panel.legend(loc="upper right", fontsize=10)
    FigureCanvasAgg(figure)
    stream = BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
