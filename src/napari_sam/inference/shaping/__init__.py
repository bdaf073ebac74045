"""What becomes of a candidate before it is accepted: clean-up and limits, the same for whoever asks."""

from napari_sam.inference.shaping.exclusion import LabelExclusion
from napari_sam.inference.shaping.settings import UNSHAPED, USUAL, MaskShaping
from napari_sam.inference.shaping.shape import MaskChange, shape_mask

__all__ = ["UNSHAPED", "USUAL", "LabelExclusion", "MaskChange", "MaskShaping", "shape_mask"]
