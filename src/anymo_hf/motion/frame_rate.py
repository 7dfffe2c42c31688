"""Frame rates as files print them: whole numbers, and those of video (23.976, 29.97, 59.94, 119.88), told apart."""

from __future__ import annotations

from pathlib import Path


def rate_of_frame_time(printed: str) -> float:
    """Frames per second of a printed frame time in seconds.

    A printed number stands for every value that it may be the rounding of. Of those, a whole rate is taken before one of
    video (n * 1000 / 1001): 0.0333 is 30, 0.0333667 is 29.97. Where none fits, it is the inverse of the number.

    Raises:
        ValueError: not a number.
    """
    seconds = float(printed)
    if seconds <= 0:
        return float("nan")
    mantissa, _, power = printed.strip().lower().partition("e")
    digits = len(mantissa.partition(".")[2].rstrip("0")) - int(power or 0)
    whole = round(1 / seconds)
    video = round(1.001 / seconds) * 1000 / 1001
    # rounded or, as some exporters do, cut off after the last digit
    for rate, tolerance in ((whole, 0.5), (video, 0.5), (whole, 1.0)):
        near = rate > 0 and abs(1 / seconds - rate) < 0.005 * rate
        if near and abs(1 / rate - seconds) <= max(1.001 * tolerance * 10.0**-digits, 1e-6 * seconds):
            return float(rate)
    return 1 / seconds


def rate_of_time_stamps(rate: float) -> float:
    """A measured mean rate, snapped to a whole one or one of video where it lies within 0.04 %."""
    candidates = (float(round(rate)), round(1.001 * rate) * 1000 / 1001)
    nearest = min(candidates, key=lambda candidate: abs(candidate - rate))
    return nearest if abs(nearest - rate) < 4e-4 * rate else rate


def checked_rate(path: Path, given: float | None, own: float) -> float:
    """The rate that the user gave, else the file's own.

    Raises:
        ValueError: the given one is not between 1 and 1000.
    """
    if given is None:
        return own
    if not 1 <= given <= 1000:
        raise ValueError(f"{path}: frame_rate must be frames per second, from 1 to 1000, got {given:g}")
    return float(given)
