"""Strict loading of checkpoints: no tensor is ever left at random or dropped in silence."""

from __future__ import annotations

from collections.abc import Iterable

from safetensors import SafetensorError


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

        Raises:
            OSError: the weight file is missing, cut short or not safetensors.
            ValueError: tensors are missing or unexpected.
        """
        try:
            model, info = super().from_pretrained(  # type: ignore[misc]
                pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs
            )
        except SafetensorError as error:
            raise OSError(
                f"the weight file in {pretrained_model_name_or_path} is damaged ({error}); fetch or save it again"
            ) from error
        missing, unexpected = misfits(
            model.state_dict(), info["missing_keys"], info["unexpected_keys"], cls._optional_parts
        )
        for kind, names in (("missing", missing), ("unexpected", unexpected)):
            if names:
                raise ValueError(
                    f"{pretrained_model_name_or_path}: {len(names)} {kind} keys, the first is {names[0]!r}; the "
                    "checkpoint does not fit its config.json, use the files that were saved together"
                )
        model.untrained_parts = tuple(
            part for part in cls._optional_parts if any(name.startswith(part) for name in info["missing_keys"])
        )
        return (model, info) if output_loading_info else model


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
