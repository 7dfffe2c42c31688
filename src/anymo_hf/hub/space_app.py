"""The page to try AnyMo in a browser, as a Hugging Face Space and as `anymo space` on this machine.

What a user gives is kept in memory for their visit alone. A file that the browser sends lies in a temporary folder until it
is read, and `delete_old_files` deletes it soon after; the folder itself goes with the server.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from ..pictures.body import WORN_SIDES
from .space_answer import (
    FIELDS,
    LARGEST_FILE,
    MOST_SECONDS,
    Example,
    SpaceModel,
    Upload,
    answer_upload,
    phone_upload,
    reading_options,
    simulated_example,
    split_labels,
)
from .space_page import answer_html, nearest_html, place_picture, refusal, report_html

# two users may send equal files, which gradio keeps under one name; so neither is deleted before the other's is read
SWEEP_SECONDS, KEPT_SECONDS = 5, 15
AT_ONCE, WAITING = 2, 60  # answers that are worked out together, and those that may wait
_VISIT_SECONDS = 1800  # a file in memory is forgotten so long after it came
_TEMPLATES = Path(__file__).with_name("templates")
_SIMULATED = (("walking", "left_wrist"), ("jumping_jacks", "right_ankle"))
_FIRST_PLACE = "left_wrist"
_INTRODUCTION = f"""
# AnyMo: what does your motion sensor feel?

Give a recording of one worn sensor, or record with your phone, and say where it was worn. Files up to
{LARGEST_FILE >> 20} MB; the first {MOST_SECONDS / 60:g} minutes are answered. A file is deleted once it is read, and
nothing is kept after your visit. The answers are a small research model's: they can be wrong, and are no medical advice.
"""
_RECORDER = """<div class="anymo-recorder"><button type="button" aria-pressed="false">Record with this phone</button>
<p role="status" aria-live="polite"></p></div>"""


def answer_parts(
    space: SpaceModel, upload: Upload | None, placement: str, labels: str | None, none_of_these: bool, *fields: Any
) -> Iterator[tuple[str, str, str]]:
    """HTML of what was read, of the answer, and of the nearest known motions, as each becomes known.

    Args:
        space: who answers.
        upload: None where nothing was given yet.
        placement: where the sensor was worn.
        labels: candidates with commas or lines between; empty for the everyday list.
        none_of_these: as in `zero_shot_recognizer`.
        fields: as in `reading_options`; where one is filled in, they count instead of what came with the upload.
    """
    if upload is None:
        yield refusal("Give a file, record with your phone, or choose an example first."), "", ""
        return
    try:
        if any(field not in (None, "") for field in fields):  # 0 is a line of the column names, too: none
            upload = replace(upload, options=reading_options(*fields))
        answer = answer_upload(space, upload, placement, split_labels(labels), none_of_these)
    except ValueError as error:
        yield refusal(str(error)), "", ""
        return
    shown = report_html(answer), answer_html(answer)
    yield *shown, nearest_html(None)
    yield *shown, nearest_html(space.nearest(placement, answer.window.embedding))


def build_page(space: SpaceModel, examples: Sequence[Example] = ()) -> Any:
    """The page as `gradio.Blocks`; `serve` starts it.

    Args:
        space: who answers.
        examples: shown before the simulated ones.

    Raises:
        ImportError: gradio is missing.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio as gr
    except ImportError as error:
        raise ImportError("the page needs gradio: pip install 'anymo-hf[space]'") from error

    shown = [*examples, *(simulated_example(*pair) for pair in _SIMULATED)]

    def take(path: str | None) -> tuple[Upload | None, None]:
        """The file's bytes; the box is then empty for the next one."""
        return (None if path is None else Upload(Path(path).name, Path(path).read_bytes())), None

    def take_recorded(event) -> Upload | None:
        try:
            return phone_upload(event.rows)
        except (ValueError, TypeError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    take_recorded.__annotations__["event"] = gr.EventData  # gradio looks for the class itself, not its name

    def answer(
        upload, placement, labels, none, rate, acceleration_unit, angular_velocity_unit, columns, time_column, header_row,
        separator, decimal, apple_sign,
    ) -> Iterator[tuple[str, str, str]]:  # fmt: skip
        # gradio's clients see these names, which are those of `anymo recognize`
        yield from answer_parts(
            space, upload, placement, labels, none, rate, acceleration_unit, angular_velocity_unit, columns, time_column,
            header_row, separator, decimal, apple_sign,
        )  # fmt: skip

    with gr.Blocks(
        title="AnyMo: what does your motion sensor feel?",
        analytics_enabled=False,
    ) as page:
        upload = gr.State(None, time_to_live=_VISIT_SECONDS)
        gr.Markdown(_INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                gr.Markdown("## 1. Where was it worn?")
                picture = gr.HTML(
                    _FIRST_PLACE,
                    html_template=place_picture(),
                    js_on_load=(_TEMPLATES / "space_places.js").read_text(encoding="utf-8"),
                    elem_id="anymo-places",
                )
                place = gr.Dropdown(
                    [(name.replace("_", " "), name) for name in WORN_SIDES], value=_FIRST_PLACE, label="Place",
                    filterable=False, elem_id="anymo-place",
                )  # fmt: skip
            with gr.Column(scale=3, min_width=300):
                gr.Markdown("## 2. Give a recording")
                file = gr.File(
                    label="CSV, zip or a device's own file", elem_id="anymo-file", height=140, type="filepath"
                )
                recorder = gr.HTML(
                    _RECORDER, js_on_load=(_TEMPLATES / "space_recorder.js").read_text(encoding="utf-8"),
                    elem_id="anymo-recorder",
                )  # fmt: skip
                gr.Markdown("or begin with an example:")
                with gr.Row():
                    chosen = [gr.Button(example.title, size="sm", min_width=140) for example in shown]
                labels = gr.Textbox(
                    label="Your own labels (optional)", lines=2, elem_id="anymo-labels",
                    placeholder="walking, climbing stairs, brushing teeth",
                    info="With commas between; empty: a short everyday list.",
                )  # fmt: skip
                none = gr.Checkbox(label="may answer “none of these”", value=False)
                with gr.Accordion("What the file does not say", open=False):
                    rate = gr.Number(label=FIELDS["rate"], value=None, minimum=0, info="Empty: by its time stamps.")
                    acceleration = gr.Dropdown(
                        [("as the file says", ""), "m/s^2", "g", "mg"], value="", label=FIELDS["acceleration_unit"]
                    )
                    turning = gr.Dropdown(
                        [("as the file says", ""), "rad/s", "deg/s"], value="", label=FIELDS["angular_velocity_unit"]
                    )
                    columns = gr.Textbox(
                        label=FIELDS["columns"],
                        placeholder="ax,ay,az,gx,gy,gz",
                        info="Three or six names; usual ones are found.",
                    )
                    clock = gr.Textbox(label=FIELDS["time_column"], placeholder="timestamp")
                    header = gr.Number(
                        label=FIELDS["header_row"], value=None, minimum=0, precision=0,
                        info="From 1 on; 0 where there are none. Empty: it is found.",
                    )  # fmt: skip
                    separator = gr.Dropdown(
                        [("as found", ""), "comma", "semicolon", "tab", "space", "|"],
                        value="",
                        label=FIELDS["separator"],
                    )
                    decimal = gr.Dropdown(
                        [("as found", ""), ("point", "."), ("comma", ",")], value="", label=FIELDS["decimal"]
                    )
                    apple = gr.Dropdown([("as the format says", ""), "yes", "no"], value="", label=FIELDS["apple_sign"])
                again = gr.Button("Answer", variant="primary", elem_id="anymo-again")
        gr.Markdown("## 3. The answer")
        parts = [gr.HTML(elem_id=f"anymo-{name}") for name in ("report", "timeline", "nearest")]

        fields = [rate, acceleration, turning, columns, clock, header, separator, decimal, apple]
        empty = (None, "", "", "", "", None, "", "", "")
        asked: dict[str, Any] = {
            "fn": answer, "inputs": [upload, place, labels, none, *fields], "outputs": parts,
            "concurrency_limit": AT_ONCE, "concurrency_id": "answer", "show_progress": "minimal",
            "scroll_to_output": True,
        }  # fmt: skip
        again.click(**asked, api_name="answer")
        file.upload(take, file, [upload, file], api_name="take", show_progress="hidden").success(
            **asked, api_visibility="private"
        )
        recorder.submit(take_recorded, None, upload, api_visibility="private", show_progress="hidden").success(
            **asked, api_visibility="private"
        )
        for button, example in zip(chosen, shown, strict=True):
            button.click(
                lambda example=example: (example.upload, example.placement, example.placement, *empty), None,
                [upload, place, picture, *fields], api_visibility="private", show_progress="hidden",
            ).success(**asked, api_visibility="private")  # fmt: skip
        picture.select(lambda name: name, picture, place, api_visibility="private", show_progress="hidden")
        place.input(lambda name: name, place, picture, api_visibility="private", show_progress="hidden")
    return page


def serve(
    model: str = "anymo",
    examples: Sequence[Example] = (),
    host: str = "127.0.0.1",
    port: int | None = None,
    wait: bool = True,
) -> Any:
    """Start the page.

    Args:
        model: checkpoint folder, owner/name, or "anymo" for the installed one.
        examples: as in `build_page`.
        host, port: where it is served; None takes a free port from 7860 on.
        wait: until the program is ended; without it the running `gradio.Blocks` is returned, to be ended by
            its `close()` and `temporary_folder.cleanup()`.

    Raises:
        ImportError: gradio is missing.
        OSError: no such checkpoint, or the port is taken.
    """
    folder = TemporaryDirectory(prefix="anymo-space-")
    os.environ["GRADIO_TEMP_DIR"] = folder.name
    space = SpaceModel(model)
    space.loaded  # noqa: B018  (before the first visitor, and a wrong name is said now)
    page = build_page(space, examples)
    import gradio as gr

    page.temporary_folder = folder
    if wait:  # ended from outside as by Ctrl+C, so that the folder goes
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    Thread(target=_sweep, args=(folder.name,), daemon=True).start()
    page.queue(max_size=WAITING)
    # fonts of the device, so that none is fetched; colours with enough contrast
    theme = gr.themes.Default(
        primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    ).set(
        button_primary_background_fill="#0072b2", button_primary_background_fill_hover="#005a8d",
        block_info_text_color="*neutral_600", input_placeholder_color="*neutral_500",
    )  # fmt: skip
    try:
        page.launch(
            server_name=host, server_port=port, max_file_size=LARGEST_FILE, prevent_thread_lock=not wait, share=False,
            css=(_TEMPLATES / "space.css").read_text(encoding="utf-8"), theme=theme, ssr_mode=False,
            quiet=not wait, footer_links=[],
        )  # fmt: skip
    except OSError as error:
        if port is None or "port" not in str(error):
            raise
        raise OSError(f"port {port} is taken; give another, or none for a free one") from error
    if wait:
        folder.cleanup()
    return page


def delete_old_files(folder: str | Path, age: float) -> None:
    """Delete files that nothing was written to for `age` seconds, parts of broken uploads too, and folders left empty."""
    for path in sorted(Path(folder).rglob("*"), reverse=True):
        with suppress(OSError):  # gone meanwhile, or a folder that is not empty
            if time.time() - path.lstat().st_ctime > age:
                path.rmdir() if path.is_dir() else path.unlink()


def _sweep(folder: str) -> None:
    while os.path.isdir(folder):
        delete_old_files(folder, KEPT_SECONDS)
        time.sleep(SWEEP_SECONDS)
