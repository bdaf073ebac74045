"""Attention over a grid of tokens with decomposed relative positions, exact and without the full score matrix.

The score of a query at (y, x) and a key at (i, j) is ``q . k / sqrt(d) + q . Rh[y - i] + q . Rw[x - j]`` (Li et al.,
MViTv2, arXiv 2112.01526, equation 4). For SAM's 4096 tokens and 12 heads the matrix of all scores takes 805 MB, so
no rule below ever makes it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from napari_sam.model.encoders import products
from napari_sam.model.encoders.layers import from_windows, to_windows

_SCORES_AT_ONCE = 2**22
"""Scores whose bias `_attend_in_parts` holds at a time: 16 MiB, or 1024 queries of 4096 keys. More fall out of the
caches; fewer take more steps, between which all threads wait for each other, and that is slow on a busy machine."""


_WRITTEN_AT_ONCE = 2**21
"""Scores that `_attend_by_products` holds at a time: 8 MiB, twice."""

_MANY_TOKENS = 1024
"""In smaller windows the fused calls are as fast."""


def attend(qkv: Tensor, pad: Tensor, rel_h: Tensor, rel_w: Tensor, window: int) -> Tensor:
    """Let the tokens of each window attend to each other.

    Parameters
    ----------
    qkv : Tensor, shape (B, H, W, 3, heads, d)
        Queries, keys and values of a grid of tokens.
    pad : Tensor, shape (3, heads, d)
        Query, key and value of a token that pads the grid to whole windows. Padding is attended to, as in the
        published models.
    rel_h, rel_w : Tensor, shape (2 * window - 1, d)
        Relative position tables, for distances from ``1 - window`` to ``window - 1``.
    window : int
        Side of a window; the side of the whole grid for global attention.

    Returns
    -------
    Tensor, shape (B, H, W, heads * d)
    """
    rule = _attend_in_parts
    if qkv.is_cuda:
        rule = _attend_folded
    elif window**2 >= _MANY_TOKENS and not torch.is_grad_enabled() and products.faster_by_convolution():
        rule = _attend_by_products
    return rule(qkv, pad, _by_offset(rel_h, window), _by_offset(rel_w, window))


def _by_offset(table: Tensor, size: int) -> Tensor:
    """Give the (size, size, d) entries of a relative position table, for each query and key position."""
    at = torch.arange(size, device=table.device)
    return table[at[:, None] - at[None, :] + size - 1]


def _windows_by_head(qkv: Tensor, pad: Tensor, size: int) -> Tensor:
    """Cut into windows: (3, windows, heads, size, size, d)."""
    windows = to_windows(qkv.flatten(3), size, pad.flatten())
    return torch.unflatten(windows, -1, pad.shape).permute(3, 0, 4, 1, 2, 5)


def _from_windows_by_head(answer: Tensor, size: int, height: int, width: int) -> Tensor:
    """Put (windows, heads, size², d) together again: (B, height, width, heads * d)."""
    windows = torch.unflatten(answer.transpose(1, 2).flatten(2), 1, (size, size))
    return from_windows(windows, height, width)


def _biases(q: Tensor, rel_h: Tensor, rel_w: Tensor) -> tuple[Tensor, Tensor]:
    """Position terms of (n, heads, size, size, d) queries for each row and each column of keys."""
    of_rows, of_columns = torch.einsum("nhyxc,yic->nhyxi", q, rel_h), torch.einsum("nhyxc,xjc->nhyxj", q, rel_w)
    # These are small. In another order of the axes, their large sum would have it, too, and be copied to be flattened.
    return of_rows.contiguous(), of_columns.contiguous()


def _attend_in_parts(qkv: Tensor, pad: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """Make fused calls with a bias, each for a few heads or for some rows of one: the fastest exact rule on a CPU."""
    size, (batch, height, width, _, heads, _) = len(rel_h), qkv.shape
    windows = batch * -(-height // size) * -(-width // size)
    # Whole heads, where several fit: fewer calls.
    together = max(1, _SCORES_AT_ONCE // (windows * size**4))
    answers = []
    for first in range(0, heads, together):
        some = slice(first, first + together)
        q, k, v = _windows_by_head(qkv[..., some, :], pad[:, some], size).unbind(0)
        answers.append(_from_windows_by_head(_attend_some(q, k, v, rel_h, rel_w), size, height, width))
    return torch.cat(answers, -1)


def _attend_some(q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """Attend among (n, heads, size, size, d) queries, keys and values, a few rows at a time: (n, heads, size², d)."""
    # A row's and a column's terms are small; only their sum is as large as the scores.
    bias_h, bias_w = _biases(q, rel_h, rel_w)
    keys, values = k.flatten(2, 3), v.flatten(2, 3)
    n, heads, size = q.shape[:3]
    rows = max(1, _SCORES_AT_ONCE // (n * heads * size**3))
    answers = []
    for top in range(0, size, rows):
        own_q, own_h, own_w = (part[:, :, top : top + rows] for part in (q, bias_h, bias_w))
        own = (own_q, own_h, own_w, keys, values)
        if torch.is_grad_enabled() and q.requires_grad:
            # With gradient, the scores of all rows would be kept: they are computed again instead.
            answers.append(checkpoint(_attend_rows, *own, use_reentrant=False, preserve_rng_state=False))
        else:
            answers.append(_attend_rows(*own))
    return torch.cat(answers, 2)


def _attend_rows(q: Tensor, bias_h: Tensor, bias_w: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Let (n, heads, rows, size, d) queries attend to all keys of their windows: (n, heads, rows * size, d)."""
    bias = (bias_h[..., None] + bias_w[..., None, :]).flatten(4).flatten(2, 3)
    return F.scaled_dot_product_attention(q.flatten(2, 3), keys, values, attn_mask=bias)


def _attend_by_products(qkv: Tensor, pad: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """Write the scores of some rows of one head down, and multiply by the faster routine: for few, large windows."""
    size, (_, height, width, _, heads, channels) = len(rel_h), qkv.shape
    windows = torch.unflatten(to_windows(qkv.flatten(3), size, pad.flatten()), -1, pad.shape)
    answers = qkv.new_empty(len(windows), size, size, heads, channels)
    for window, answer in zip(windows, answers, strict=True):
        for head in range(heads):
            q, k, v = window[..., head, :].unbind(2)
            answer[..., head, :] = _attend_written(q, k, v, rel_h, rel_w)
    return from_windows(answers.flatten(3), height, width)


def _attend_written(q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """Attend among the (size, size, d) queries, keys and values of one head in one window."""
    size, channels = len(q), q.shape[-1]
    bias_h, bias_w = (bias[0, 0] for bias in _biases(q[None, None], rel_h, rel_w))
    queries, keys = q * channels**-0.5, k.flatten(0, 1).contiguous()
    values = v.flatten(0, 1).mT.contiguous()
    rows = max(1, _WRITTEN_AT_ONCE // size**3)
    answers = []
    for some in (slice(top, top + rows) for top in range(0, size, rows)):
        # Rows and columns of queries, then of keys.
        scores = torch.unflatten(products.linear(queries[some], keys), 2, (size, size))
        scores += bias_h[some, :, :, None]
        scores += bias_w[some, :, None, :]
        answers.append(products.linear(scores.flatten(2).softmax(2), values))
    return torch.cat(answers)


def _attend_folded(qkv: Tensor, pad: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """One fused call for all heads, the two position terms folded into extra channels of queries and keys.

    ``q . Rh[y - i]`` is the dot product of (q . Rh[y - 0], q . Rh[y - 1], ...) with the one-hot vector of i, so queries
    carry the former, keys the latter, and a flash kernel needs no bias.
    """
    size, channels = len(rel_h), qkv.shape[-1]
    q, k, v = _windows_by_head(qkv, pad, size).unbind(0)
    one_hot = torch.eye(size, dtype=k.dtype, device=k.device)
    at_i, at_j = one_hot[:, None].expand(size, size, size), one_hot[None].expand(size, size, size)
    place = torch.cat([at_i, at_j], -1).expand(*k.shape[:-1], 2 * size)
    # Scaled here and not by the kernel, which would scale the position terms as well.
    folded_q = torch.cat([q * channels**-0.5, *_biases(q, rel_h, rel_w)], -1).flatten(2, 3)
    folded_k = torch.cat([k, place], -1).flatten(2, 3)
    # The flash kernel wants as many channels in values as in keys, a multiple of eight.
    total = -(-folded_k.shape[-1] // 8) * 8
    padded_q, padded_k, padded_v = (F.pad(t, (0, total - t.shape[-1])) for t in (folded_q, folded_k, v.flatten(2, 3)))
    answer = F.scaled_dot_product_attention(padded_q, padded_k, padded_v, scale=1.0)[..., :channels]
    return _from_windows_by_head(answer, size, *qkv.shape[1:3])
