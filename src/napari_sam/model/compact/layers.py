"""Building blocks of the compact model's encoder and decoder.

Plain 3 x 3 convolutions carry most of the work, because on two CPU cores they are the fastest way to spend a
multiplication; normalisation is over the channels of each position, never over space, so that an answer in a window of
a plane does not hang on what lies far outside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

STRIDE = 4
"""Model pixels per cell of the finest features, and of the logits."""

COARSEST = 16
"""Model pixels per cell of the coarsest features; canvases and windows are multiples of it."""

HEADS = 4
"""Kinds of likeness that the similarity features tell apart."""


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of a (B, C, h, w) map."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each position."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def conv3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """Make a 3 x 3 convolution that keeps the size, or divides it by `stride`."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around a GELU, added to their input; `hidden` channels between them, else as many."""

    def __init__(self, channels: int, hidden: int | None = None) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.conv1 = conv3(channels, hidden or channels)
        self.conv2 = conv3(hidden or channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return cast("Tensor", x + self.conv2(F.gelu(self.conv1(self.norm(x)))))


class ResidualUnit(nn.Module):
    """One 3 x 3 convolution after a GELU, added to its input: the decoder's block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.conv = conv3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return cast("Tensor", x + self.conv(F.gelu(self.norm(x))))


class Attention(nn.Module):
    """Multi-head attention of queries (B, Q, C) to keys and values (B, K, C)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend; `mask` (B, K) is True where a key counts."""
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, query), (self.key, key), (self.value, value))
        )
        allowed = None if mask is None else mask[:, None, None, :]
        if q.is_cpu and q.dtype == torch.bfloat16:
            # The fused kernel's way back is six times slower in bfloat16 than in float32 on a processor.
            with torch.autocast("cpu", enabled=False):
                answer = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=allowed)
        else:
            answer = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return cast("Tensor", self.out(answer.transpose(1, 2).flatten(2)))


class Mlp(nn.Sequential):
    """Two linear layers around a GELU."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))


class Upsample(nn.Module):
    """Project to `outputs` channels and double the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, inputs, h, w) to (B, outputs, 2h, 2w)."""
        return F.interpolate(self.project(x), scale_factor=2, mode="bilinear", align_corners=False)
