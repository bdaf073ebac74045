"""What an image is known by when it is opened another time: a digest of its pixels, whatever it is called by then."""

from __future__ import annotations

import hashlib
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from napari_sam.progress import Progress

_WHOLE = 2**22
"""Images of up to so many values are read as a whole."""
_CROP = 128
"""Side of the crops that are read of larger ones, pixels."""
_PLACES = (0.2, 0.5, 0.8)


def pixels_digest(data: Any, ndim: int, progress: Progress = no_progress) -> str:
    """Return a digest of the pixels of an image; of a large one, of crops all over it.

    The same pixels give the same digest, however they are kept: in memory, on disk, in whichever order of bytes.

    Parameters
    ----------
    data : array-like
        The image at full resolution: anything that NumPy indexing reads; colour, if any, is the last axis.
    ndim : int
        Its axes, without colour.
    progress : Progress
        Called between crops; may raise `Cancelled`.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    shape = tuple(int(side) for side in data.shape)
    dtype = np.dtype(getattr(data.dtype, "numpy_dtype", data.dtype)).newbyteorder("<")
    digest = hashlib.blake2b(f"{dtype.str}{shape}".encode(), digest_size=16)
    for index in _crops(shape, ndim):
        progress(0.0)
        digest.update(np.ascontiguousarray(np.asarray(data[index]), dtype=dtype).data)
    return digest.hexdigest()


def _crops(shape: tuple[int, ...], ndim: int) -> list[tuple[slice, ...]]:
    """Choose what is read: boxes, one plane thick, at some places of every axis."""
    if np.prod(shape, dtype=np.float64) <= _WHOLE:
        return [tuple(slice(0, side) for side in shape)]
    found = []
    for place in product(_PLACES, repeat=3):
        # The planes lie along a diagonal of the stack, so that there are as many for five axes as for three.
        shares = [place[0]] * (ndim - 2) + [place[1], place[2]]
        sides = [1] * (ndim - 2) + [_CROP, _CROP]
        starts = [
            int(share * max(0, length - side)) for share, side, length in zip(shares, sides, shape[:ndim], strict=True)
        ]
        index = tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))
        if index not in found:
            found.append(index)
    return found
