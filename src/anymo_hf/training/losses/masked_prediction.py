"""Masked cross-view predictive contrast (paper §3.2, Eq. 3); the formula is in `AnyMoSTGCNForPreTraining.forward`."""

from __future__ import annotations

from ...modeling.modeling_stgcn import AnyMoSTGCNForPreTraining
from . import EncoderObjective

OBJECTIVE = EncoderObjective("masked", AnyMoSTGCNForPreTraining, sparse=True)
