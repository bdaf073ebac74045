"""The mask decoder of SAM-HQ: SAM's, with one more token that refines the mask with early features of the encoder.

Ke et al., Segment Anything in High Quality, arXiv 2306.01567, section 3.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_sam.model.encoders.layers import LayerNorm2d, Perceptron
from napari_sam.model.protocol import Decoded
from napari_sam.model.sam.mask_decoder import MASK_TOKENS, MaskDecoder, to_raster

if TYPE_CHECKING:
    from napari_sam.model.protocol import Features


class HQMaskDecoder(MaskDecoder):
    """Predict masks with SAM's decoder and add the high-quality token's correction to the best of them.

    Parameters
    ----------
    channels : int
        Channels of every embedding.
    early_width : int
        Channels of the encoder's early features.
    """

    def __init__(self, channels: int, early_width: int) -> None:
        super().__init__(channels)
        half, small = channels // 4, channels // 8
        self.hf_token = nn.Embedding(1, channels)
        self.hf_mlp = Perceptron(channels, channels, channels, small)
        self.compress_vit_feat = _upscale(early_width, channels, small)
        self.embedding_encoder = _upscale(channels, half, small)
        self.embedding_maskfeature = nn.Sequential(
            nn.Conv2d(small, half, kernel_size=3, padding=1),
            LayerNorm2d(half),
            nn.GELU(),
            nn.Conv2d(half, small, kernel_size=3, padding=1),
        )

    def prepare(self, embedding: Tensor, early: Tensor) -> Features:
        """Fuse early and final features once for an image: the embedding and (1, C / 8, 4 g, 4 g) detail."""
        return embedding, self.embedding_encoder(embedding) + self.compress_vit_feat(early)

    def _own_tokens(self) -> Tensor:
        return torch.cat([super()._own_tokens(), self.hf_token.weight])

    def _masks(self, features: Features, tokens: Tensor, image: Tensor, scores: Tensor, wanted: slice) -> Tensor:
        """Predict as `MaskDecoder` does, and correct the best candidate.

        The authors answer an ambiguous prompt with the best of the three candidates, corrected. Here the other two
        stay beside it, uncorrected, so that a person can still choose.
        """
        _embedding, detail = features
        upscaled = to_raster(self._upscaled(image).mT, features[0].shape[-1])
        masks = _filtered(self._filters(tokens, wanted), upscaled)
        hq_filter = self.hf_mlp(tokens[:, 1 + MASK_TOKENS : 2 + MASK_TOKENS])
        correction = _filtered(hq_filter, self.embedding_maskfeature(upscaled) + detail)
        best = (scores == scores.amax(1, keepdim=True))[..., None, None]
        return torch.where(best, masks + correction, masks)

    def every(self, features: Features, positions: Tensor, sparse: Tensor, dense: Tensor) -> Decoded:
        """Predict the one mask, then the three candidates."""
        # The best of those that are asked for is corrected: both kinds have their own.
        both = [self(features, positions, sparse, dense, multimask=several) for several in (False, True)]
        return Decoded(torch.cat([one.logits for one in both], 1), torch.cat([one.scores for one in both], 1))


def _filtered(filters: Tensor, image: Tensor) -> Tensor:
    """Take the dot product of (b, n, c) filters with each pixel of a (b, c, H, W) image: (b, n, H, W)."""
    return torch.unflatten(filters @ image.flatten(2), 2, image.shape[-2:])


def _upscale(channels: int, middle: int, out: int) -> nn.Sequential:
    """Build two transposed convolutions that quadruple the side of an image."""
    return nn.Sequential(
        nn.ConvTranspose2d(channels, middle, kernel_size=2, stride=2),
        LayerNorm2d(middle),
        nn.GELU(),
        nn.ConvTranspose2d(middle, out, kernel_size=2, stride=2),
    )
