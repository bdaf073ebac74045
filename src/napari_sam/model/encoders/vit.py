"""The image encoder of SAM: a vision transformer with windows, ViT-B, L or H.

Kirillov et al., Segment Anything, arXiv 2304.02643, appendix A; the backbone is that of Li et al., arXiv 2203.16527.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_sam.model.encoders.layers import FeedForward, neck
from napari_sam.model.encoders.products import Linear
from napari_sam.model.encoders.relative_attention import attend
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from napari_sam.progress import Progress

_WIDEST_IN_FLOAT16 = 1024  # channels: those of ViT-L


@dataclass(frozen=True, slots=True)
class ViTConfig:
    """Shape of a vision transformer. The defaults are ViT-B's."""

    width: int = 768  # channels of a token
    depth: int = 12  # number of blocks
    heads: int = 12  # attention heads in a block
    global_blocks: tuple[int, ...] = (
        2,
        5,
        8,
        11,
    )  # blocks that attend over the whole image; the others stay in windows
    mlp_width: int = 3072  # hidden channels of a block's feed-forward layer
    window: int = 14  # side of an attention window, in tokens
    patch: int = 16  # side of the square of pixels that makes a token

    @property
    def early_width(self) -> int:
        """Channels of the early features that SAM-HQ reads."""
        return self.width

    @property
    def fits_float16(self) -> bool:
        """Whether all that it computes stays within what float16 holds, 65504; ViT-H's does not."""
        return self.width <= _WIDEST_IN_FLOAT16


class ImageEncoder(nn.Module):
    """Turn an image into an embedding, one vector for each patch.

    Parameters
    ----------
    config : ViTConfig
        Width, depth and so on.
    side : int
        Side of the square input, in pixels.
    channels : int
        Channels of the embedding.
    """

    def __init__(self, config: ViTConfig, side: int, channels: int) -> None:
        super().__init__()
        grid = side // config.patch
        self.patch_embed = PatchEmbed(config.width, config.patch)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, config.width))
        self.blocks = nn.ModuleList(
            Block(config, window=grid if index in config.global_blocks else config.window)
            for index in range(config.depth)
        )
        self.neck = neck(config.width, channels)
        self.early_block = min(config.global_blocks)
        self.depth = config.depth

    def forward(self, pixels: Tensor, progress: Progress = no_progress) -> tuple[Tensor, Tensor]:
        """Encode one image.

        Parameters
        ----------
        pixels : Tensor, shape (B, 3, side, side)
            Normalised pixels.
        progress : Progress
            Called after each block; what it raises passes through.

        Returns
        -------
        embedding : Tensor, shape (B, channels, g, g)
            With ``g = side // patch``.
        early : Tensor, shape (B, width, g, g)
            Features after the first global block, which SAM-HQ reads its fine detail from.
        """
        return self.finish(*self.begin(pixels, self.depth, progress), self.depth)

    def begin(self, pixels: Tensor, count: int, progress: Progress = no_progress) -> tuple[Tensor, Tensor]:
        """Run the first `count` blocks on (B, 3, side, side); return what `finish` goes on with."""
        tokens = self.patch_embed(pixels) + self.pos_embed
        return self._run(tokens, tokens, range(count), progress)

    def finish(self, tokens: Tensor, early: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Run the blocks after the first `count`, and the neck, on what `begin` gave; return what `forward` does."""
        tokens, early = self._run(tokens, early, range(count, self.depth))
        return self.neck(tokens.permute(0, 3, 1, 2)), early.permute(0, 3, 1, 2)

    def after(self, count: int) -> list[nn.Module]:
        """List the modules that `finish` runs."""
        return [*self.blocks[count:], self.neck]

    def _run(
        self, tokens: Tensor, early: Tensor, places: range, progress: Progress = no_progress
    ) -> tuple[Tensor, Tensor]:
        for index in places:
            tokens = self.blocks[index](tokens)
            if index == self.early_block:
                early = tokens
            progress((index + 1) / self.depth)
        return tokens, early


class PatchEmbed(nn.Module):
    """Map each square of pixels to a token."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=patch, stride=patch)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (B, 3, side, side) to (B, g, g, width)."""
        tokens: Tensor = self.proj(pixels).permute(0, 2, 3, 1)
        return tokens


class Block(nn.Module):
    """A transformer block: attention within windows, then a feed-forward layer, each added to its input.

    Parameters
    ----------
    config : ViTConfig
        Width, heads and so on.
    window : int
        Side of an attention window, in tokens: the whole grid in a global block.
    """

    def __init__(self, config: ViTConfig, window: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=1e-6)
        self.attn = Attention(config.width, config.heads, window)
        self.norm2 = nn.LayerNorm(config.width, eps=1e-6)
        self.mlp = FeedForward(config.width, config.mlp_width, nn.GELU)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, g, g, width) to the same shape."""
        tokens = tokens + self.attn(self.norm1(tokens))
        result: Tensor = tokens + self.mlp(self.norm2(tokens))
        return result


class Attention(nn.Module):
    """Multi-head attention within windows, with decomposed relative positions.

    Parameters
    ----------
    width : int
        Channels of a token.
    heads : int
        Attention heads; they share `width` equally.
    window : int
        Side of a window, in tokens.
    """

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * window - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * window - 1, width // heads))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map normalised tokens, (B, g, g, width), to the same shape.

        The published models pad the normalised tokens with zeros and project the padding too. A zero token's
        projection is the bias, so padding after the projection, with the bias, gives the same and costs less.
        """
        split = (3, self.heads, -1)
        qkv = torch.unflatten(self.qkv(tokens), -1, split)
        out = attend(qkv, torch.unflatten(self.qkv.bias, 0, split), self.rel_pos_h, self.rel_pos_w, self.window)
        result: Tensor = self.proj(out)
        return result
