"""The mask decoder of SAM: prompts and image attend to each other, then each mask token reads its mask off the image.

Kirillov et al., Segment Anything, arXiv 2304.02643, figure 14 and appendix A.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from napari_sam.model.encoders.layers import LayerNorm2d, Perceptron
from napari_sam.model.encoders.products import linear
from napari_sam.model.protocol import Decoded
from napari_sam.model.sam.latest_result import LatestResult
from napari_sam.model.sam.two_way import SharedCells, TwoWayTransformer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam.model.protocol import Features

_TOGETHER_ON_CPU = 2
"""Objects at a time: more fall out of the cache between one layer and the next."""

MASK_TOKENS = 4
"""Mask 0 answers unambiguous prompts; masks 1 to 3 are the candidates for an ambiguous one."""


class MaskDecoder(nn.Module):
    """Predict masks and their quality from an image embedding and embedded prompts.

    Parameters
    ----------
    channels : int
        Channels of every embedding.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(channels, depth=2, heads=8, hidden=2048)
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(MASK_TOKENS, channels)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 4, kernel_size=2, stride=2),
            LayerNorm2d(channels // 4),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 4, channels // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            Perceptron(channels, channels, channels, channels // 8) for _ in range(MASK_TOKENS)
        )
        self.iou_prediction_head = Perceptron(channels, channels, channels, MASK_TOKENS)
        self._latest: LatestResult[tuple[SharedCells, Tensor]] = LatestResult()

    def prepare(self, embedding: Tensor, early: Tensor) -> Features:
        """Choose what of the encoder's output to keep for `forward`, done once for an image."""
        return (embedding,)

    def forward(
        self, features: Features, positions: Tensor, sparse: Tensor, dense: Tensor, *, multimask: bool
    ) -> Decoded:
        """Predict the masks of B objects.

        Parameters
        ----------
        features : tuple of Tensor
            What `prepare` gave: the image embedding, (1, C, g, g), first.
        positions : Tensor, shape (1, C, g, g)
            Position encoding of the embedding's cells.
        sparse : Tensor, shape (B, n, C)
            Embedded points and boxes.
        dense : Tensor, shape (B, C, g, g) or (1, C, g, g)
            Embedded masks; one for all objects where none has a mask.
        multimask : bool
            Three candidates, or the one mask for unambiguous prompts.

        Returns
        -------
        Decoded
            Logits (B, 3 or 1, 4 g, 4 g) and predicted IoU.
        """
        wanted = slice(1, MASK_TOKENS) if multimask else slice(0, 1)
        return self._decoded(features, positions, sparse, dense, wanted)

    def every(self, features: Features, positions: Tensor, sparse: Tensor, dense: Tensor) -> Decoded:
        """Predict the one mask, then the three candidates, as `forward` would in two calls: what training needs."""
        return self._decoded(features, positions, sparse, dense, slice(0, MASK_TOKENS))

    def _decoded(self, features: Features, positions: Tensor, sparse: Tensor, dense: Tensor, wanted: slice) -> Decoded:
        parts = [
            (self._masks(features, tokens, image, scores, wanted), scores)
            for tokens, image, scores in self._attend(features[0], positions, sparse, dense, wanted)
        ]
        logits, scores = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        return Decoded(logits, scores)

    def better(
        self, least: float, features: Features, positions: Tensor, sparse: Tensor, dense: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict those of three candidates for each of B objects whose predicted IoU is greater than `least`.

        The other arguments are those of `forward`. Objects without such a mask cost about half.

        Returns
        -------
        logits : Tensor, shape (k, 4 g, 4 g)
            Of the k good ones, object by object.
        scores : Tensor, shape (B, 3)
            Of all.
        """
        wanted = slice(1, MASK_TOKENS)
        found, all_scores = [], []
        for tokens, image, scores in self._attend(features[0], positions, sparse, dense, wanted):
            good = scores > least
            (rows,) = torch.nonzero(good.any(1), as_tuple=True)
            if len(rows):
                masks = self._masks(features, tokens[rows], image[rows], scores[rows], wanted)
                found.append(masks[good[rows]])
            all_scores.append(scores)
        side = 4 * features[0].shape[-1]
        return torch.cat(found) if found else sparse.new_zeros(0, side, side), torch.cat(all_scores)

    def _own_tokens(self) -> Tensor:
        """Join what precedes the prompts: the token of the scores, then those of the masks."""
        return torch.cat([self.iou_token.weight, self.mask_tokens.weight])

    def _attend(
        self, embedding: Tensor, positions: Tensor, sparse: Tensor, dense: Tensor, wanted: slice
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Run the transformer on some objects at a time: tokens (b, n, C), image (b, g g, C), scores (b, wanted)."""
        own = self._own_tokens()
        image: Tensor | SharedCells
        if len(embedding) == len(dense) == 1:
            image, places = self._shared(embedding, positions, dense)
        else:
            image, places = _as_cells(embedding + dense), _as_cells(positions)
        together = len(sparse) if sparse.is_cuda else _TOGETHER_ON_CPU
        for start in range(0, len(sparse), together):
            some = slice(start, start + together)
            tokens = torch.cat([own.expand(len(sparse[some]), -1, -1), sparse[some]], 1)
            tokens, seen = self.transformer(tokens, image if isinstance(image, SharedCells) else image[some], places)
            yield tokens, seen, self.iou_prediction_head(tokens[:, 0])[:, wanted]

    def _shared(self, embedding: Tensor, positions: Tensor, dense: Tensor) -> tuple[SharedCells, Tensor]:
        """Do what does not hang on points and boxes, once for all clicks on an image; positions come cell by cell."""

        def make() -> tuple[SharedCells, Tensor]:
            cells, places = _as_cells(embedding + dense), _as_cells(positions)
            return self.transformer.share(cells, places), places

        return self._latest.get(embedding, (positions, dense, *self.transformer.layers[0].parameters()), make)

    def _masks(self, features: Features, tokens: Tensor, image: Tensor, scores: Tensor, wanted: slice) -> Tensor:
        """Read the wanted masks of b objects off their images: (b, wanted, 4 g, 4 g) logits."""
        return to_raster(self._filters(tokens, wanted) @ self._upscaled(image).mT, features[0].shape[-1])

    def _filters(self, tokens: Tensor, wanted: slice) -> Tensor:
        """Turn each wanted mask token into a filter over the upscaled image: (b, wanted, C / 8)."""
        networks = list(self.output_hypernetworks_mlps)[wanted]
        mask_tokens = tokens[:, 1 : 1 + MASK_TOKENS][:, wanted]
        return torch.stack([f(t) for f, t in zip(networks, mask_tokens.unbind(1), strict=True)], 1)

    def _upscaled(self, image: Tensor) -> Tensor:
        """Make 16 pixels of each cell, (b, g g, C): (b, 16 g g, C / 8), in the order of `to_raster`.

        A transposed convolution whose kernel is as wide as its stride sees one cell at a time, so it is a matrix
        product; pixels that stay beside their cell need no shuffling of large images.
        """
        enlarge, norm, activation, enlarge_more, last = self.output_upscaling
        quarters = _quartered(image, cast("nn.ConvTranspose2d", enlarge))
        # Not the layer itself, which expects channels elsewhere.
        quarters = activation(nn.LayerNorm.forward(cast("nn.LayerNorm", norm), quarters))
        upscaled: Tensor = last(_quartered(quarters, cast("nn.ConvTranspose2d", enlarge_more)))
        return upscaled


def _as_cells(image: Tensor) -> Tensor:
    """Lay (b, C, g, g) out cell by cell: (b, g g, C)."""
    return image.flatten(2).mT.contiguous()


def _quartered(pixels: Tensor, convolution: nn.ConvTranspose2d) -> Tensor:
    """Make four pixels of each, (b, n, in): (b, 4 n, out)."""
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2)
    bias = None if convolution.bias is None else convolution.bias.repeat(4)
    return torch.unflatten(linear(pixels, weight, bias), -1, (4, -1)).flatten(1, 2)


def to_raster(pixels: Tensor, side: int) -> Tensor:
    """Bring (b, n, 16 side side) pixels to (b, n, 4 side, 4 side).

    They come cell by cell, then by quarters of the cell, then by quarters of those.
    """
    parts = torch.unflatten(pixels, 2, (side, side, 2, 2, 2, 2))  # rows and columns in turns
    return parts.permute(0, 1, 2, 4, 6, 3, 5, 7).reshape(*pixels.shape[:2], 4 * side, 4 * side)
