"""The page of `anymo space` as HTML: the body, an answer, a refusal. Every word of a user or file is escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape

import numpy as np

from ..pictures.body import COLOURS
from ..pictures.places import standing_body
from ..pictures.timeline import clock, headline
from ..recordings.devices.read_report import WARNING
from .space_answer import SpaceAnswer, SurestWindow

_ROWS = 30  # entries of a timeline that are listed
_SCORES = 5
_COLUMNS = 300  # of the drawn acceleration
_TOKENS_A_SECOND = 15


def place_picture() -> str:
    """The standing body with a button on each place; a JS template whose `${value}` is the chosen place."""
    picture, places = standing_body()
    buttons = "".join(
        f'<button type="button" data-place="{name}" title="{name.replace("_", " ")}" '
        f'aria-label="{name.replace("_", " ")}" aria-pressed="${{value === \'{name}\'}}" '
        f'style="left:{100 * across:.2f}%;top:{100 * down:.2f}%"></button>'
        for name, (across, down) in places.items()
    )
    return (
        '<div class="anymo-body" role="group" aria-label="Where the sensor was worn, on the body">'
        f'<img alt="A person who stands and faces you" src="data:image/png;base64,{b64encode(picture).decode()}">'
        f"{buttons}</div>"
        '<p class="anymo-small">The person faces you: their left hand is on your right.</p>'
    )


def refusal(message: str) -> str:
    """Why there is no answer."""
    return f'<div class="anymo-refusal" role="alert"><strong>No answer.</strong> {escape(message)}</div>'


def report_html(answer: SpaceAnswer) -> str:
    """What was read."""
    warned = [text for name, text in answer.report if name == WARNING]
    warnings = "".join(f'<p class="anymo-warning" role="alert">⚠ {escape(text)}</p>' for text in warned)
    rows = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{escape(text)}</td></tr>"
        for name, text in answer.report
        if name != WARNING
    )
    return (
        f'<section class="anymo"><h3>What was read</h3><p>{escape(answer.title)}</p>{warnings}'
        f"<details><summary>Columns, units, rate and gaps</summary><table>{rows}</table></details></section>"
    )


def answer_html(answer: SpaceAnswer) -> str:
    """Timeline, scores, and the surest window."""
    return (
        f'<section class="anymo" id="anymo-answer"><h3>{escape(headline(answer.seconds))}</h3>{_timeline(answer)}'
        f"<h4>Mean scores</h4>{_bars([(score, label) for label, score in list(answer.scores.items())[:_SCORES]])}"
        f"{_window(answer.window)}</section>"
    )


def nearest_html(motions: Sequence[tuple[float, str]] | None) -> str:
    """Known motions near to the window; None while they are looked for."""
    body = (
        '<p class="anymo-small" role="status">Looking for known motions at this place; the first search at a place takes '
        "some seconds ...</p>"
        if motions is None
        else _bars(motions)
    )
    return f'<section class="anymo"><h4>Nearest known motions (cosine)</h4>{body}</section>'


def _colours(answer: SpaceAnswer) -> dict[str, str]:
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(answer.seconds)}


def _timeline(answer: SpaceAnswer) -> str:
    colours, last = _colours(answer), answer.entries[-1].end
    blocks = "".join(
        f'<i style="left:{100 * entry.start / last:.3f}%;width:{100 * (entry.end - entry.start) / last:.3f}%;'
        f'background:{colours[entry.activity]};opacity:{0.3 + 0.7 * min(1.0, entry.confidence):.2f}"></i>'
        for entry in answer.entries
    )
    rows = "".join(
        f'<tr><td class="anymo-time">{clock(entry.start)} – {clock(entry.end)}</td>'
        f'<td><b class="anymo-key" style="background:{colours[entry.activity]}"></b>{escape(entry.activity)}</td>'
        f"<td>{100 * entry.confidence:.0f} %</td></tr>"
        for entry in answer.entries[:_ROWS]
    )
    more = len(answer.entries) - _ROWS
    rest = f'<p class="anymo-small">and {more} more</p>' if more > 0 else ""
    return (
        f'<div class="anymo-bar" role="img" aria-label="Timeline, listed in the table below">{blocks}</div>'
        f'{_acceleration(answer.acceleration)}<div class="anymo-ends"><span>0:00</span>'
        f"<span>size of the acceleration, {np.nanmin(answer.acceleration):.1f} to "
        f"{np.nanmax(answer.acceleration):.1f} m/s²</span><span>{clock(last, False)}</span></div>"
        f"<table><thead><tr><th scope=col>time</th><th scope=col>activity</th><th scope=col>how sure</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>{rest}"
    )


def _acceleration(magnitude: np.ndarray) -> str:
    """Least and greatest of each stretch of time as one shape; pauses stay empty."""
    edges = np.unique(np.linspace(0, len(magnitude), min(len(magnitude), _COLUMNS) + 1).astype(int))
    low, high = np.fmin.reduceat(magnitude, edges[:-1]), np.fmax.reduceat(magnitude, edges[:-1])
    top, bottom = np.nanmax(magnitude), np.nanmin(magnitude)
    scale = 56 / max(top - bottom, 1e-6)
    lines = "".join(
        f"M{x:.1f} {58 - (up - bottom) * scale:.1f}V{60 - (down - bottom) * scale:.1f}"
        for x, up, down in zip(600 * edges[:-1] / len(magnitude), high, low, strict=True)
        if np.isfinite(up)
    )
    width = 600 / len(low)
    return (
        '<svg class="anymo-signal" viewBox="0 0 600 60" preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="{lines}" stroke="currentColor" stroke-width="{max(width, 1):.2f}" fill="none"/></svg>'
    )


def _bars(pairs: Sequence[tuple[float, str]]) -> str:
    rows = "".join(
        f'<li><span class="anymo-fill" style="width:{100 * max(0.0, min(1.0, score)):.1f}%"></span>'
        f"<span>{escape(text)}</span><span>{score:.2f}</span></li>"
        for score, text in pairs
    )
    return f'<ol class="anymo-scores">{rows}</ol>'


def _window(window: SurestWindow) -> str:
    table = window.codes.reshape(-1, window.books) - window.size * np.arange(window.books)
    cells = "".join(
        f'<rect x="{10 * step}" y="{12 * book}" width="10" height="11" '
        f'fill="hsl({137 * int(code) % 360} 55% {38 + 7 * (int(code) % 5)}%)">'
        f"<title>book {book + 1}, code {code}</title></rect>"
        for step, row in enumerate(table)
        for book, code in enumerate(row)
    )
    size = f"{10 * len(table)} {12 * window.books}"
    numbers = "".join(
        f"<p>book {book + 1}: {' '.join(str(code) for code in column)}</p>" for book, column in enumerate(table.T)
    )
    said = "".join(letter for letter in window.caption if letter.isprintable())
    words = f"“{escape(said)}”" if said else "(the model has no words for it)"
    return (
        f"<h4>The surest window, {clock(window.start)} – {clock(window.end)}</h4>"
        f'<p class="anymo-caption">In its own words: {words}</p>'
        f'<svg class="anymo-tokens" viewBox="0 0 {size}" preserveAspectRatio="none" role="img" '
        f'aria-label="{table.size} motion tokens, listed below">{cells}</svg>'
        f"<details><summary>{table.size} motion tokens, {_TOKENS_A_SECOND} steps a second in {window.books} books; like "
        f"colour, like code</summary>{numbers}</details>"
    )
