"""Which proposals a person would accept, learnt from those that were accepted and rejected before."""

from __future__ import annotations

from napari_sam.automatic.calibration.acceptance import AcceptanceModel
from napari_sam.automatic.calibration.features import FEATURES, measure_features
from napari_sam.automatic.calibration.next_plane import PlaneEvidence, RankedPlane, rank_planes
from napari_sam.automatic.calibration.threshold import PROMISE, Calibration, CalibrationResult, calibrate

__all__ = [
    "FEATURES",
    "PROMISE",
    "AcceptanceModel",
    "Calibration",
    "CalibrationResult",
    "PlaneEvidence",
    "RankedPlane",
    "calibrate",
    "measure_features",
    "rank_planes",
]
