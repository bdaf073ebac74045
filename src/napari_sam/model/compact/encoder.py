"""The compact model's image encoder, and the heads that read its finest features."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import nn

from napari_sam.model.compact.layers import (
    HEADS,
    Attention,
    ChannelNorm,
    Mlp,
    ResidualBlock,
    ResidualUnit,
    Upsample,
    conv3,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from napari_sam.progress import Progress

_MOST_KEYS = 1024  # of global attention: as many as a plane of 512 x 512 has; of more, averages are taken
_KEY = 32  # channels of the similarity features, all heads together


class GlobalBlock(nn.Module):
    """A transformer block over a whole map, its positions told by a depthwise convolution so that any size works.

    The positional convolution is that of conditional position encodings (Chu et al. 2021).
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm1 = nn.LayerNorm(channels)
        self.attention = Attention(channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, 2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (B, C, h, w)."""
        x = x + self.position(x)
        shape = x.shape
        tokens: Tensor = x.flatten(2).transpose(1, 2)
        normed = self.norm1(tokens)
        keys = _thinned(normed, shape)
        tokens = tokens + self.attention(normed, keys, keys)
        tokens = tokens + self.mlp(self.norm2(tokens))
        return tokens.transpose(1, 2).reshape(shape)


def _thinned(tokens: Tensor, shape: torch.Size) -> Tensor:
    """Average tokens (B, h w, C) of a (B, C, h, w) map over squares, the smallest that leave few enough.

    So the time of attention grows with the plane's area, not with its square.
    """
    side = math.ceil(math.sqrt(tokens.shape[1] / _MOST_KEYS))
    if side == 1:
        return tokens
    squares = F.avg_pool2d(tokens.transpose(1, 2).reshape(shape), side, ceil_mode=True)
    return squares.flatten(2).transpose(1, 2)


class Encoder(nn.Module):
    """The image encoder: a pyramid at strides 4, 8, 16, global attention on top, and a way back down.

    Parameters
    ----------
    widths : (int, int, int)
        Channels at strides 4, 8, 16 on the way up.
    blocks : (int, int, int)
        Residual blocks at each.
    attention_blocks, attention_heads : int
        Transformer blocks at stride 16.
    decoder_widths : (int, int, int)
        Channels at strides 4, 8, 16 of the result.
    """

    def __init__(
        self,
        widths: tuple[int, int, int],
        blocks: tuple[int, int, int],
        attention_blocks: int,
        attention_heads: int,
        decoder_widths: tuple[int, int, int],
    ) -> None:
        super().__init__()
        fine, middle, coarse = widths
        out4, out8, out16 = decoder_widths
        self.stem = nn.Sequential(conv3(3, fine // 2, 2), nn.GELU(), conv3(fine // 2, fine, 2))
        self.stage4 = nn.Sequential(*(ResidualBlock(fine) for _ in range(blocks[0])))
        self.down8 = nn.Sequential(ChannelNorm(fine), conv3(fine, middle, 2))
        self.stage8 = nn.Sequential(*(ResidualBlock(middle) for _ in range(blocks[1])))
        self.down16 = nn.Sequential(ChannelNorm(middle), conv3(middle, coarse, 2))
        self.stage16 = nn.Sequential(*(ResidualBlock(coarse) for _ in range(blocks[2])))
        self.context = nn.ModuleList(GlobalBlock(coarse, attention_heads) for _ in range(attention_blocks))
        self.out16 = nn.Sequential(ChannelNorm(coarse), nn.Conv2d(coarse, out16, 1))
        self.lateral8 = nn.Sequential(ChannelNorm(middle), nn.Conv2d(middle, out8, 1))
        self.lateral4 = nn.Sequential(ChannelNorm(fine), nn.Conv2d(fine, out4, 1))
        self.up8, self.up4 = Upsample(out16, out8), Upsample(out8, out4)
        self.out8, self.out4 = ResidualUnit(out8), ResidualUnit(out4)

    def forward(self, pixels: Tensor, progress: Progress) -> tuple[Tensor, Tensor, Tensor]:
        """Turn (B, 3, H, W) into features at strides 4, 8 and 16; H and W are multiples of 16."""
        steps = 4 + len(self.context)
        x4 = self.stage4(self.stem(pixels))
        progress(1 / steps)
        x8 = self.stage8(self.down8(x4))
        progress(2 / steps)
        x16 = self.stage16(self.down16(x8))
        progress(3 / steps)
        for index, block in enumerate(self.context):
            x16 = block(x16)
            progress((4 + index) / steps)
        f16 = self.out16(x16)
        f8 = self.out8(self.lateral8(x8) + self.up8(f16))
        f4 = self.out4(self.lateral4(x4) + self.up4(f8))
        progress(1.0)
        return f4, f8, f16


class SimilarityHead(nn.Sequential):
    """Features whose cosine says which positions are of one kind: (B, HEADS, channels, h, w), unit length."""

    def __init__(self, channels: int) -> None:
        super().__init__(ChannelNorm(channels), nn.Conv2d(channels, _KEY, 1))

    def forward(self, input: Tensor) -> Tensor:
        """Give one unit vector for each head and position."""
        keys: Tensor = super().forward(input)  # type: ignore[no-untyped-call]
        batch, _, height, width = keys.shape
        return F.normalize(keys.float().reshape(batch, HEADS, -1, height, width), dim=2)


class DenseHead(nn.Sequential):
    """Logits of foreground, distance to the object's centre, and distance to its border: (B, 3, h, w) at stride 4.

    The three targets are those of micro-sam's instance decoder (Archit et al. 2025); `training.data.dense_targets`
    defines them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(ResidualUnit(channels), ChannelNorm(channels), nn.GELU(), nn.Conv2d(channels, 3, 1))
