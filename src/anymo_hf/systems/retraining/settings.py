"""YAML settings of a compared system that is trained on our corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...training.losses import text_objectives
from ...training.setting_fields import setting
from ...training.settings import ViewSettings
from ..retrained import retrained_systems


@dataclass
class SystemSettings(ViewSettings):
    """Training of one compared system; windows, texts and steps are those of every other."""

    system: str = setting("unimts_objective", "name of the system", choices=retrained_systems)
    objective: str = setting("contrast", "loss that ties windows to sentence vectors", choices=text_objectives)
    options: dict[str, Any] = setting(factory=dict, doc="arguments of the objective, such as {directions: 1}")
    encoder_options: dict[str, Any] = setting(factory=dict, doc="arguments of the encoder, such as {width: 128}")
    turned: bool = setting(False, "every sensor of a window is turned at random, as UniMTS does")
    everyday_share: float = setting(
        0.35, "share of a batch from everyday activities, as for the nano checkpoint", least=0, most=1
    )
    narration_share: float = setting(
        0.5, "how often a window's text is a narration; else it is a name of its label", least=0, most=1
    )
