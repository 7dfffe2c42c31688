"""Strict loading of checkpoints: no tensor is ever left at random or dropped in silence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from safetensors import SafetensorError


@contextmanager
def loading(name) -> Iterator[None]:
    """A block that loads a part of a checkpoint: damaged files end in one sentence that names the folder and the mend.

    Args:
        name: the folder or the repository's name, which sentences begin with unless they say it.

    Raises:
        ValueError: what a part refuses, or what a library made of a damaged file.
        OSError: a file that is missing or cannot be read.
    """
    mend = "fetch or save it again"
    try:
        yield
    except (ImportError, MemoryError):
        raise
    except OSError as error:
        # of a repository, the Hub's client knows best what is wrong
        if str(name) in str(error) and ";" in str(error) or not os.path.isdir(name):
            raise
        raise OSError(f"{name}: {error}; {mend}") from error
    except ValueError as error:
        if str(name) in str(error) and ";" in str(error):
            raise
        raise ValueError(f"{name}: {error}; {mend}") from error
    except BaseException as error:  # tokenizers, safetensors and configurations end in a dozen ways
        if (
            not isinstance(error, Exception) and type(error).__name__ != "PanicException"
        ):  # Rust's, which is no Exception
            raise
        if isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
            raise ValueError(
                f"{name}: {error}; is the argument's name right? If it is not yours, the files are damaged: {mend}"
            ) from error
        raise ValueError(f"{name}: its files do not fit each other or are damaged ({error!r}); {mend}") from error


class StrictLoadingMixin:
    """Goes before `PreTrainedModel` in the list of bases; its `from_pretrained` refuses what does not fit.

    `_optional_parts` names modules by their prefix, such as "classifier.". A checkpoint may lack all tensors of such a
    part, which then starts untrained, or may hold the part where the model has none. Half a part is refused.

    Attributes:
        untrained_parts: the optional parts that a checkpoint lacked. A model that is put in training mode learns them, so it
            forgets them then.
    """

    _optional_parts: tuple[str, ...] = ()
    untrained_parts: tuple[str, ...] = ()

    def train(self, mode: bool = True):
        """As `torch.nn.Module.train`."""
        if mode:
            self.untrained_parts = ()
        return super().train(mode)  # type: ignore[misc]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, output_loading_info: bool = False, **kwargs):
        """As `PreTrainedModel.from_pretrained`, but a checkpoint with missing or extra tensors is refused.

        With `output_loading_info=True` it is not: who asks for the lists of tensors judges them.

        Raises:
            OSError: the weight file is missing, cut short or not safetensors.
            ValueError: tensors are missing or unexpected.
        """
        with loading(pretrained_model_name_or_path):
            try:
                model, info = super().from_pretrained(  # type: ignore[misc]
                    pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs
                )
            except SafetensorError as error:
                raise OSError(
                    f"the weight file in {pretrained_model_name_or_path} is damaged ({error}); fetch or save it again"
                ) from error
        model.untrained_parts = tuple(
            part for part in cls._optional_parts if any(name.startswith(part) for name in info["missing_keys"])
        )
        if output_loading_info:
            return model, info
        cls.refuse_misfits(model, info, pretrained_model_name_or_path)
        return model

    @classmethod
    def refuse_misfits(cls, model, info: dict, name) -> None:
        """ValueError for what `from_pretrained` of the checkpoint `name` found missing or unexpected."""
        missing, unexpected = misfits(
            model.state_dict(), info["missing_keys"], info["unexpected_keys"], cls._optional_parts
        )
        for kind, keys in (("missing", missing), ("unexpected", unexpected)):
            if keys:
                raise ValueError(
                    f"{name}: {len(keys)} {kind} keys, the first is {keys[0]!r}; the "
                    "checkpoint does not fit its config.json, use the files that were saved together"
                )


def misfits(
    own: Iterable[str], missing: Iterable[str], unexpected: Iterable[str], optional_parts: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """Missing and unexpected tensors that `optional_parts` do not excuse, sorted; `own` are the model's."""
    own, missing, unexpected = set(own), set(missing), set(unexpected)
    for part in optional_parts:
        whole = {name for name in own if name.startswith(part)}
        extra = {name for name in unexpected if name.startswith(part)}
        if not whole:
            unexpected -= extra
        elif whole <= missing and not extra:
            missing -= whole
    return sorted(missing), sorted(unexpected)
