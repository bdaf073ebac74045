"""Layers that the parts of SAM share.

Parameter names are those of the published checkpoints, here and in the modules that use these layers.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam.model.encoders.products import Linear

_TOKENS_AT_ONCE = 1024
"""Tokens that go through a feed-forward layer at a time on a CPU: its hidden layer then reuses warm memory."""


def in_parts(tokens: Tensor) -> tuple[Tensor, ...]:
    """Split (n, width) into as many tokens as a processor should work on at a time; on CUDA into one part."""
    return (tokens,) if tokens.is_cuda else torch.split(tokens, _TOKENS_AT_ONCE)


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of an image, (B, C, H, W).

    Parameters
    ----------
    channels : int
        C.
    eps : float
        Added to the variance.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__(channels, eps=eps)

    def forward(self, image: Tensor) -> Tensor:
        """Normalise (B, C, H, W) over C; without a copy where the memory format is channels-last."""
        return super().forward(image.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class FeedForward(nn.Module):
    """Two linear layers with an activation between them, applied to each token.

    Parameters
    ----------
    width : int
        Channels of a token.
    hidden : int
        Channels between the two layers.
    activation : type of nn.Module
        GELU in the image encoder, ReLU in the mask decoder.
    """

    def __init__(self, width: int, hidden: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.lin1 = Linear(width, hidden)
        self.act = activation()
        self.lin2 = Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (..., width) to (..., width)."""
        flat = tokens.flatten(0, -2)
        return torch.cat([self.lin2(self.act(self.lin1(part))) for part in in_parts(flat)]).view(tokens.shape)


class Perceptron(nn.Module):
    """Linear layers with ReLU between them: the heads of the mask decoder.

    Parameters
    ----------
    *widths : int
        Channels before, between and after the layers.
    """

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., widths[0]) to (..., widths[-1])."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        result: Tensor = self.layers[-1](x)
        return result


def neck(width: int, channels: int) -> nn.Sequential:
    """Build what ends both image encoders: (B, width, g, g) to the embedding, (B, channels, g, g)."""
    return nn.Sequential(
        nn.Conv2d(width, channels, kernel_size=1, bias=False),
        LayerNorm2d(channels),
        nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
        LayerNorm2d(channels),
    )


def to_windows(grid: Tensor, size: int, fill: Tensor | None = None) -> Tensor:
    """Cut a grid of tokens into windows, row by row.

    Parameters
    ----------
    grid : Tensor, shape (B, H, W, C)
        Tokens.
    size : int
        Side of a window; the grid is padded below and to the right to a multiple of it.
    fill : Tensor, shape (C,), or None
        The token that pads; zeros where None.

    Returns
    -------
    Tensor, shape (B * windows, size, size, C)
    """
    batch, height, width, channels = grid.shape
    down, across = -(-height // size), -(-width // size)
    if (down * size, across * size) != (height, width):
        padded = grid.new_zeros(batch, down * size, across * size, channels)
        if fill is not None:
            padded[:] = fill
        padded[:, :height, :width] = grid
        grid = padded
    windows = grid.reshape(batch, down, size, across, size, channels).transpose(2, 3)
    return windows.reshape(-1, size, size, channels)


def from_windows(windows: Tensor, height: int, width: int) -> Tensor:
    """Put windows together again and drop the padding: the inverse of `to_windows`.

    Parameters
    ----------
    windows : Tensor, shape (B * windows, size, size, C)
        What `to_windows` made of a grid of `height` x `width` tokens.
    height, width : int
        The grid's own size.

    Returns
    -------
    Tensor, shape (B, height, width, C)
    """
    size, channels = windows.shape[1], windows.shape[-1]
    down, across = -(-height // size), -(-width // size)
    grid = windows.reshape(-1, down, across, size, size, channels).transpose(2, 3)
    return grid.reshape(-1, down * size, across * size, channels)[:, :height, :width]
