"""The compact model's encoder on a trunk that has learnt from ImageNet, with attention on top and a way back down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from napari_sam.model.compact.encoder import GlobalBlock
from napari_sam.model.compact.layers import ChannelNorm, ResidualBlock, ResidualUnit, Upsample
from napari_sam.model.encoders.efficientnet import EfficientNetLite, tapped_channels

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam.progress import Progress

_TO_TRUNK = 0.5  # pixels are about -2 ... 2, the trunk has learnt from about -1 ... 1


class BackboneEncoder(nn.Module):
    """The image encoder: an EfficientNet-Lite, global attention at stride 16, and a way back down to stride 4.

    Parameters
    ----------
    name : str
        One of `napari_sam.model.encoders.efficientnet.SCALINGS`.
    width : int
        Channels of the attention.
    attention_blocks, attention_heads : int
        Transformer blocks at stride 16.
    decoder_widths : (int, int, int)
        Channels at strides 4, 8, 16 of the result.
    refining_blocks : int
        Residual blocks at the end of strides 8 and 4, twice as wide inside.
    """

    def __init__(
        self,
        name: str,
        width: int,
        attention_blocks: int,
        attention_heads: int,
        decoder_widths: tuple[int, int, int],
        refining_blocks: int = 0,
    ) -> None:
        super().__init__()
        # The trunk's own widths: a checkpoint of it fixes them.
        in2, in4, in8, in16, in32 = tapped_channels(name)
        out4, out8, out16 = decoder_widths
        self.trunk = EfficientNetLite(name)
        self.up16 = Upsample(in32, width)
        self.lateral16 = nn.Conv2d(in16, width, 1)
        self.context = nn.ModuleList(GlobalBlock(width, attention_heads) for _ in range(attention_blocks))
        self.out16 = nn.Sequential(ChannelNorm(width), nn.Conv2d(width, out16, 1))
        self.lateral8 = nn.Sequential(ChannelNorm(in8), nn.Conv2d(in8, out8, 1))
        # Borders are finer than stride 4: the four positions of stride 2 under each cell come along as channels.
        self.lateral4 = nn.Sequential(ChannelNorm(in4 + 4 * in2), nn.Conv2d(in4 + 4 * in2, out4, 1))
        self.up8, self.up4 = Upsample(out16, out8), Upsample(out8, out4)
        self.out8, self.out4 = ResidualUnit(out8), ResidualUnit(out4)
        self.refine8, self.refine4 = (
            nn.Sequential(*(ResidualBlock(channels, 2 * channels) for _ in range(refining_blocks)))
            for channels in (out8, out4)
        )

    def forward(self, pixels: Tensor, progress: Progress) -> tuple[Tensor, Tensor, Tensor]:
        """Turn (B, 3, H, W) into features at strides 4, 8 and 16; H and W are multiples of 16."""
        x2, x4, x8, x16, x32 = self.trunk(_TO_TRUNK * pixels)
        progress(0.5)
        # An odd number of rows at stride 16 was rounded up at stride 32.
        x16 = self.lateral16(x16) + self.up16(x32)[:, :, : x16.shape[2], : x16.shape[3]]
        for index, block in enumerate(self.context):
            x16 = block(x16)
            progress(0.5 + 0.3 * (index + 1) / len(self.context))
        f16 = self.out16(x16)
        f8 = self.refine8(self.out8(self.lateral8(x8) + self.up8(f16)))
        progress(0.9)
        f4 = self.refine4(self.out4(self.lateral4(torch.cat((x4, F.pixel_unshuffle(x2, 2)), 1)) + self.up4(f8)))
        progress(1.0)
        return f4, f8, f16
