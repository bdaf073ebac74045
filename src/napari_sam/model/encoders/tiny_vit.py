"""The image encoder of MobileSAM: TinyViT, convolutions first, then attention in windows.

Wu et al., TinyViT, arXiv 2207.10666; as changed by Zhang et al., MobileSAM, arXiv 2306.14289: the last reduction
keeps the resolution, and SAM's neck replaces the classifier. Images and tokens are the same memory throughout: (B, C,
H, W) in the channels-last format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_sam.model.encoders.layers import from_windows, in_parts, neck, to_windows
from napari_sam.model.encoders.products import Linear
from napari_sam.model.encoders.row_strips import in_row_strips
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from napari_sam.progress import Progress


@dataclass(frozen=True, slots=True)
class TinyViTConfig:
    """Shape of a TinyViT: four stages, the first of convolutions. The defaults are MobileSAM's."""

    widths: tuple[int, ...] = (64, 128, 160, 320)  # channels of each stage
    depths: tuple[int, ...] = (2, 2, 6, 2)  # blocks of each stage
    heads: tuple[int, ...] = (2, 4, 5, 10)  # attention heads; the first stage has no attention
    windows: tuple[int, ...] = (7, 7, 14, 7)  # side of an attention window, in tokens
    expansion: int = 4  # hidden channels of a block over its channels
    strided_stem: bool = True  # whether the first two convolutions halve the image; else they look at single pixels

    @property
    def patch(self) -> int:
        """Pixels of the input for one cell of the embedding, along each axis."""
        return 16 if self.strided_stem else 4

    @property
    def early_width(self) -> int:
        """Channels of the early features that SAM-HQ reads."""
        return self.widths[2]

    @property
    def fits_float16(self) -> bool:
        """Whether all that it computes stays within what float16 holds, 65504."""
        return False


class TinyViT(nn.Module):
    """Turn an image into an embedding, one vector for each `TinyViTConfig.patch` pixels along each axis.

    Parameters
    ----------
    config : TinyViTConfig
        Widths, depths and so on.
    channels : int
        Channels of the embedding.
    """

    def __init__(self, config: TinyViTConfig, channels: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(config.widths[0], strided=config.strided_stem)
        self.layers = nn.ModuleList(Stage(config, index) for index in range(len(config.widths)))
        self.neck = neck(config.widths[-1], channels)
        self.depth = sum(config.depths)

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
        early : Tensor, shape (B, widths[2], g, g)
            Features after the second stage, which SAM-HQ reads its fine detail from.
        """
        return self.finish(*self.begin(pixels, self.depth, progress), self.depth)

    def begin(self, pixels: Tensor, count: int, progress: Progress = no_progress) -> tuple[Tensor, Tensor]:
        """Run the first `count` blocks on (B, 3, side, side); return what `finish` goes on with."""
        image = self.patch_embed(pixels.contiguous(memory_format=torch.channels_last))
        return self._run(image, image, 0, count, progress)

    def finish(self, image: Tensor, early: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Run the blocks after the first `count`, and the neck, on what `begin` gave; return what `forward` does."""
        image, early = self._run(image, early, count, self.depth)
        return self.neck(image), early

    def after(self, count: int) -> list[nn.Module]:
        """List the modules that `finish` runs."""
        return [*(module for _stage, modules in self._blocks()[count:] for module in modules), self.neck]

    def _blocks(self) -> list[tuple[int, list[nn.Module]]]:
        """List the blocks, each with its stage; with the last one of a stage comes the step to the next."""
        found = []
        for index, stage in enumerate(self.layers):
            assert isinstance(stage, Stage)
            *blocks, last = stage.blocks
            found += [(index, [block]) for block in blocks] + [(index, [last, stage.downsample])]
        return found

    def _run(
        self, image: Tensor, early: Tensor, first: int, end: int, progress: Progress = no_progress
    ) -> tuple[Tensor, Tensor]:
        for place, (stage, modules) in enumerate(self._blocks()[first:end], first):
            for module in modules:
                image = module(image)
            if stage == 1 and len(modules) > 1:
                early = image
            progress((place + 1) / self.depth)
        return image, early


class ConvBN(nn.Sequential):
    """A convolution without bias, normalised over the batch; `fuse_batch_norms` makes one convolution of it."""

    def __init__(self, inputs: int, outputs: int, size: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.c = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)


def fuse_batch_norms(module: nn.Module) -> None:
    """Replace every `ConvBN` in `module` by one convolution that computes the same, for inference.

    Parameters
    ----------
    module : nn.Module
        Changed in place; must be in evaluation mode, with its weights loaded.
    """
    for name, child in module.named_children():
        if isinstance(child, ConvBN):
            setattr(module, name, fuse_conv_bn_eval(child.c, child.bn))
        else:
            fuse_batch_norms(child)


class PatchEmbed(nn.Module):
    """Two convolutions: (B, 3, side, side) to (B, width, side / 4, side / 4), or without strides to the same side."""

    def __init__(self, width: int, *, strided: bool = True) -> None:
        super().__init__()
        size, stride = (3, 2) if strided else (1, 1)
        self.seq = nn.Sequential(
            ConvBN(3, width // 2, size, stride), nn.GELU(), ConvBN(width // 2, width, size, stride)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed pixels."""
        image: Tensor = self.seq(pixels)
        return image


class Stage(nn.Module):
    """Blocks at one resolution, and the step to the next stage.

    Parameters
    ----------
    config : TinyViTConfig
        Widths, depths and so on.
    index : int
        Which stage.
    """

    def __init__(self, config: TinyViTConfig, index: int) -> None:
        super().__init__()
        width, heads, window = config.widths[index], config.heads[index], config.windows[index]
        last = index == len(config.widths) - 1
        self.blocks = nn.ModuleList(
            ConvBlock(width, config.expansion) if index == 0 else Block(width, heads, window, config.expansion)
            for _ in range(config.depths[index])
        )
        # MobileSAM's third step, to the last stage, keeps the resolution: its output is the 64 x 64 grid of SAM.
        stride = 1 if index == len(config.widths) - 2 else 2
        self.downsample = nn.Identity() if last else Merge(width, config.widths[index + 1], stride)


class ConvBlock(nn.Module):
    """The MBConv block of the first stage: widen, filter each channel, narrow, add."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.hidden = hidden = width * expansion
        self.conv1 = ConvBN(width, hidden)
        self.conv2 = ConvBN(hidden, hidden, 3, groups=hidden)
        self.conv3 = ConvBN(hidden, width)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, width, H, W) to the same shape."""
        return in_row_strips(self._chain, image, self.hidden, kernel=3)

    def _chain(self, image: Tensor) -> Tensor:
        return F.gelu(image + self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(image))))))


class Merge(nn.Module):
    """The step to the next stage: (B, C, H, W) to (B, C', H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.outputs, self.stride = outputs, stride
        self.conv1 = ConvBN(inputs, outputs)
        self.conv2 = ConvBN(outputs, outputs, 3, stride, groups=outputs)
        self.conv3 = ConvBN(outputs, outputs)

    def forward(self, image: Tensor) -> Tensor:
        """Change resolution and channels."""
        return in_row_strips(self._chain, image, self.outputs, kernel=3, stride=self.stride)

    def _chain(self, image: Tensor) -> Tensor:
        result: Tensor = self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(image)))))
        return result


class Block(nn.Module):
    """Attention in windows, a filter on each channel, a feed-forward layer.

    Parameters
    ----------
    width, heads, window, expansion : int
        As in `TinyViTConfig`, for one stage.
    """

    def __init__(self, width: int, heads: int, window: int, expansion: int) -> None:
        super().__init__()
        self.attn = Attention(width, heads, window)
        self.local_conv = ConvBN(width, width, 3, groups=width)
        self.mlp = NormedFeedForward(width, width * expansion)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, width, H, W) to the same shape."""
        image = image + self.attn(image.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        tokens = self.local_conv(image).permute(0, 2, 3, 1)
        result: Tensor = (tokens + self.mlp(tokens)).permute(0, 3, 1, 2)
        return result


class NormedFeedForward(nn.Module):
    """Layer normalisation and two linear layers: (..., width) to the same shape."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Apply to each token."""
        flat = tokens.flatten(0, -2)
        parts = [self.fc2(F.gelu(self.fc1(self.norm(part)))) for part in in_parts(flat)]
        return torch.cat(parts).view(tokens.shape)


class Attention(nn.Module):
    """Multi-head attention within windows, with one learnt bias for each head and distance (|dy|, |dx|).

    Parameters
    ----------
    width, heads, window : int
        As in `TinyViTConfig`, for one stage.
    """

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.norm = nn.LayerNorm(width)
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))

    def forward(self, grid: Tensor) -> Tensor:
        """Map (B, H, W, width) to the same shape; the padding of windows is zero before the normalisation."""
        _, height, width, _ = grid.shape
        windows = self.norm(to_windows(grid, self.window)).flatten(1, 2)  # (n, window², width)
        # In the weights, each head's query, key and value lie together.
        qkv = self.qkv(windows).unflatten(-1, (self.heads, 3, -1)).permute(3, 0, 2, 1, 4)
        q, k, v = qkv.unbind(0)  # each (n, heads, window², d)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=self._bias()[None])
        out = self.proj(out.transpose(1, 2).flatten(2))
        return from_windows(out.unflatten(1, (self.window, self.window)), height, width)

    def _bias(self) -> Tensor:
        """Spread the biases over pairs of tokens: (heads, window², window²)."""
        at = torch.arange(self.window, device=self.attention_biases.device)
        apart = (at[:, None] - at[None, :]).abs()
        index = (apart[:, None, :, None] * self.window + apart[None, :, None, :]).reshape(self.window**2, -1)
        return self.attention_biases[:, index]
