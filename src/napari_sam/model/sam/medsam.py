"""MedSAM and LiteMedSAM: for boxes on medical images, each with its own pre- and postprocessing.

Ma et al., Segment anything in medical images, Nature Communications 15, 654 (2024), and the authors' inference scripts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from napari_sam.geometry import stretched_frame
from napari_sam.model.sam.sam import Sam

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sam.geometry import Frame
    from napari_sam.model.protocol import PromptKind


class MedSam(Sam):
    """A SAM that reads planes stretched over the whole canvas, from 0 to 1, and answers boxes only."""

    prompt_kinds: frozenset[PromptKind] = frozenset({"box"})

    def frame(self, plane: tuple[int, int], spacing: tuple[float, float] = (1.0, 1.0)) -> Frame:
        """Stretch a plane of (H, W) data pixels over the canvas; a spacing cannot change that."""
        return stretched_frame(plane, self.config.side)

    def preprocess(self, image: NDArray[np.uint8], frame: Frame) -> Tensor:
        """Resample an (H, W, 3) uint8 image and stretch its values from 0 to 1: (1, 3, side, side) float32."""
        from skimage.transform import resize  # slow to import, and needed here only

        resized = resize(image, frame.content, order=3, preserve_range=True, anti_aliasing=True)  # type: ignore[no-untyped-call]
        # Whole numbers, because the authors cut to uint8 here.
        pixels = torch.from_numpy(resized.astype(np.uint8)).to(self.device).permute(2, 0, 1)[None].float()
        low, high = pixels.amin(), pixels.amax()
        return (pixels - low) / (high - low).clamp(min=1e-8)

    def upscale(self, logits: Tensor, frame: Frame) -> Tensor:
        """Bring (B, n, h, w) logits to the plane's (B, n, H, W).

        The authors interpolate probabilities, in one step; so does this, and turns them back into logits, so that
        positive still means inside.
        """
        inside = F.interpolate(logits.sigmoid(), frame.plane, mode="bilinear", align_corners=False)
        return inside.logit(eps=1e-6)

    def masks(self, logits: Tensor, frame: Frame, threshold: float) -> Tensor:
        """Tell where `upscale` of the logits is greater than the threshold: (B, n, H, W) bool."""
        return self.upscale(logits, frame) > threshold


class LiteMedSam(Sam):
    """A small SAM for boxes, whose planes have 256 pixels along the longer side, with values from 0 to 1."""

    prompt_kinds: frozenset[PromptKind] = frozenset({"box"})

    def preprocess(self, image: NDArray[np.uint8], frame: Frame) -> Tensor:
        """Resample an (H, W, 3) uint8 image, stretch its values from 0 to 1, and pad: (1, 3, side, side) float32."""
        height, width = frame.content
        # The authors shrink by averages over areas, and enlarge by interpolation.
        method = Image.Resampling.BOX if max(frame.plane) > max(frame.content) else Image.Resampling.BILINEAR
        resized = np.array(Image.fromarray(image).resize((width, height), method))
        pixels = torch.from_numpy(resized).to(self.device).permute(2, 0, 1)[None].float()
        low, high = pixels.amin(), pixels.amax()
        # Padding comes after stretching: it is as dark as the darkest pixel.
        stretched = (pixels - low) / (high - low).clamp(min=1e-8)
        return F.pad(stretched, (0, frame.canvas[1] - width, 0, frame.canvas[0] - height))
