"""The prompt encoder of SAM: points and boxes become tokens, a mask becomes an image.

Kirillov et al., Segment Anything, arXiv 2304.02643, appendix A; positions after Tancik et al., arXiv 2006.10739.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam.model.encoders.layers import LayerNorm2d
from napari_sam.model.sam.latest_result import LatestResult

if TYPE_CHECKING:
    from napari_sam.model.protocol import PromptTensors
    from napari_sam.model.text_projection import TextProjection

_PADDING, _BOX_START, _BOX_STOP = -1, 2, 3
"""Labels beside 0 (a negative point) and 1 (a positive one)."""


class PromptEncoder(nn.Module):
    """Embed the prompts of B objects.

    Parameters
    ----------
    channels : int
        Channels of every embedding.
    grid : int
        Side of the image embedding, in tokens.
    side : int
        Side of the canvas, in model pixels.
    """

    def __init__(self, channels: int, grid: int, side: int) -> None:
        super().__init__()
        self.grid, self.side = grid, side
        self.pe_layer = PositionEncoding(channels)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, channels) for _ in range(4))  # by label
        self.not_a_point_embed = nn.Embedding(1, channels)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, kernel_size=2, stride=2),
            LayerNorm2d(4),
            nn.GELU(),
            nn.Conv2d(4, 16, kernel_size=2, stride=2),
            LayerNorm2d(16),
            nn.GELU(),
            nn.Conv2d(16, channels, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, channels)
        self.text_projection: TextProjection | None = None
        self._positions: LatestResult[Tensor] = LatestResult()

    def forward(self, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Embed prompts.

        Parameters
        ----------
        prompts : PromptTensors
            Points and boxes in model pixels, (x, y); masks of side ``4 * grid``.

        Returns
        -------
        sparse : Tensor, shape (B, n, channels)
            A token for each point and each corner of a box. Points without a box are followed by one padding point.
            Then one for words.
        dense : Tensor, shape (B, channels, grid, grid)
            Embedded masks; without masks, shape (1, channels, grid, grid), the same for all objects.
        """
        sparse = self._embed(*self._as_points(prompts))
        if prompts.texts is not None and self.text_projection is not None:
            sparse = torch.cat([sparse, self.text_projection(prompts.texts)], 1)
        if prompts.masks is not None:
            return sparse, self.mask_downscaling(prompts.masks)
        return sparse, self.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(-1, -1, self.grid, self.grid)

    def dense_positions(self) -> Tensor:
        """Give the position encoding of the centres of the grid's cells, (1, channels, grid, grid)."""
        matrix = self.pe_layer.positional_encoding_gaussian_matrix
        return self._positions.get(matrix, (matrix,), self._dense_positions)

    def _dense_positions(self) -> Tensor:
        centres = (torch.arange(self.grid, device=self.no_mask_embed.weight.device) + 0.5) / self.grid
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        encoding: Tensor = self.pe_layer(torch.stack([x, y], -1))
        return encoding.permute(2, 0, 1)[None]

    @staticmethod
    def _as_points(prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Write boxes as two labelled points, and add the padding point: (B, n, 2) positions and (B, n) labels."""
        if prompts.boxes is not None:
            corners = torch.unflatten(prompts.boxes, -1, (2, 2))
            labels = torch.arange(_BOX_START, _BOX_STOP + 1, device=corners.device).expand(len(corners), 2)
            return torch.cat([prompts.points, corners], 1), torch.cat([prompts.labels, labels], 1)
        if prompts.points.shape[1]:
            return F.pad(prompts.points, (0, 0, 0, 1)), F.pad(prompts.labels, (0, 1), value=_PADDING)
        return prompts.points, prompts.labels

    def _embed(self, positions: Tensor, labels: Tensor) -> Tensor:
        """Embed (B, n, 2) labelled positions; a table look-up, because a comparison would make a GPU wait."""
        table = torch.cat([self.not_a_point_embed.weight, *self.point_embeddings.parameters()])
        encoding = self.pe_layer((positions + 0.5) / self.side)  # half a pixel: from its corner to its centre
        return torch.where((labels == _PADDING)[..., None], 0.0, encoding) + F.embedding(labels - _PADDING, table)


class PositionEncoding(nn.Module):
    """Encode positions by sines and cosines of random projections; the projections are part of the weights."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, channels // 2))

    def forward(self, positions: Tensor) -> Tensor:
        """Map (..., 2) positions, (x, y) from 0 to 1 over the canvas, to (..., channels)."""
        angles = 2 * math.pi * ((2 * positions - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], -1)
