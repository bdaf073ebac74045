"""The mask decoder of SAM-HQ: SAM's, with one more token that refines the mask with early features of the encoder.

Ke et al., Segment Anything in High Quality, arXiv 2306.01567, section 3.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_sam.model.encoders.layers import LayerNorm2d, Perceptron
from napari_sam.model.protocol import Decoded
from napari_sam.model.sam.mask_decoder import MASK_TOKENS, MaskDecoder, filter_image

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

    def forward(
        self, features: Features, positions: Tensor, sparse: Tensor, dense: Tensor, *, multimask: bool
    ) -> Decoded:
        """Predict the masks of B objects; arguments and result as in `MaskDecoder.forward`.

        The authors answer an ambiguous prompt with the best of the three candidates, corrected. Here the other two
        stay beside it, uncorrected, so that a person can still choose.
        """
        embedding, detail = features
        wanted = slice(1, MASK_TOKENS) if multimask else slice(0, 1)
        own_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight, self.hf_token.weight])
        tokens, image = self._attend(embedding, positions, own_tokens, sparse, dense)
        upscaled = self.output_upscaling(image)
        masks = self._masks(tokens[:, 1 : 1 + MASK_TOKENS], upscaled, wanted)
        hq_filter = self.hf_mlp(tokens[:, 1 + MASK_TOKENS : 2 + MASK_TOKENS])
        correction = filter_image(hq_filter, self.embedding_maskfeature(upscaled) + detail)
        scores = self.iou_prediction_head(tokens[:, 0])[:, wanted]
        best = (scores == scores.amax(1, keepdim=True))[..., None, None]
        return Decoded(torch.where(best, masks + correction, masks), scores)


def _upscale(channels: int, middle: int, out: int) -> nn.Sequential:
    """Build two transposed convolutions that quadruple the side of an image."""
    return nn.Sequential(
        nn.ConvTranspose2d(channels, middle, kernel_size=2, stride=2),
        LayerNorm2d(middle),
        nn.GELU(),
        nn.ConvTranspose2d(middle, out, kernel_size=2, stride=2),
    )
