"""The checkpoint that is installed with the package, and how transformers finds it by the name "anymo" in any folder."""

from __future__ import annotations

import functools
import os
from pathlib import Path

NAME = "anymo"
# in a clone a link to its folder `anymo/`; in a wheel the files themselves
FOLDER = Path(__file__).with_name("anymo")


def checkpoint_folder(name: str | os.PathLike) -> str:
    """Where a checkpoint's files are looked for: the name as it is, but for "anymo" where no folder here has that name.

    Raises:
        OSError: the installed files are gone.
    """
    if str(name) != NAME or os.path.isdir(NAME):
        return str(name)
    if not (FOLDER / "config.json").is_file():
        raise OSError(f"{FOLDER}: the installed checkpoint is missing; install anymo-hf again, or give another one")
    return str(FOLDER)


def which_checkpoint(name: str | os.PathLike) -> str:
    """One line that says which checkpoint answers to a name."""
    from . import __version__

    if str(name) == NAME and not os.path.isdir(NAME):
        return f"checkpoint: {NAME}, installed with anymo-hf {__version__}"
    if os.path.isdir(name):
        return f"checkpoint: the folder {Path(name).resolve()}"
    return f"checkpoint: {name} of the Hub"


def find_released_checkpoint() -> None:
    """Makes transformers find the installed files under the name "anymo"; calling it again changes nothing.

    Whatever transformers loads by name, it asks `transformers.utils.hub.cached_files` for the files. That one function is
    wrapped: it is given the installed folder in place of the name "anymo", and everything else as it came. The first time
    it says on transformers' log which checkpoint answered.
    """
    from transformers.utils import hub, logging

    if hasattr(hub.cached_files, "finds_anymo"):
        return
    original, said = hub.cached_files, set()

    @functools.wraps(original)
    def cached_files(path_or_repo_id, *args, **kwargs):
        folder = checkpoint_folder(path_or_repo_id)
        if str(path_or_repo_id) == NAME and (line := which_checkpoint(NAME)) not in said:
            said.add(line)
            logging.get_logger("transformers.anymo_hf").warning(line)
        return original(path_or_repo_id if folder == str(path_or_repo_id) else folder, *args, **kwargs)

    cached_files.finds_anymo = True  # type: ignore[attr-defined]
    hub.cached_files = cached_files
