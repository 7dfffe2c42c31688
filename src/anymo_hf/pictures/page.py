"""Writing a picture twice: NAME.png, and NAME.html with a scene that can be turned and needs no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..atomic_write import write_bytes
from .body import scene_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from trimesh import Trimesh

    Box = Callable[[float, float, float, float], Axes]

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px sans-serif; margin: 1.2em auto; max-width: 1200px; padding: 0 1em; color: #222 }}
iframe {{ width: 100%; height: 62vh; border: 1px solid #ddd }}
ul {{ list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2em 1.2em }}
li b {{ display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .4em }}
svg {{ width: 100%; height: auto }}
</style></head><body>
<h2>{title}</h2>
<p>{note}Drag to turn, scroll to zoom, drag with the right button to move.</p>
<iframe title="scene" srcdoc="{scene}"></iframe>
<ul>{legend}</ul>
{signals}
</body></html>
"""


def new_figure(width: float, height: float, title: str = "") -> tuple[Figure, Box]:
    """A figure and what gives axes on it from (left, bottom, width, height), all in inches.

    Raises:
        ImportError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install matplotlib") from error

    figure = Figure(figsize=(width, height))
    if title:
        figure.suptitle(title, fontsize=16, y=1 - 0.2 / height, va="top")

    def box(left: float, bottom: float, wide: float, high: float) -> Axes:
        return figure.add_axes((left / width, bottom / height, wide / width, high / height))

    return figure, box


def write_picture(
    out: str | Path,
    figure: Figure,
    title: str,
    parts: Mapping[str, Trimesh],
    toward: np.ndarray,
    legend: Mapping[str, str],
    signals: Figure | None = None,
    note: str = "",
) -> tuple[Path, Path]:
    """Write PNG and page, each under a temporary name first.

    Args:
        out: name without ending; missing folders are made.
        figure: what the PNG shows.
        title, note: heading of the page and a line below it.
        parts: name -> geometry of the scene, metres, z up.
        toward: from the scene to the viewer at first.
        legend: name -> colour.
        signals: a second figure to stand below the scene.

    Returns:
        Paths of PNG and HTML.
    """
    from trimesh.viewer.notebook import scene_to_html

    folder, name = Path(out).parent, Path(out).name
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    items = "".join(f'<li><b style="background:{colour}"></b>{escape(text)}</li>' for text, colour in legend.items())
    page = _PAGE.format(
        title=escape(title),
        note=f"{escape(note)}<br>" if note else "",
        scene=escape(scene_to_html(scene_of(parts, toward))),
        legend=items,
        signals="" if signals is None else _svg(signals),
    )
    png, html = folder / f"{name}.png", folder / f"{name}.html"
    for path, content in ((png, picture.getvalue()), (html, page.encode())):
        write_bytes(path, content)
    return png, html


def _svg(figure: Figure) -> str:
    """The figure as an element of a page, without the header of a file of its own."""
    text = StringIO()
    figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return text.getvalue()[text.getvalue().index("<svg") :]
