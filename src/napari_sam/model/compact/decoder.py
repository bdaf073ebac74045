"""The compact model's prompt encoder and mask decoder: prompts as maps and as tokens, a small U over the features."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from napari_sam.model.compact.layers import (
    COARSEST,
    HEADS,
    STRIDE,
    Attention,
    ChannelNorm,
    Mlp,
    ResidualUnit,
    Upsample,
    conv3,
)
from napari_sam.model.text_projection import given

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam.model.protocol import PromptTensors
    from napari_sam.model.text_projection import TextProjection

_CLICK_SIGMAS = (4.0, 16.0)  # model pixels: where exactly, and whereabouts
_MASK_SCALE = 8.0  # logits beyond this say nothing more
_EMPTY = 1e-4  # a prompt that weighs less than this is not there


def cell_centres(cells: int, stride: int, origin: Tensor) -> Tensor:
    """Model pixels of the centres of `cells` cells, for each object's window `origin` (B,): (B, cells)."""
    # Positions are pixel-centred: the cell of pixels 0 to 3 has its centre at 1.5.
    steps = torch.arange(cells, device=origin.device, dtype=torch.float32) * stride + (stride - 1) / 2
    return origin[:, None] + steps


class PositionCode(nn.Module):
    """Sines and cosines of positions in model pixels, wavelengths 8 to 2048: (..., 2) to (..., channels)."""

    frequencies: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        # A table of its own, also where a model is made without memory for its weights.
        wavelengths = torch.logspace(math.log2(8), math.log2(2048), channels // 4, base=2.0, device="cpu")
        self.register_buffer("frequencies", 2 * math.pi / wavelengths, persistent=False)

    def forward(self, positions: Tensor) -> Tensor:
        """Encode offsets, (x, y), model pixels."""
        angles = (positions.float()[..., None] * self.frequencies).flatten(-2)
        return torch.cat((angles.sin(), angles.cos()), -1)


class TwoWayBlock(nn.Module):
    """Tokens look at each other and at the map, then the map looks at the tokens (Kirillov et al. 2023, figure 14)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.self_attention = Attention(channels, heads)
        self.to_map = Attention(channels, heads)
        self.mlp = Mlp(channels, 2 * channels, channels)
        self.to_tokens = Attention(channels, heads)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(5))

    def forward(
        self, tokens: Tensor, token_code: Tensor, cells: Tensor, cell_code: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Update tokens (B, T, C) and cells (B, L, C); `mask` (B, T) is True where a token counts."""
        norm1, norm2, norm3, norm4, norm5 = self.norms
        coded = norm1(tokens) + token_code
        tokens = tokens + self.self_attention(coded, coded, coded, mask)
        keys = norm5(cells)
        # Positions say where to look; what is carried over is without them.
        tokens = tokens + self.to_map(norm2(tokens) + token_code, keys + cell_code, keys)
        tokens = tokens + self.mlp(norm3(tokens))
        values = norm4(tokens)
        cells = cells + self.to_tokens(keys + cell_code, values + token_code, values, mask)
        return tokens, cells


class PromptMaps(nn.Module):
    """Prompts drawn as maps at stride 4: where the clicks are, the box, the earlier mask, and what looks like them."""

    channels = 2 * len(_CLICK_SIGMAS) + 2 + 2 + 3 * HEADS

    def forward(self, prompts: PromptTensors, masks: Tensor, keys: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
        """Draw B objects.

        Parameters
        ----------
        prompts : PromptTensors
            Points and boxes, model pixels; a box of NaN is no box.
        masks : Tensor, shape (B, 1, h, w)
            Earlier logits; 0 where there is none.
        keys : Tensor, shape (B, HEADS, c, h, w)
            Similarity features.
        xs, ys : Tensor, shapes (B, w) and (B, h)
            Centres of the cells, model pixels.

        Returns
        -------
        Tensor, shape (B, channels, h, w)
        """
        positive, negative = (_clicks(prompts, label, xs, ys) for label in (1, 0))
        box = _box(prompts.boxes, xs, ys)
        told = (masks / _MASK_SCALE).clamp(-1, 1)
        given = (masks != 0).flatten(1).any(1).to(told.dtype)[:, None, None, None].expand_as(told)
        # With a box and no click, what the object looks like is read around the middle of the box.
        seed = torch.where(_weight(positive[:, :1]) > _EMPTY, positive[:, :1], _box_middle(prompts.boxes, xs, ys))
        likeness = [_likeness(keys, weights) for weights in (seed, negative[:, :1], given * masks.sigmoid())]
        return torch.cat((positive, negative, box, told, given, *likeness), 1)


def _weight(weights: Tensor) -> Tensor:
    return weights.sum((2, 3), keepdim=True)


def _likeness(keys: Tensor, weights: Tensor) -> Tensor:
    """Cosine of every position with the mean under `weights` (B, 1, h, w), for each head; 0 without weights."""
    prototype = torch.einsum("bnchw,bhw->bnc", keys, weights[:, 0].to(keys.dtype))
    cosine = torch.einsum("bnchw,bnc->bnhw", keys, F.normalize(prototype, dim=2))
    return torch.where(_weight(weights) > _EMPTY, cosine, torch.zeros_like(cosine))


def _clicks(prompts: PromptTensors, label: int, xs: Tensor, ys: Tensor) -> Tensor:
    """Gaussians of the clicks of one polarity, a channel for each width; the largest where they overlap."""
    batch, count = prompts.labels.shape
    if not count:
        return xs.new_zeros((batch, len(_CLICK_SIGMAS), ys.shape[1], xs.shape[1]))
    chosen = (prompts.labels == label).to(xs.dtype)[:, :, None]
    dx2 = (xs[:, None, :] - prompts.points[:, :, :1]) ** 2
    dy2 = (ys[:, None, :] - prompts.points[:, :, 1:]) ** 2
    maps = []
    for sigma in _CLICK_SIGMAS:
        gx, gy = (torch.exp(d / (-2 * sigma**2)) for d in (dx2, dy2))
        maps.append((gy * chosen)[:, :, :, None].mul(gx[:, :, None, :]).amax(1))
    return torch.stack(maps, 1)


def _box(boxes: Tensor | None, xs: Tensor, ys: Tensor) -> Tensor:
    """How much of each cell is in the box, and the distance to the nearest side, over 16 pixels, positive inside."""
    if boxes is None:
        return xs.new_zeros((xs.shape[0], 2, ys.shape[1], xs.shape[1]))
    x0, y0, x1, y1 = boxes[:, :, None].unbind(1)
    across = torch.minimum(xs - x0, x1 - xs)[:, None, :]
    along = torch.minimum(ys - y0, y1 - ys)[:, :, None]
    # Half a cell on either side of the border is in between.
    covered = (across / STRIDE + 0.5).clamp(0, 1) * (along / STRIDE + 0.5).clamp(0, 1)
    return torch.stack((covered, (torch.minimum(across, along) / 16).clamp(-1, 1)), 1).nan_to_num()


def _box_middle(boxes: Tensor | None, xs: Tensor, ys: Tensor) -> Tensor:
    """Draw a Gaussian in the middle of the box, a sixth of its sides wide: (B, 1, h, w)."""
    if boxes is None:
        return xs.new_zeros((xs.shape[0], 1, ys.shape[1], xs.shape[1]))
    x0, y0, x1, y1 = boxes[:, :, None].unbind(1)
    gx = torch.exp(-0.5 * ((xs - (x0 + x1) / 2) / ((x1 - x0) / 6).clamp_min(STRIDE)) ** 2)
    gy = torch.exp(-0.5 * ((ys - (y0 + y1) / 2) / ((y1 - y0) / 6).clamp_min(STRIDE)) ** 2)
    return (gy[:, :, None] * gx[:, None, :])[:, None].nan_to_num()


class MaskDecoder(nn.Module):
    """From features and prompts to 1 + 3 masks with predicted IoU: a small U over the features, tokens at its bottom.

    Parameters
    ----------
    widths : (int, int, int)
        Channels at strides 4, 8, 16.
    depth, heads : int
        Two-way blocks and their heads.
    """

    masks = 4  # one for a clear prompt, three for an ambiguous one (Kirillov et al. 2023, section 3)

    def __init__(self, widths: tuple[int, int, int], depth: int, heads: int) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.maps = PromptMaps()
        self.enter = conv3(PromptMaps.channels, fine)
        self.in4, self.in8 = ResidualUnit(fine), ResidualUnit(middle)
        self.down8 = nn.Sequential(ChannelNorm(fine), nn.Conv2d(fine, middle, 2, 2))
        self.down16 = nn.Sequential(ChannelNorm(middle), nn.Conv2d(middle, coarse, 2, 2))
        self.queries = nn.Parameter(nn.init.normal_(torch.empty(1 + self.masks, coarse), std=0.02))
        self.kinds = nn.Embedding(4, coarse)  # negative click, positive click, upper left corner, lower right corner
        self.look4, self.look16 = nn.Linear(fine, coarse), nn.Linear(coarse, coarse)
        self.code = PositionCode(coarse)
        self.blocks = nn.ModuleList(TwoWayBlock(coarse, heads) for _ in range(depth))
        self.norm_tokens, self.norm_cells = nn.LayerNorm(coarse), nn.LayerNorm(coarse)
        self.up8, self.up4 = Upsample(coarse, middle), Upsample(middle, fine)
        self.out8 = ResidualUnit(middle)
        self.out4 = nn.Sequential(ResidualUnit(fine), ResidualUnit(fine), ChannelNorm(fine), nn.GELU())
        self.hyper = nn.ModuleList(Mlp(coarse, coarse, fine) for _ in range(self.masks))
        self.bias = nn.Parameter(torch.full((self.masks,), -2.0))  # most of a plane is not the object
        self.quality = Mlp(coarse, coarse, self.masks)
        self.text_projection: TextProjection | None = None

    def forward(
        self,
        features: tuple[Tensor, Tensor, Tensor],
        keys: Tensor,
        prompts: PromptTensors,
        origin: Tensor,
        centre: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Answer B objects, each in its own window of features.

        Parameters
        ----------
        features : three Tensors, shapes (B, C, h, w), (B, C, h/2, w/2), (B, C, h/4, w/4)
        keys : Tensor, shape (B, HEADS, c, h, w)
        prompts : PromptTensors
            Model pixels of the whole canvas; a box of NaN is no box, and words of NaN are none; masks are cut to the
            window, (B, 1, h, w).
        origin : Tensor, shape (B, 2)
            Model pixels, (x, y), of the window's first pixel.
        centre : Tensor, shape (B, 2)
            Model pixels, (x, y): the middle of the prompts, from which positions are counted.

        Returns
        -------
        logits : Tensor, shape (B, 4, h, w)
        scores : Tensor, shape (B, 4)
        """
        f4, f8, f16 = features
        height, width = f4.shape[-2:]
        xs, ys = cell_centres(width, STRIDE, origin[:, 0]), cell_centres(height, STRIDE, origin[:, 1])
        told = f4.new_zeros((len(f4), 1, height, width)) if prompts.masks is None else prompts.masks
        maps = self.maps(prompts, told, keys, xs, ys).to(memory_format=torch.channels_last)
        x4 = self.in4(f4 + self.enter(maps))
        x8 = self.in8(f8 + self.down8(x4))
        x16 = f16 + self.down16(x8)
        tokens, x16 = self._attend(f4, x16, prompts, origin, centre)
        x8 = self.out8(x8 + self.up8(x16))
        x4 = self.out4(x4 + self.up4(x8))
        # The first query stands for the quality, each of the others for a mask.
        weights = torch.stack([layer(tokens[:, 1 + i]) for i, layer in enumerate(self.hyper)], 1)
        with torch.autocast(x4.device.type, enabled=False):  # bfloat16 would round the borders
            logits = torch.einsum("bmc,bchw->bmhw", weights.float(), x4.float()) + self.bias[:, None, None]
        return logits, self.quality(tokens[:, 0]).float().sigmoid()

    def _attend(
        self, f4: Tensor, x16: Tensor, prompts: PromptTensors, origin: Tensor, centre: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run the two-way blocks: tokens (B, T, C), and the map at stride 16."""
        batch, height, width = len(x16), *x16.shape[-2:]
        positions, kinds = _sparse(prompts)
        extent = origin.new_tensor([f4.shape[3] * STRIDE, f4.shape[2] * STRIDE])
        # grid_sample counts from the outer edges of the first and the last pixel, half a pixel off their centres.
        grid = (2 * (positions - origin[:, None] + 0.5) / extent - 1)[:, :, None]
        seen = [
            layer(F.grid_sample(x.float(), grid, align_corners=False, padding_mode="border")[..., 0].transpose(1, 2))
            for layer, x in ((self.look4, f4), (self.look16, x16))
        ]
        sparse = self.kinds(kinds.clamp_min(0)) + seen[0] + seen[1]
        placeless, there = self._placeless(prompts, batch)
        tokens = torch.cat((placeless.to(sparse.dtype), sparse), 1)
        nowhere = torch.zeros_like(tokens[:, : placeless.shape[1]])
        token_code = torch.cat((nowhere, self.code(positions - centre[:, None]).to(tokens.dtype)), 1)
        mask = torch.cat((there, kinds >= 0), 1)
        # Counted from the prompts, so that the place of an object on its canvas says nothing.
        xs = cell_centres(width, COARSEST, origin[:, 0] - centre[:, 0])[:, None, :].expand(-1, height, -1)
        ys = cell_centres(height, COARSEST, origin[:, 1] - centre[:, 1])[:, :, None].expand(-1, -1, width)
        cells = x16.flatten(2).transpose(1, 2)
        cell_code = self.code(torch.stack((xs, ys), -1).flatten(1, 2)).to(cells.dtype)
        for block in self.blocks:
            tokens, cells = block(tokens, token_code, cells, cell_code, mask)
        return self.norm_tokens(tokens), self.norm_cells(cells).transpose(1, 2).reshape(batch, -1, height, width)

    def _placeless(self, prompts: PromptTensors, batch: int) -> tuple[Tensor, Tensor]:
        """Tokens (B, n, C) that lie at no place, queries and words, and which of them are there, (B, n) bool."""
        queries = self.queries.expand(batch, -1, -1)
        there = torch.ones(queries.shape[:2], dtype=torch.bool, device=queries.device)
        if prompts.texts is None or self.text_projection is None:
            return queries, there
        words = self.text_projection(prompts.texts.nan_to_num())
        return torch.cat((queries, words), 1), torch.cat((there, given(prompts.texts)[:, None]), 1)


def _sparse(prompts: PromptTensors) -> tuple[Tensor, Tensor]:
    """Positions (B, T, 2) and kinds (B, T) of clicks and box corners; kind -1 is padding."""
    positions, kinds = prompts.points, prompts.labels
    if prompts.boxes is not None:
        given = torch.isfinite(prompts.boxes).all(1)
        corners = prompts.boxes.nan_to_num().reshape(-1, 2, 2)
        # Padding, so that objects with a box and objects without one fit into one batch.
        corner_kinds = torch.where(given[:, None], torch.tensor([[2, 3]], device=given.device), -1)
        positions, kinds = torch.cat((positions, corners), 1), torch.cat((kinds, corner_kinds), 1)
    return positions, kinds
