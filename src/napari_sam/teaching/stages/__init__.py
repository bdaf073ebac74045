"""How far a data set is, and what comes of it at the end: a folder of images with masks, and a card."""

from napari_sam.teaching.stages.progress import AnnotationProgress
from napari_sam.teaching.stages.state import ProgressState

__all__ = ["AnnotationProgress", "ProgressState"]
