"""Segment everything: objects that nobody pointed at."""

from __future__ import annotations

from napari_sam.automatic.candidates import Candidate, CandidateFilter, CandidateTable
from napari_sam.automatic.dense import find_candidates, segment_everything
from napari_sam.automatic.settings import QUICK, DenseSettings

__all__ = [
    "QUICK",
    "Candidate",
    "CandidateFilter",
    "CandidateTable",
    "DenseSettings",
    "find_candidates",
    "segment_everything",
]
