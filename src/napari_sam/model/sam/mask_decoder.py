"""The mask decoder of SAM: prompts and image attend to each other, then each mask token reads its mask off the image.

Kirillov et al., Segment Anything, arXiv 2304.02643, figure 14 and appendix A.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam.model.encoders.layers import FeedForward, LayerNorm2d, Perceptron
from napari_sam.model.protocol import Decoded

if TYPE_CHECKING:
    from napari_sam.model.protocol import Features

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
        own_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens, image = self._attend(features[0], positions, own_tokens, sparse, dense)
        masks = self._masks(tokens[:, 1 : 1 + MASK_TOKENS], self.output_upscaling(image), wanted)
        scores = self.iou_prediction_head(tokens[:, 0])
        return Decoded(masks, scores[:, wanted])

    def _attend(
        self, embedding: Tensor, positions: Tensor, own_tokens: Tensor, sparse: Tensor, dense: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run the transformer: (B, own + n, C) tokens, the decoder's own first, and a (B, C, g, g) image."""
        tokens = torch.cat([own_tokens.expand(len(sparse), -1, -1), sparse], 1)
        cells, places = (x.flatten(2).mT.contiguous() for x in (embedding + dense, positions))
        tokens, image = self.transformer(tokens, cells, places)
        return tokens, torch.unflatten(image.mT, 2, embedding.shape[-2:])

    def _masks(self, mask_tokens: Tensor, image: Tensor, wanted: slice) -> Tensor:
        """Turn each wanted mask token into a filter over the upscaled image: (B, wanted, 4 g, 4 g) logits."""
        networks = list(self.output_hypernetworks_mlps)[wanted]
        filters = torch.stack([f(t) for f, t in zip(networks, mask_tokens[:, wanted].unbind(1), strict=True)], 1)
        return filter_image(filters, image)


def filter_image(filters: Tensor, image: Tensor) -> Tensor:
    """Take the dot product of (B, n, c) filters with each pixel of a (B, c, H, W) image: (B, n, H, W)."""
    return torch.unflatten(filters @ image.flatten(2), 2, image.shape[-2:])


class TwoWayTransformer(nn.Module):
    """Let prompt tokens and image cells attend to each other.

    Parameters
    ----------
    channels : int
        Channels of tokens and cells.
    depth : int
        Number of blocks.
    heads : int
        Attention heads.
    hidden : int
        Hidden channels of the tokens' feed-forward layers.
    """

    def __init__(self, channels: int, depth: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(channels, heads, hidden, first=i == 0) for i in range(depth))
        self.final_attn_token_to_image = Attention(channels, heads, channels // 2)
        self.norm_final_attn = nn.LayerNorm(channels)

    def forward(self, prompts: Tensor, image: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Attend both ways.

        Parameters
        ----------
        prompts : Tensor, shape (B, n, C)
            Tokens; they serve as their own position encoding.
        image : Tensor, shape (B, cells, C) or (1, cells, C)
            Image cells; work on cells that all objects share is done once.
        positions : Tensor, shape (1, cells, C)
            Position encoding of the cells.

        Returns
        -------
        tokens : Tensor, shape (B, n, C)
        image : Tensor, shape (B, cells, C)
        """
        tokens = prompts
        for layer in self.layers:
            tokens, image = layer(tokens, image, prompts, positions)
        answer = self.final_attn_token_to_image(tokens + prompts, image + positions, image)
        return self.norm_final_attn(tokens + answer), image


class TwoWayBlock(nn.Module):
    """Tokens attend to tokens, tokens to the image, a feed-forward layer, then the image attends to the tokens.

    Parameters
    ----------
    channels, heads, hidden : int
        As in `TwoWayTransformer`.
    first : bool
        The first block's self-attention has neither position encoding nor residual: its tokens are still bare.
    """

    def __init__(self, channels: int, heads: int, hidden: int, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(channels, heads, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.cross_attn_token_to_image = Attention(channels, heads, channels // 2)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = FeedForward(channels, hidden, nn.ReLU)
        self.norm3 = nn.LayerNorm(channels)
        self.norm4 = nn.LayerNorm(channels)
        self.cross_attn_image_to_token = Attention(channels, heads, channels // 2)

    def forward(self, tokens: Tensor, image: Tensor, prompts: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, n, C) tokens and (B or 1, cells, C) image to (B, n, C) and (B, cells, C)."""
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + prompts
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)
        placed_image = image + positions
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + prompts, placed_image, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(placed_image, tokens + prompts, tokens))
        return tokens, image


class Attention(nn.Module):
    """Multi-head attention, its inner width smaller than the tokens'.

    Parameters
    ----------
    channels : int
        Channels of the tokens.
    heads : int
        Attention heads; they share `inner` equally.
    inner : int
        Channels of queries, keys and values together.
    """

    def __init__(self, channels: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(channels, inner)
        self.k_proj = nn.Linear(channels, inner)
        self.v_proj = nn.Linear(channels, inner)
        self.out_proj = nn.Linear(inner, channels)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend from (B, n, C) queries to (B, m, C) keys and values; a batch of one serves all objects."""
        batch = max(len(queries), len(keys))
        q, k, v = (
            projection(x).unflatten(-1, (self.heads, -1)).transpose(1, 2).expand(batch, -1, -1, -1)
            for projection, x in ((self.q_proj, queries), (self.k_proj, keys), (self.v_proj, values))
        )  # each (B, heads, n or m, d)
        result: Tensor = self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return result
