"""Segment Anything: an image encoder run once for a plane, a prompt encoder and a mask decoder run for each answer.

Kirillov et al., Segment Anything, arXiv 2304.02643. With the same weights the numbers are those of the authors' code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from napari_sam.geometry import longest_side_frame
from napari_sam.model.encoders.tiny_vit import TinyViT, TinyViTConfig
from napari_sam.model.encoders.vit import ImageEncoder, ViTConfig
from napari_sam.model.precision import computing_in, encoder_dtype
from napari_sam.model.sam.hq_decoder import HQMaskDecoder
from napari_sam.model.sam.mask_decoder import MaskDecoder
from napari_sam.model.sam.mask_upscaling import masks_of, upscaled
from napari_sam.model.sam.prompt_encoder import PromptEncoder
from napari_sam.model.text_projection import TextProjection
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.geometry import Frame
    from napari_sam.model.protocol import Decoded, Features, PromptKind, PromptTensors
    from napari_sam.model.text_projection import ClipSpace
    from napari_sam.progress import Progress


@dataclass(frozen=True, slots=True)
class SamConfig:
    """Shape of a SAM. The defaults are those of the published ViT-B."""

    encoder: ViTConfig | TinyViTConfig = field(default_factory=ViTConfig)  # which image encoder, and its shape
    side: int = 1024  # side of the square canvas, in model pixels
    channels: int = 256  # channels of the image embedding and of every prompt token
    high_quality: bool = False  # SAM-HQ: a decoder that refines masks with early features
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)  # of red, green, blue, on 0 to 255
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)

    @property
    def grid(self) -> int:
        """Side of the image embedding, in cells."""
        return self.side // self.encoder.patch


VIT_B = SamConfig()
VIT_L = SamConfig(ViTConfig(width=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23), mlp_width=4096))
VIT_H = SamConfig(ViTConfig(width=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31), mlp_width=5120))
MOBILE = SamConfig(TinyViTConfig())
LITE_MEDSAM = SamConfig(TinyViTConfig(strided_stem=False), side=256)


class Sam(nn.Module):
    """A `napari_sam.model.protocol.PromptableModel` with the parts of Segment Anything.

    Parameters
    ----------
    config : SamConfig
        Shape of the parts. Parameter names are those of the published checkpoints.
    """

    prompt_kinds: frozenset[PromptKind] = frozenset({"point", "box", "mask"})

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        self.config = config
        self.image_encoder: ImageEncoder | TinyViT
        match config.encoder:
            case ViTConfig():
                self.image_encoder = ImageEncoder(config.encoder, config.side, config.channels)
            case TinyViTConfig():
                self.image_encoder = TinyViT(config.encoder, config.channels)
        self.prompt_encoder = PromptEncoder(config.channels, config.grid, config.side)
        self.mask_decoder = (
            HQMaskDecoder(config.channels, config.encoder.early_width)
            if config.high_quality
            else MaskDecoder(config.channels)
        )

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return self.prompt_encoder.no_mask_embed.weight.device

    @property
    def encoder_dtype(self) -> torch.dtype:
        """What the image encoder computes in on this device; see `napari_sam.model.precision`."""
        return encoder_dtype(self.device, fits_float16=self.config.encoder.fits_float16)

    @property
    def text_space(self) -> ClipSpace | None:
        """The CLIP model whose embeddings it takes as words; None where it takes none."""
        projection = self.prompt_encoder.text_projection
        return None if projection is None else projection.space

    def take_words(self, space: ClipSpace) -> None:
        """Add a projection of a CLIP model's embeddings, with random weights."""
        self.prompt_encoder.text_projection = TextProjection(space, self.config.channels).to(self.device)
        self.prompt_kinds = self.prompt_kinds | {"text"}

    def frame(self, plane: tuple[int, int], spacing: tuple[float, float] = (1.0, 1.0)) -> Frame:
        """Fit a plane of (H, W) data pixels on the canvas, its longest side filling it."""
        return longest_side_frame(plane, self.config.side, spacing)

    def preprocess(self, image: NDArray[np.uint8], frame: Frame) -> Tensor:
        """Resample, normalise and pad an (H, W, 3) uint8 image to (1, 3, side, side) float32.

        The resampling is Pillow's bilinear one, with antialiasing, on uint8: what the weights were trained with.
        """
        height, width = frame.content
        resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(resized)).to(self.device).permute(2, 0, 1)[None].float()
        mean, std = (
            torch.tensor(values, device=self.device)[:, None, None]
            for values in (self.config.pixel_mean, self.config.pixel_std)
        )
        # Padding comes after normalising, so that it is the mean colour.
        return F.pad((pixels - mean) / std, (0, frame.canvas[1] - width, 0, frame.canvas[0] - height))

    def encode(self, pixels: Tensor, progress: Progress = no_progress) -> Features:
        """Run the image encoder on (1, 3, side, side); `progress` is called after each block.

        Returns
        -------
        tuple of Tensor, float32
            The embedding, (1, channels, grid, grid); with `SamConfig.high_quality` also its detail, (1, channels / 8,
            4 grid, 4 grid).
        """
        with computing_in(self.encoder_dtype, self.device):
            embedding, early = self.image_encoder(pixels, progress)
        return self.mask_decoder.prepare(embedding.float(), early.float())

    def object_map(self, features: Features) -> Tensor:
        """Give the embedding, (channels, grid, grid)."""
        return features[0][0]

    def logits_shape(self, frame: Frame) -> tuple[int, int]:
        """(h, w) of low-resolution logits: four for each cell, along each axis."""
        return 4 * self.config.grid, 4 * self.config.grid

    def decode(self, features: Features, prompts: PromptTensors, frame: Frame, *, multimask: bool) -> Decoded:
        """Answer B sets of prompts: logits (B, 3 or 1, 4 grid, 4 grid) and predicted IoU (B, 3 or 1)."""
        sparse, dense = self.prompt_encoder(prompts)
        positions = self.prompt_encoder.dense_positions()
        decoded: Decoded = self.mask_decoder(features, positions, sparse, dense, multimask=multimask)
        return decoded

    def decode_every(self, features: Features, prompts: PromptTensors) -> Decoded:
        """Answer B sets of prompts with all masks: logits (B, 4, 4 grid, 4 grid), the one and then the candidates."""
        sparse, dense = self.prompt_encoder(prompts)
        return self.mask_decoder.every(features, self.prompt_encoder.dense_positions(), sparse, dense)

    def decode_better(
        self, features: Features, prompts: PromptTensors, frame: Frame, least: float
    ) -> tuple[Tensor, Tensor]:
        """Answer as `decode` does with three candidates, but draw those alone that score more than `least`.

        Returns
        -------
        logits : Tensor, shape (k, 4 grid, 4 grid)
        scores : Tensor, shape (B, 3)
            Of all candidates.
        """
        sparse, dense = self.prompt_encoder(prompts)
        return self.mask_decoder.better(least, features, self.prompt_encoder.dense_positions(), sparse, dense)

    def upscale(self, logits: Tensor, frame: Frame) -> Tensor:
        """Bring (B, n, h, w) logits to the plane's (B, n, H, W)."""
        return upscaled(logits, frame)

    def masks(self, logits: Tensor, frame: Frame, threshold: float) -> Tensor:
        """Tell where `upscale` of the logits would be greater than the threshold: (B, n, H, W) bool."""
        return masks_of(logits, frame, threshold)
