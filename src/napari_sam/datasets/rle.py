"""COCO's runs: compressed as pycocotools has them, and back without trust in what a file says.

Reading does without pycocotools, which reads and writes beyond its memory where the runs are damaged, and lays out the
whole plane for every mask; the format of the text is that of its ``rleToString``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.datasets.documents import EmptyMaskError, items, record, whole
from napari_sam.errors import InputError
from napari_sam.masks import decode_boxed, encode_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.datasets.documents import Intake
    from napari_sam.masks import BoxedMask

_MOST_PIXELS = 2**32 - 1  # pycocotools counts in 32 bits
_MOST_DIGITS = 8  # of five bits each; pycocotools writes seven at most
# Bytes for a pixel of the columns that a mask touches, while it is laid out.
_WORK = 4


def compressed(mask: BoxedMask) -> dict[str, Any]:
    """Encode a mask as COCO's compressed RLE, ``{"size": [H, W], "counts": text}``.

    Raises
    ------
    InputError
        If the plane has more pixels than COCO's runs count.
    """
    from pycocotools import mask as coco

    height, width = mask.plane
    if height * width > _MOST_PIXELS:
        raise InputError(f"COCO's masks have {_MOST_PIXELS} pixels at most; the image has {height * width}. Crop it.")
    runs = coco.frPyObjects(encode_mask(mask.mask, mask.origin, mask.plane), height, width)
    return {"size": [height, width], "counts": runs["counts"].decode("ascii")}


def boxed(segmentation: Any, shape: tuple[int, int], intake: Intake) -> BoxedMask:
    """Decode COCO's RLE, compressed or not.

    Parameters
    ----------
    segmentation : mapping
        ``{"size": [H, W], "counts": text or list of int}``.
    shape : (int, int)
        Of the image.
    intake : Intake
        Bounds the memory; the mask counts as kept.

    Raises
    ------
    InputError
        If it is damaged, of another size than the image, empty, or too large for the memory.
    """
    runs = record(segmentation, "segmentation")
    size = tuple(whole(side, "size") for side in items(runs.get("size"), "size"))
    if size != shape:
        raise InputError(f"its mask is {' x '.join(map(str, size))} px, the image {shape[0]} x {shape[1]} px.")
    counts = runs.get("counts")
    lengths = _lengths(counts) if isinstance(counts, str) else _given(items(counts, "counts"))
    intake.allow(_strip(lengths, shape) * _WORK)
    mask = decode_boxed({"size": shape, "counts": lengths})
    if not mask.mask.size:
        raise EmptyMaskError("its mask is empty.")
    return intake.keep(mask)


def _given(counts: list[Any]) -> NDArray[np.int64]:
    try:
        lengths = np.asarray(counts)
    except (ValueError, OverflowError):
        lengths = np.empty(0)
    # Floats would be cut, and texts parsed.
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths > _MOST_PIXELS).any():
        raise InputError("its mask is damaged: counts are not whole numbers.")
    return lengths.astype(np.int64)


def _strip(lengths: NDArray[np.int64], shape: tuple[int, int]) -> int:
    """Count the pixels of the columns that runs touch; nothing of that is known where they do not fill the plane."""
    edges = np.cumsum(lengths)
    begins, ends = edges[:-1:2], edges[1::2]
    inside = ends > begins
    if not inside.any() or (lengths < 0).any() or edges[-1] != shape[0] * shape[1]:
        return 0
    columns = int(ends[inside][-1] - 1) // shape[0] + 1 - int(begins[inside][0]) // shape[0]
    return columns * shape[0]


def _lengths(counts: str) -> NDArray[np.int64]:
    """Read runs out of COCO's text.

    Each is a number of digits of five bits, the least first; 32 says that more follow, 16 in the last one is the sign.
    From the fourth run on, what is written is the difference from the run before the last.
    """
    digits = np.frombuffer(counts.encode("utf-8"), dtype=np.uint8).astype(np.int64) - 48
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        raise InputError("its mask is damaged: its runs are cut, or no text of COCO's.")
    last = np.flatnonzero((digits & 32) == 0)
    first = np.r_[0, last[:-1] + 1]
    if (last - first).max() >= _MOST_DIGITS:
        raise InputError("its mask is damaged: a run is longer than any image.")
    place = np.arange(len(digits)) - np.repeat(first, last - first + 1)
    values = np.add.reduceat((digits & 31) << (5 * place), first)
    values -= np.where(digits[last] & 16, np.int64(1) << (5 * (last - first + 1)), 0)
    for start in (1, 2):
        values[start::2] = np.cumsum(values[start::2])
    return values
