"""Crops of a plane, read out of one resolution or of several: only what a crop covers is touched.

Data may be anything that NumPy indexing reads: numpy, memmap, dask, zarr, tensorstore. A crop that is coarser than
the resolution at hand is averaged, a band of rows at a time, so that even a crop over a huge plane needs little
memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sam.planes import Crop
    from napari_sam.progress import Progress

_MOST_AT_ONCE = 1 << 24
"""Data pixels read at a time where they are averaged: 64 MiB as float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One resolution of a plane.

    Attributes
    ----------
    read : callable
        Takes a slice of rows and one of columns of this level, and returns its pixels, (h, w) or (h, w, channels).
    shape : (int, int)
        Height and width, in pixels of this level.
    factors : (float, float)
        Data pixels that one of its pixels covers, along y and x.
    """

    read: Callable[[slice, slice], NDArray[Any]]
    shape: tuple[int, int]
    factors: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Pyramid:
    """A plane in one or several resolutions.

    Attributes
    ----------
    levels : tuple of Level
        Finest first; the first one is the plane itself.
    """

    levels: tuple[Level, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the plane, in data pixels."""
        return self.levels[0].shape

    def fitted(self, crop: Crop) -> Crop:
        """Lay a crop on the pixels of the level that it is read from; `read` takes such a crop."""
        level, averaged = self._level(crop)
        steps = tuple(factor * count for factor, count in zip(level.factors, averaged, strict=True))
        start, shape = [], []
        for first, last, factor, size in zip(crop.start, crop.stop, level.factors, self.shape, strict=True):
            # Factors may be fractions: what is whole but for rounding stays where it is.
            begin = math.floor(first / factor + 1e-9) * factor
            start.append(begin)
            shape.append(int(min(math.ceil(last / factor - 1e-9) * factor, size) - begin))
        return replace(crop, start=(start[0], start[1]), shape=(shape[0], shape[1]), steps=(steps[0], steps[1]))

    def cost(self, crop: Crop) -> int:
        """Count the pixels that reading a crop touches, at its level."""
        level, _ = self._level(crop)
        return int(np.prod([side / factor for side, factor in zip(crop.shape, level.factors, strict=True)]))

    def read(self, crop: Crop, progress: Progress = no_progress) -> NDArray[Any]:
        """Read the picture of a crop that `fitted` gave.

        Parameters
        ----------
        crop : Crop
            What to read.
        progress : Progress
            Called between bands of rows where much is averaged; may raise `Cancelled`.

        Returns
        -------
        numpy.ndarray, shape ``crop.picture`` or with a last axis of channels
            In the dtype of the data; float32 for bool that was averaged.
        """
        level, (down, across) = self._level(crop)
        top, left = (round(at / factor) for at, factor in zip(crop.start, level.factors, strict=True))
        bottom, right = (
            min(math.ceil(at / factor - 1e-9), size)
            for at, factor, size in zip(crop.stop, level.factors, level.shape, strict=True)
        )
        if down == across == 1:
            return _matched(level.read(slice(top, bottom), slice(left, right)), crop.picture)
        # Whole blocks: an average over a part of one would lie a little off.
        rows = max(1, _MOST_AT_ONCE // (down * (right - left))) * down
        bands = []
        for first in range(top, bottom, rows):
            progress((first - top) / (bottom - top))
            bands.append(
                _averaged(level.read(slice(first, min(first + rows, bottom)), slice(left, right)), down, across)
            )
        return _matched(np.concatenate(bands), crop.picture)

    def _level(self, crop: Crop) -> tuple[Level, tuple[int, int]]:
        """Find the coarsest level that is fine enough, and how many of its pixels are averaged along y and x."""
        enough = [
            level
            for level in self.levels
            # A level of 5001 pixels for 10001 is a hair coarser than every second pixel.
            if all(factor <= 1.01 * step for factor, step in zip(level.factors, crop.steps, strict=True))
        ]
        # The first of equals: a level that is coarser only across the plane is a blurred or another plane.
        level = max(enough or [self.levels[0]], key=lambda level: math.prod(level.factors))
        down, across = (max(1, round(step / factor)) for step, factor in zip(crop.steps, level.factors, strict=True))
        return level, (down, across)


def level_factors(fine: tuple[int, ...], coarse: tuple[int, ...]) -> tuple[float, ...]:
    """Tell how many pixels of the full resolution one of a coarser level covers, along each axis.

    Sides that do not divide are rounded up or down by whoever made the level: 5001 pixels for 10001 are two to one.
    """
    found = []
    for many, few in zip(fine, coarse, strict=True):
        ratio = many / few
        nearest = max(1, round(ratio))
        found.append(float(nearest) if few in (many // nearest, -(-many // nearest)) else ratio)
    return tuple(found)


def _averaged(pixels: NDArray[Any], down: int, across: int) -> NDArray[Any]:
    """Average blocks of pixels; those at the far ends may be smaller."""
    # Sums of integers of 64 bits would lose digits in float32.
    wide = np.float64 if pixels.dtype.itemsize > 4 else np.float32
    # reduceat sums the shorter block at the end as well, where a reshape would need whole ones.
    total = np.add.reduceat(pixels.astype(wide), np.arange(0, pixels.shape[0], down), axis=0)
    total = np.add.reduceat(total, np.arange(0, pixels.shape[1], across), axis=1)
    counts = [np.diff([*range(0, size, step), size]) for size, step in zip(pixels.shape, (down, across), strict=False)]
    area = np.outer(*counts).reshape(*total.shape[:2], *[1] * (total.ndim - 2))
    mean = total / area.astype(wide)
    # Rounded, because cutting digits off would darken every coarser picture.
    if pixels.dtype.kind in "ui":
        mean = np.rint(mean)
    averaged: NDArray[Any] = mean.astype(np.float32 if pixels.dtype.kind == "b" else pixels.dtype)
    return averaged


def _matched(pixels: NDArray[Any], picture: tuple[int, int]) -> NDArray[Any]:
    """Give a picture the size that its crop says: a level may be a pixel short of the plane it was made of."""
    pixels = pixels[: picture[0], : picture[1]]
    missing = [(0, max(0, wanted - got)) for wanted, got in zip(picture, pixels.shape, strict=False)]
    # The last pixels once more: black ones would look like the border of something.
    return np.pad(pixels, [*missing, *[(0, 0)] * (pixels.ndim - 2)], mode="edge") if any(map(any, missing)) else pixels
