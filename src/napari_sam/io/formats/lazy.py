"""Arrays that stay in their file: a NumPy index reads what it asks for, and no more.

They serve the formats for which no library gives such an array, or gives it with its axes in another order. Where one
does (memory maps), it is used as it is.
"""

from __future__ import annotations

import math
import operator
import threading
from abc import ABC, abstractmethod
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from cachetools import LRUCache

from napari_sam.errors import InputError
from napari_sam.io.memory import require_room
from napari_sam.io.reading import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

Key = tuple[int | slice, ...]
"""One place per axis: an integer from 0, or a slice with a start, a stop and a step of its own; nothing left out."""

# Pages kept by an array of pages, in bytes: planes across the pages would decode every page anew.
KEPT_BYTES = 256 * 2**20


class LazyArray(ABC):
    """An array in a file, for reading with integers and slices.

    Parameters
    ----------
    shape : sequence of int
    dtype : dtype-like
        Of what is read.
    """

    def __init__(self, shape: Sequence[int], dtype: DTypeLike) -> None:
        self.shape = tuple(int(size) for size in shape)
        self.dtype = np.dtype(dtype)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that the whole of it would take in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return self._read(full_key(key, self.shape))

    def __array__(self, dtype: DTypeLike | None = None, *, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("an array in a file cannot be had without a copy")
        return np.asarray(self[()], dtype=dtype)

    @abstractmethod
    def _read(self, key: Key) -> NDArray[Any]:
        """Read a part; thread-safe."""


class ArrangedArray(LazyArray):
    """Another array with its axes in another order, axes of length 1 left out.

    Parameters
    ----------
    source : array-like
        Read by integers and slices; safe to read from several threads.
    order : sequence of int
        Axes of the source, in the wanted order; the others are of length 1.
    path : Path
        Named in errors.
    dtype : dtype-like, optional
        Of what the source reads, where it does not say so itself.
    """

    def __init__(self, source: Any, order: Sequence[int], path: Path, dtype: DTypeLike | None = None) -> None:
        super().__init__([source.shape[axis] for axis in order], source.dtype if dtype is None else dtype)
        self._source = source
        self._order = tuple(order)
        self._path = path

    def _read(self, key: Key) -> NDArray[Any]:
        # Axes that are left out have one place only.
        places: list[int | slice] = [0] * len(self._source.shape)
        for axis, place in zip(self._order, key, strict=True):
            places[axis] = place
        words = _words(key, self.shape)
        require_room(self._path, _count(key, self.shape) * self.dtype.itemsize, words)
        with reading(self._path, words):
            part = np.asarray(self._source[tuple(places)], dtype=self.dtype)
        # Integers drop their axes, as in NumPy; what is left comes in the order of the source.
        kept = [axis for axis, place in zip(self._order, key, strict=True) if isinstance(place, slice)]
        return part.transpose([sorted(kept).index(axis) for axis in kept])


class PagedArray(LazyArray):
    """An array of pages, each of which is read as a whole.

    Parameters
    ----------
    read : callable
        Reads one page, given its number in C order of the leading axes; called by one thread at a time.
    leading : sequence of int
        Lengths of the axes that pages are counted along.
    page : sequence of int
        Shape of a page.
    dtype : dtype-like
    path : Path
        Named in errors.
    kept : int
        Bytes of pages to keep for the next reads.
    """

    def __init__(
        self,
        read: Callable[[int], NDArray[Any]],
        leading: Sequence[int],
        page: Sequence[int],
        dtype: DTypeLike,
        path: Path,
        kept: int = KEPT_BYTES,
    ) -> None:
        super().__init__((*leading, *page), dtype)
        self._read_page = read
        self._leading = len(leading)
        self._path = path
        self._pages: LRUCache[int, NDArray[Any]] = LRUCache(kept, lambda page: page.nbytes)
        self._lock = threading.Lock()

    def _read(self, key: Key) -> NDArray[Any]:
        require_room(self._path, _count(key, self.shape) * self.dtype.itemsize, _words(key, self.shape))
        places, inside = key[: self._leading], key[self._leading :]
        ranges = [
            [place] if isinstance(place, int) else range(*place.indices(size))
            for place, size in zip(places, self.shape, strict=False)
        ]
        numbers = [int(np.ravel_multi_index(at, self.shape[: self._leading])) for at in product(*ranges)]
        lengths = [len(r) for r, place in zip(ranges, places, strict=True) if isinstance(place, slice)]
        if not lengths:
            # A copy: pages are kept, and must not change with what a reader does to its own.
            return np.array(self._page(numbers[0])[inside])
        within = [
            len(range(*i.indices(n)))
            for i, n in zip(inside, self.shape[self._leading :], strict=True)
            if isinstance(i, slice)
        ]
        result = np.empty((len(numbers), *within), self.dtype)
        for row, number in enumerate(numbers):
            result[row] = self._page(number)[inside]
        return result.reshape(*lengths, *within)

    def _page(self, number: int) -> NDArray[Any]:
        # The reader is promised one call at a time, and two threads may want the same page.
        with self._lock:
            if (page := self._pages.get(number)) is not None:
                return page
            # A page is decoded as a whole, however little of it is asked for.
            require_room(self._path, math.prod(self.shape[self._leading :]) * self.dtype.itemsize, f"plane {number}")
            with reading(self._path, f"plane {number}"):
                page = np.asarray(self._read_page(number), dtype=self.dtype)
            shape = self.shape[self._leading :]
            if page.shape != shape:
                raise InputError(
                    f"Plane {number} of {self._path} is of shape {page.shape}, the others of {shape}. "
                    "A stack has planes of one size; take that one out."
                )
            if page.nbytes <= self._pages.maxsize:  # a larger one is decoded anew
                self._pages[number] = page
            return page


def full_key(key: Any, shape: tuple[int, ...]) -> Key:
    """Say for every axis what an index means, as NumPy would.

    Parameters
    ----------
    key : int, slice, Ellipsis, or tuple of these
    shape : tuple of int
        Of the array.

    Raises
    ------
    IndexError
        If there are too many places, one lies outside, or a slice goes backwards.
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    if (gaps := sum(part is Ellipsis for part in parts)) > 1 or len(parts) - gaps > len(shape):
        raise IndexError(f"{len(parts)} indices for {len(shape)} axes")
    gap = parts.index(Ellipsis) if gaps else len(parts)
    parts[gap : gap + gaps] = [slice(None)] * (len(shape) - len(parts) + gaps)
    return tuple(_place(part, size) for part, size in zip(parts, shape, strict=True))


def _place(part: Any, size: int) -> int | slice:
    if isinstance(part, slice):
        start, stop, step = part.indices(size)
        if step < 0:
            raise IndexError("arrays on disk are read forwards; turn what was read around")
        # Where it ends before it starts, there is nothing, as in NumPy.
        return slice(start, max(start, stop), step)
    place = operator.index(part)
    if not -size <= place < size:
        raise IndexError(f"index {place} on an axis of length {size}")
    return int(place % size)


def _count(key: Key, shape: tuple[int, ...]) -> int:
    """Count the values that a key reads."""
    lengths = (len(range(*p.indices(n))) for p, n in zip(key, shape, strict=True) if isinstance(p, slice))
    return math.prod(lengths)


def _words(key: Key, shape: tuple[int, ...]) -> str:
    """Say which part is read: "plane 3, 7", or nothing where it is all of it."""
    places = [str(place) for place in key if isinstance(place, int)]
    return f"plane {', '.join(places)}" if places and len(places) < len(shape) else ""
