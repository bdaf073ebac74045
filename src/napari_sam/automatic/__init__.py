"""Segment everything: objects that nobody pointed at."""

from __future__ import annotations

from napari_sam.automatic.dense import find_proposals, segment_everything
from napari_sam.automatic.proposals import Proposal, ProposalFilter, ProposalTable
from napari_sam.automatic.settings import QUICK, DenseSettings

__all__ = [
    "QUICK",
    "DenseSettings",
    "Proposal",
    "ProposalFilter",
    "ProposalTable",
    "find_proposals",
    "segment_everything",
]
