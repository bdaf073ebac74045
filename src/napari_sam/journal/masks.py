"""Masks as runs, as COCO does it: column by column, starting with a run of background; uncompressed counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def encode_mask(mask: NDArray[np.bool_], origin: tuple[int, int], shape: tuple[int, int]) -> dict[str, Any]:
    """Encode a mask of a plane as COCO's uncompressed RLE.

    Parameters
    ----------
    mask : numpy.ndarray, shape (h, w), bool
        The mask, cut to a box.
    origin : (int, int)
        Upper left pixel of the box on the plane, (y, x).
    shape : (int, int)
        Height and width of the plane.

    Returns
    -------
    dict
        ``{"size": [H, W], "counts": [...]}``: lengths of runs of background and object in turns, in column-major order.
    """
    height, width = shape
    # A row of background above and below ends every run within its column.
    padded = np.zeros((mask.shape[0] + 2, mask.shape[1]), dtype=np.int8)
    padded[1:-1] = mask
    change = np.diff(padded, axis=0).T
    column, start = np.nonzero(change == 1)
    _, stop = np.nonzero(change == -1)
    first = (origin[1] + column) * height + origin[0]
    begins, ends = first + start, first + stop
    # A run that reaches the bottom goes on at the top of the next column.
    joined = ends[:-1] == begins[1:]
    begins, ends = begins[np.r_[True, ~joined][: len(begins)]], ends[np.r_[~joined, True][: len(ends)]]
    edges = np.concatenate([[0], np.stack([begins, ends], axis=1).ravel(), [height * width]])
    counts = np.diff(edges)
    return {"size": [height, width], "counts": [int(c) for c in (counts if counts[-1] else counts[:-1])]}


def decode_mask(encoded: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Decode what `encode_mask` gave, to the whole plane, (H, W) bool.

    Raises
    ------
    InputError
        If the runs do not fill the plane, or are no runs.
    """
    try:
        height, width = encoded["size"]
        counts = np.asarray(encoded["counts"], dtype=np.int64)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError("This mask is damaged: it has no runs.") from error
    if counts.ndim != 1:
        raise InputError("This mask is damaged: it has no runs.")
    if counts.sum() != height * width or (counts < 0).any():
        raise InputError(f"This mask is damaged: its runs cover {counts.sum()} of {height * width} pixels.")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape((width, height)).T
