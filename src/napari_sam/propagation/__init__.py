"""Carry an object through a stack, from one or several annotated planes."""

from __future__ import annotations

from napari_sam.propagation.results import Annotated, Ending, PropagationStep, Reason
from napari_sam.propagation.run import WEAK, propagate, weak_planes
from napari_sam.propagation.stop_rules import DEFAULT_RULES, Rules
from napari_sam.propagation.strategies.table import DEFAULT_STRATEGY, STRATEGIES

__all__ = [
    "DEFAULT_RULES",
    "DEFAULT_STRATEGY",
    "STRATEGIES",
    "WEAK",
    "Annotated",
    "Ending",
    "PropagationStep",
    "Reason",
    "Rules",
    "propagate",
    "weak_planes",
]
