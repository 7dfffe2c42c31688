"""Weights that others published: where they lie, strict loading without unpickling, and running them in batches."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

FOLDER = "ANYMO_WEIGHTS"  # environment variable: the folder of published weights, default "weights"
_WRAPPINGS = ("state_dict", "model_state_dict", "model")


def weights_folder() -> Path:
    """The folder of published weights."""
    return Path(os.environ.get(FOLDER, "weights"))


@dataclass(frozen=True)
class PublishedFile:
    """A file of weights that a system needs.

    Args:
        system: title of the system; licence: of the weights.
        file: its name; folder: where it belongs below the folder of weights.
        hub_id: owner/name on the Hub, "" where it is not there; hub_file: its path there, default `file`.
        address: in words, for those who must fetch it.
        named: how a source may name it; "" where it cannot.
    """

    system: str
    licence: str
    file: str
    folder: str
    hub_id: str = ""
    hub_file: str = ""
    address: str = ""
    named: str = "its path"

    def find(self, source: str | None = None) -> Path:
        """The file on disk.

        Args:
            source: the file, a folder that holds it, or owner/name on the Hub, from where it is fetched. None looks below
                the folder of weights, then among what was fetched from the Hub before.

        Raises:
            OSError: it is not there; the message says what, where from, under which licence and where to put it.
        """
        place = weights_folder() / self.folder / self.file
        if source is None:
            if place.is_file():
                return place
            if self.hub_id and (cached := self._fetched(self.hub_id, cached_only=True)):
                return cached
            raise OSError(self._missing(place))
        given = Path(source)
        if given.is_dir():
            given = given / self.file
        if given.is_file():
            return given
        on_hub = source.count("/") == 1 and not source.startswith((".", "/", "~")) and not Path(source).suffix
        if on_hub and (path := self._fetched(source, cached_only=False)):
            return path
        raise OSError(f"{source}: not there. {self._missing(place)}")

    def _fetched(self, hub_id: str, cached_only: bool) -> Path | None:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

        try:
            return Path(hf_hub_download(hub_id, self.hub_file or self.file, local_files_only=cached_only))
        except (LocalEntryNotFoundError, EntryNotFoundError, HfHubHTTPError, OSError):
            return None

    def _missing(self, place: Path) -> str:
        origin = f"Hub id {self.hub_id}" if self.hub_id else self.address
        if self.hub_id and self.address:
            origin += f", {self.address}"
        given = f", or give {self.named}{' or its Hub id' if self.hub_id else ''}" if self.named else ""
        return (
            f"{self.system} needs {self.file} ({origin}; licence {self.licence}); put it at {place}{given}; {FOLDER} "
            "names another folder"
        )


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Name -> tensor of a safetensors file or of a state dict that torch saved; nothing is unpickled but tensors.

    A state dict below `model`, `state_dict` or `model_state_dict` is taken out, and `module.` before every name dropped.

    Raises:
        OSError: damaged, or it holds something else than tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    found: Any
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise OSError(f"{path} is damaged or no file of weights ({error}); fetch it again") from error
    except Exception as error:  # pickle's own error, for whatever weights_only refuses
        if type(error).__name__ != "UnpicklingError":
            raise
        raise OSError(
            f"{path} holds more than tensors, which could run code, and is refused ({error!s:.200}); save its state dict "
            "as safetensors"
        ) from error
    for name in _WRAPPINGS:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
            break
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise OSError(f"{path} holds no state dict of tensors; fetch the file that {FOLDER}'s page names")
    tensors = dict(found)
    if tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return tensors


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def fill(
    network: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    path: Path | str,
    skipped: Sequence[str] = (),
    rename: Callable[[str], str] = lambda name: name,
) -> None:
    """Puts every tensor where it belongs; what does not fit whole is refused.

    Args:
        network: may stand on the meta device.
        path: for messages.
        skipped: beginnings of the names that are left out on purpose.
        rename: of the file's names to the network's.

    Raises:
        ValueError: a tensor is missing, extra or of another shape or kind; the message names the first.
    """
    own = network.state_dict()
    given = {rename(name): value for name, value in tensors.items() if not name.startswith(tuple(skipped))}
    problems = [
        *(f"{name} is missing" for name in own if name not in given),
        *(f"{name} is not a tensor of this network" for name in given if name not in own),
        *(
            f"{name} is {tuple(given[name].shape)} and must be {tuple(value.shape)}"
            for name, value in own.items()
            if name in given and given[name].shape != value.shape
        ),
        *(
            f"{name} is of type {given[name].dtype}"
            for name, value in own.items()
            if name in given and given[name].is_floating_point() != value.is_floating_point()
        ),
    ]
    if problems:
        raise ValueError(
            f"{path}: weights of another model: {problems[0]}"
            + (f", and {len(problems) - 1} more tensors do not fit" if len(problems) > 1 else "")
        )
    kept = {name: value.to(own[name].dtype) for name, value in given.items()}
    network.load_state_dict(kept, strict=True, assign=True)


def build(make: Callable[[], nn.Module]) -> nn.Module:
    """A network without storage, to be filled; nothing in it is ever random."""
    with torch.device("meta"):
        return make()


def load_network(
    make: Callable[[], nn.Module],
    path: Path,
    skipped: Sequence[str] = (),
    rename: Callable[[str], str] = lambda name: name,
) -> nn.Module:
    """A network with the weights of a file, in evaluation mode, on the GPU where there is one.

    Raises:
        OSError, ValueError: as `read_tensors` and `fill`.
    """
    network = build(make)
    fill(network, read_tensors(path), path, skipped, rename)
    return network.eval().requires_grad_(False).to(default_device())


def default_device() -> str:
    """The GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_of(network: nn.Module) -> torch.device:
    """Where its weights are."""
    return next(network.parameters()).device


@torch.inference_mode()
def run_batches(
    function: Callable[[torch.Tensor], torch.Tensor],
    inputs: Sequence[np.ndarray],
    device: torch.device,
    batch_size: int,
) -> np.ndarray:
    """Results `(n, ...)` in the order given; inputs of one shape share a batch."""
    found: list[np.ndarray | None] = [None] * len(inputs)
    shapes: dict[tuple[int, ...], list[int]] = {}
    for row, value in enumerate(inputs):
        shapes.setdefault(value.shape, []).append(row)
    for rows in shapes.values():
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            batch = torch.from_numpy(np.stack([inputs[row] for row in part])).float().to(device)
            for row, value in zip(part, function(batch).float().cpu().numpy(), strict=True):
                found[row] = value
    return np.stack(found)  # type: ignore[arg-type]


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length one."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def mean_of_parts(embeddings: np.ndarray, owners: Iterable[int]) -> np.ndarray:
    """Unit mean of unit embeddings for each owner 0, 1, …: the rule for placements where a system takes one sensor."""
    owners = np.fromiter(owners, dtype=int)
    sums = np.zeros((owners.max() + 1, embeddings.shape[1]))
    np.add.at(sums, owners, unit(embeddings))
    return unit(sums)
