"""The transformer of SAM's mask decoder: prompt tokens and image cells attend to each other.

Kirillov et al., Segment Anything, arXiv 2304.02643, appendix A. There are thousands of cells and a handful of tokens,
so that nearly all of the time goes into projections of the cells. Two things make them rare: cells that all objects
share are projected once, and elsewhere the tokens are projected instead, because matrix products associate: ``q (W x)``
is ``(q W) x``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam.model.encoders.layers import FeedForward
from napari_sam.model.encoders.products import Linear, few_by_many


@dataclass(frozen=True, slots=True)
class SharedCells:
    """Image cells that are the same for all objects, and what the first block makes of them.

    Attributes
    ----------
    image : Tensor, shape (1, cells, C)
    keys, values : Tensor, shape (heads, cells, d)
        For tokens that read from the image.
    queries : Tensor, shape (heads, cells, d)
        For the image that reads from tokens.
    """

    image: Tensor
    keys: Tensor
    values: Tensor
    queries: Tensor


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

    def share(self, image: Tensor, positions: Tensor) -> SharedCells:
        """Project cells that all objects share, (1, cells, C), with the position encoding of the cells."""
        first = cast("TwoWayBlock", self.layers[0])
        reading, writing = first.cross_attn_token_to_image, first.cross_attn_image_to_token
        placed = image + positions
        keys, values, queries = (
            reading.by_head(projected)[0]
            for projected in (reading.k_proj(placed), reading.v_proj(image), writing.q_proj(placed))
        )
        return SharedCells(image, keys, values, queries)

    def forward(self, prompts: Tensor, image: Tensor | SharedCells, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Attend both ways.

        Parameters
        ----------
        prompts : Tensor, shape (B, n, C)
            Tokens; they serve as their own position encoding.
        image : Tensor, shape (B, cells, C), or SharedCells
            Image cells.
        positions : Tensor, shape (1, cells, C)
            Position encoding of the cells.

        Returns
        -------
        tokens : Tensor, shape (B, n, C)
        image : Tensor, shape (B, cells, C)
        """
        first, *others = (cast("TwoWayBlock", layer) for layer in self.layers)
        if isinstance(image, SharedCells):
            tokens, cells = first.forward_shared(prompts, image, prompts)
        else:
            tokens, cells = first(prompts, image, prompts, positions)
        for layer in others:
            tokens, cells = layer(tokens, cells, prompts, positions)
        answer = self.final_attn_token_to_image.read(tokens + prompts, cells + positions, cells)
        return self.norm_final_attn(tokens + answer), cells


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
        """Map (B, n, C) tokens and a (B, cells, C) image to the same."""
        tokens = self._among_tokens(tokens, prompts)
        placed = image + positions
        tokens = self._fed(tokens, self.cross_attn_token_to_image.read(tokens + prompts, placed, image))
        image = self.cross_attn_image_to_token.write(image, placed, tokens + prompts, tokens)
        return tokens, self.norm4(image)

    def forward_shared(self, tokens: Tensor, cells: SharedCells, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """Do as `forward` does, with an image that all B objects share; each comes out with one of its own."""
        tokens = self._among_tokens(tokens, prompts)
        tokens = self._fed(tokens, self.cross_attn_token_to_image.read_shared(tokens + prompts, cells))
        return tokens, self.norm4(self.cross_attn_image_to_token.write_shared(cells, tokens + prompts, tokens))

    def _among_tokens(self, tokens: Tensor, prompts: Tensor) -> Tensor:
        """Let tokens attend to tokens."""
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + prompts
            tokens = tokens + self.self_attn(placed, placed, tokens)
        normalised: Tensor = self.norm1(tokens)
        return normalised

    def _fed(self, tokens: Tensor, answer: Tensor) -> Tensor:
        """Add what tokens read from the image, and put them through the feed-forward layer."""
        tokens = self.norm2(tokens + answer)
        normalised: Tensor = self.norm3(tokens + self.mlp(tokens))
        return normalised


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
        self.scale = (inner // heads) ** -0.5
        self.q_proj = Linear(channels, inner)
        self.k_proj = Linear(channels, inner)
        self.v_proj = Linear(channels, inner)
        self.out_proj = Linear(inner, channels)

    def by_head(self, projected: Tensor) -> Tensor:
        """Part the heads of (B, n, inner): (B, heads, n, d)."""
        return torch.unflatten(projected, -1, (self.heads, -1)).transpose(1, 2)

    def saves(self, tokens: int) -> bool:
        """Whether it is quicker to project so many tokens, for every head, than the cells that they attend to."""
        return self.heads * tokens <= self.q_proj.out_features

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend from (B, n, C) queries to (B, m, C) keys and values: (B, n, C)."""
        q, k, v = (
            self.by_head(projected) for projected in (self.q_proj(queries), self.k_proj(keys), self.v_proj(values))
        )
        result: Tensor = self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return result

    def read(self, tokens: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend from few (B, n, C) tokens to many (B, cells, C) keys and values: (B, n, C)."""
        if not self.saves(tokens.shape[1]):
            return self(tokens, keys, values)  # type: ignore[no-any-return]  # of nn.Module
        # The bias of the keys is left out: it adds the same to all scores of a token, and the softmax cancels it.
        q = self.by_head(self.q_proj(tokens) * self.scale) @ self._heads_of(self.k_proj.weight)
        seen = few_by_many(q.flatten(1, 2), keys).softmax(-1) @ values
        v = torch.unflatten(seen, 1, (self.heads, -1)) @ self._heads_of(self.v_proj.weight).mT
        result: Tensor = self.out_proj(v.transpose(1, 2).flatten(2) + self.v_proj.bias)
        return result

    def read_shared(self, tokens: Tensor, cells: SharedCells) -> Tensor:
        """Do as `read` does, with cells that all B objects share."""
        q = self._heads_first(self.q_proj(tokens) * self.scale)
        seen = (q @ cells.keys.mT).softmax(-1) @ cells.values
        result: Tensor = self.out_proj(torch.unflatten(seen, 1, tokens.shape[:2]).permute(1, 2, 0, 3).flatten(2))
        return result

    def write(self, image: Tensor, placed: Tensor, tokens: Tensor, values: Tensor) -> Tensor:
        """Add to each of many cells what it reads from few tokens.

        Parameters
        ----------
        image, placed : Tensor, shape (B, cells, C)
            The cells, and with their position encoding.
        tokens, values : Tensor, shape (B, n, C)
            What the cells compare themselves with, and what they read.

        Returns
        -------
        Tensor, shape (B, cells, C)
        """
        if not self.saves(tokens.shape[1]):
            return image + self(placed, tokens, values)  # type: ignore[no-any-return]  # of nn.Module
        k = self.by_head(self.k_proj(tokens) * self.scale)
        constant = k @ torch.unflatten(self.q_proj.bias, 0, (self.heads, -1))[..., None]
        compared = (k @ self._heads_of(self.q_proj.weight)).flatten(1, 2)
        scores = few_by_many(compared, placed, constant.flatten(1))
        return self._written(image, torch.unflatten(scores, 1, (self.heads, -1)), values)

    def write_shared(self, cells: SharedCells, tokens: Tensor, values: Tensor) -> Tensor:
        """Do as `write` does, with cells that all B objects share; `SharedCells.queries` are this attention's."""
        scores = self._heads_first(self.k_proj(tokens) * self.scale) @ cells.queries.mT
        scores = torch.unflatten(scores, 1, tokens.shape[:2]).transpose(0, 1)
        return self._written(cells.image.expand(len(tokens), -1, -1), scores, values)

    def _written(self, image: Tensor, scores: Tensor, values: Tensor) -> Tensor:
        """Add to (B, cells, C) what (B, heads, n, cells) scores make of (B, n, C) values."""
        weight = torch.unflatten(self.out_proj.weight, 1, (self.heads, -1)).permute(1, 2, 0)
        values = (self.by_head(self.v_proj(values)) @ weight).flatten(1, 2)
        shares = scores.softmax(2).flatten(1, 2)
        # The bias as part of the values: shares of a cell add up to 1 in each head.
        values = values + self.out_proj.bias / self.heads
        return torch.baddbmm(image, shares.mT, values)

    def _heads_of(self, weight: Tensor) -> Tensor:
        """Part the heads of a projection's weight, (inner, C): (heads, d, C)."""
        return torch.unflatten(weight, 0, (self.heads, -1))

    def _heads_first(self, projected: Tensor) -> Tensor:
        """Make the tokens of all objects one matrix for each head: (B, n, inner) to (heads, B n, d)."""
        return self.by_head(projected).transpose(0, 1).flatten(1, 2)
