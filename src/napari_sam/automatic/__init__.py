"""Segment everything: objects that nobody pointed at."""

from __future__ import annotations

from napari_sam.automatic.everything import find_proposals, segment_everything
from napari_sam.automatic.proposals import Proposal, ProposalFilter, ProposalTable
from napari_sam.automatic.settings import QUICK, DenseSettings, GridSettings, dense_settings_for, grid_settings_for

__all__ = [
    "QUICK",
    "DenseSettings",
    "GridSettings",
    "Proposal",
    "ProposalFilter",
    "ProposalTable",
    "dense_settings_for",
    "find_proposals",
    "grid_settings_for",
    "segment_everything",
]
