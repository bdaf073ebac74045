"""Pixels that are kept for undo, in as little room as zlib makes of them: most masks and labels are large and plain."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEVEL = 1
"""Of zlib: the quickest, as a person waits for it; the others save a third more and take thrice the time."""


@dataclass(frozen=True, slots=True, eq=False)
class CompressedArray:
    """An array that is packed until it is asked for.

    Attributes
    ----------
    shape : tuple of int
        Its shape.
    dtype : numpy.dtype
        Its dtype; bool is packed into bits.
    contents : bytes
        Its compressed values, in C order; one value alone where all are the same.
    uniform : bool
        Whether all values are the same.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    contents: bytes
    uniform: bool

    @classmethod
    def of(cls, array: NDArray[Any]) -> CompressedArray:
        """Pack an array."""
        # An object on empty pixels is all zeros before, and all one label after.
        if array.size and (not any(array.strides) or (array == array.flat[0]).all()):
            return cls(array.shape, array.dtype, np.array(array.flat[0], array.dtype).tobytes(), True)
        plain = np.packbits(array) if array.dtype == bool else np.ascontiguousarray(array)
        return cls(array.shape, array.dtype, zlib.compress(plain.data, _LEVEL), False)

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return len(self.contents)

    def array(self) -> NDArray[Any]:
        """Unpack; the array may be read-only."""
        if self.uniform:
            return np.broadcast_to(np.frombuffer(self.contents, self.dtype).reshape(()), self.shape)
        plain = np.frombuffer(zlib.decompress(self.contents), np.uint8)
        if self.dtype == bool:
            # Bits are packed into whole bytes: those beyond the last pixel are none.
            return np.unpackbits(plain, count=int(np.prod(self.shape))).view(bool).reshape(self.shape)
        return plain.view(self.dtype).reshape(self.shape)


def values_at(block: NDArray[Any], pixels: NDArray[np.bool_]) -> NDArray[Any]:
    """Return what some pixels of a block hold, (n,), in C order; one value for all of them where it is the same.

    That takes a third of the time and of the memory, and is so for most objects; at least one pixel must be given.
    """
    first = block[np.unravel_index(pixels.argmax(), pixels.shape)]
    if ((block == first) | ~pixels).all():
        same: NDArray[Any] = np.broadcast_to(first, int(np.count_nonzero(pixels)))
        return same
    values: NDArray[Any] = block[pixels]
    return values


def whole_slices(region: tuple[int | slice, ...]) -> tuple[slice, ...]:
    """Return the index of a box as one that keeps all axes."""
    return tuple(at if isinstance(at, slice) else slice(at, at + 1) for at in region)


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """Pixels of a box in labels that changed.

    Attributes
    ----------
    region : tuple of (int or slice)
        Index of the box in the layer's data, at full resolution; slices have a start and a stop.
    pixels : CompressedArray, bool
        Which pixels of the box changed; one axis for each slice.
    before, after : CompressedArray, shape (n,)
        What these pixels held before, and since, in C order.
    """

    region: tuple[int | slice, ...]
    pixels: CompressedArray
    before: CompressedArray
    after: CompressedArray

    @classmethod
    def of(
        cls,
        region: tuple[int | slice, ...],
        pixels: NDArray[np.bool_],
        before: NDArray[Any],
        after: NDArray[Any],
    ) -> Change:
        """Pack a change; `before` and `after` are of shape (n,)."""
        return cls(region, CompressedArray.of(pixels), CompressedArray.of(before), CompressedArray.of(after))

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return self.pixels.nbytes + self.before.nbytes + self.after.nbytes
