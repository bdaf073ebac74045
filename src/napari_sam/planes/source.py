"""Planes of an image: which one, how it is seen, and how it is read, as a whole, in part, or one after another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from napari_sam.planes import whole
from napari_sam.planes.blending import BlendedImage
from napari_sam.planes.plane import Plane
from napari_sam.planes.pyramid import Level, Pyramid, level_factors
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import ArrayLike, NDArray

    from napari_sam.planes import Crop
    from napari_sam.progress import Progress


class Planes(Protocol):
    """A row of planes of one shape, contrast and spacing."""

    def __len__(self) -> int:
        """Count the planes."""

    def __getitem__(self, index: int, /) -> Plane:
        """Read one plane; only this one is touched."""


@runtime_checkable
class SourcePlanes(Planes, Protocol):
    """Planes of which a part can be read."""

    def source(self, index: int, /) -> PlaneSource:
        """Return what reads one plane in part; nothing is read yet."""


def source_of(planes: Planes, index: int) -> PlaneSource:
    """Return what reads crops of one of a row of planes, which is read as a whole where it cannot be read in part."""
    return planes.source(index) if isinstance(planes, SourcePlanes) else PlaneSource.of(planes[index])


@dataclass(frozen=True, slots=True, eq=False)
class ArrayPlanes:
    """The planes of an n-D array along one of its axes.

    Parameters
    ----------
    data : array-like
        Anything that NumPy indexing reads: numpy, dask, zarr, tensorstore, ... Colour, if any, is the last axis.
    axis : int
        The data axis that the planes follow each other along.
    index : tuple of (int or None)
        For each data axis, without colour, its index; None for the two axes of the plane, rows first. The index at
        `axis` does not count.
    contrast_limits, gamma, spacing
        See `napari_sam.planes.plane.Plane`; the same for all planes.
    coarser : tuple of array-like
        The same image in lower resolutions, finest first; crops of large objects are read from there.
    """

    data: Any
    axis: int
    index: tuple[int | None, ...]
    contrast_limits: tuple[float, float] | None = None
    gamma: float = 1.0
    spacing: tuple[float, float] = (1.0, 1.0)
    coarser: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        if self.index.count(None) != 2 or self.index[self.axis] is None:
            raise ValueError(f"a plane has two axes, and another one that planes follow each other along: {self}")

    def __len__(self) -> int:
        return int(self.data.shape[self.axis])

    def __getitem__(self, index: int, /) -> Plane:
        self._require(index)
        at = [slice(None) if place is None else place for place in self.index]
        at[self.axis] = index
        return Plane(np.asarray(self.data[tuple(at)]), self.contrast_limits, self.gamma, self.spacing)

    def source(self, index: int, /) -> PlaneSource:
        """Return what reads one plane in part; nothing is read yet, unless its grey values have to be known."""
        self._require(index)
        grey = len(self.data.shape) == len(self.index)
        if grey and self.contrast_limits is None and np.dtype(self.data.dtype) not in (np.uint8, np.bool_):
            return PlaneSource.of(self[index])  # a crop must look as it does in the whole plane
        rows, columns = (axis for axis, place in enumerate(self.index) if place is None)
        places = tuple(index if axis == self.axis else place for axis, place in enumerate(self.index))
        shape = int(self.data.shape[rows]), int(self.data.shape[columns])
        view = PlaneIndex((rows, columns), places, shape, self.spacing)
        return PlaneSource(self.data, view, self.contrast_limits, self.gamma, coarser=self.coarser)

    def _require(self, index: int) -> None:
        if not 0 <= index < len(self):
            raise IndexError(f"plane {index} of {len(self)}")


@dataclass(frozen=True, slots=True)
class PlaneIndex:
    """One plane of an image.

    Attributes
    ----------
    axes : (int, int)
        The data axes of the plane, in ascending order: its rows and its columns.
    index : tuple of (int or None)
        For each data axis its index; None for the two of the plane.
    shape : (int, int)
        Height and width of the plane, in data pixels.
    spacing : (float, float)
        Distance between pixels along the two axes; only the ratio counts.
    """

    axes: tuple[int, int]
    index: tuple[int | None, ...]
    shape: tuple[int, int]
    spacing: tuple[float, float] = (1.0, 1.0)

    def slices(self, start: tuple[int, int] = (0, 0), size: tuple[int, int] | None = None) -> tuple[int | slice, ...]:
        """Return what to index the image with to get a rectangle of the plane.

        Parameters
        ----------
        start, size : (int, int)
            Upper left pixel and size of the rectangle, in data pixels; by default the whole plane.
        """
        size = self.shape if size is None else size
        rows, columns = (slice(at, at + n) for at, n in zip(start, size, strict=True))
        found: list[int | slice] = [0 if i is None else i for i in self.index]
        found[self.axes[0]], found[self.axes[1]] = rows, columns
        return tuple(found)

    def at(self, axis: int, index: int) -> PlaneIndex:
        """Return the plane with another index along one of the axes that are not its own."""
        return replace(self, index=tuple(index if i == axis else at for i, at in enumerate(self.index)))

    def holds(self, positions: ArrayLike) -> NDArray[np.bool_]:
        """Tell which positions, (..., D) data pixels, lie on this plane: their other coordinates round to its index."""
        others = [axis for axis, i in enumerate(self.index) if i is not None]
        wanted = np.array([self.index[axis] for axis in others], dtype=np.float64)
        near: NDArray[np.bool_] = np.all(np.round(np.asarray(positions, float)[..., others]) == wanted, axis=-1)
        return near

    def words(self, names: tuple[str, ...]) -> str:
        """Name the plane, such as "plane z = 12"; "image" when there is only one.

        Parameters
        ----------
        names : tuple of str
            Names of the data axes.
        """
        named = [f"{names[axis]} = {i}" for axis, i in enumerate(self.index) if i is not None]
        return f"plane {', '.join(named)}" if named else "image"


@dataclass(frozen=True, slots=True, eq=False)
class PlaneSource:
    """What it takes to read one plane of an image, or a part of it, on any thread, as the person sees it.

    Attributes
    ----------
    data : array-like
        Data of the image at full resolution: anything that NumPy indexing reads.
    view : PlaneIndex
        The plane.
    contrast_limits : (float, float) or None
        Grey values shown black and white; None for RGB.
    gamma : float
        Exponent of the layer.
    version : int
        Counts changes of the pixels that leave the array the same object.
    coarser : tuple of array-like
        The same image in lower resolutions, finest first.
    """

    data: Any
    view: PlaneIndex
    contrast_limits: tuple[float, float] | None
    gamma: float
    version: int = 0
    coarser: tuple[Any, ...] = ()

    @classmethod
    def of(cls, plane: Plane) -> PlaneSource:
        """Make a source of a plane that is in memory, seen as it is, down to its smallest crop."""
        limits = plane.limits
        if limits is not None and limits[0] >= limits[1]:
            limits = limits[0], limits[0] + max(1.0, abs(limits[0]))  # a plane of one grey value is black
        view = PlaneIndex((0, 1), (None, None), plane.shape, plane.spacing)
        return cls(plane.pixels, view, limits, plane.gamma)

    @property
    def key(self) -> Hashable:
        """Equal for sources that read the same plane the same way, as long as `data` is alive."""
        return id(self.data), self.view, self.contrast_limits, self.gamma, self.version

    @property
    def look(self) -> Hashable:
        """Equal for sources of one image that show its planes alike: the window, and what is blended in."""
        return self.contrast_limits, self.gamma, self.data.look if isinstance(self.data, BlendedImage) else None

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the images that are blended into what is seen, lowest first; none where one image is seen."""
        return self.data.names if isinstance(self.data, BlendedImage) else ()

    @property
    def pyramid(self) -> Pyramid:
        """The plane in all its resolutions."""
        return Pyramid(tuple(self._level(data) for data in (self.data, *self.coarser)))

    def at(self, view: PlaneIndex) -> PlaneSource:
        """Return how to read another plane of the same image, seen alike."""
        return replace(self, view=view)

    def read(self, crop: Crop | None = None, progress: Progress = no_progress) -> Plane:
        """Read the plane, or the picture of a crop of it; nothing else is touched.

        Parameters
        ----------
        crop : Crop, optional
            From ``pyramid.fitted``; by default the whole plane.
        progress : Progress
            Called between parts of what is read; may raise `Cancelled`.
        """
        crop = whole(self.view.shape) if crop is None else crop
        (down, across), (y, x) = crop.steps, self.view.spacing
        return Plane(self.pyramid.read(crop, progress), self.contrast_limits, self.gamma, (y * down, x * across))

    def _level(self, data: Any) -> Level:
        """Describe the plane in one resolution."""
        axes, ndim = self.view.axes, len(self.view.index)
        shape = tuple(int(size) for size in data.shape[:ndim])
        factors = level_factors(tuple(int(size) for size in self.data.shape[:ndim]), shape)
        index: list[int | slice] = [
            # A level may be short of the last indices: sizes that do not divide are rounded.
            0 if at is None else min(int(at // factor), size - 1)
            for at, factor, size in zip(self.view.index, factors, shape, strict=True)
        ]

        def read(rows: slice, columns: slice) -> NDArray[Any]:
            # A copy: reads may come from several threads.
            place = list(index)
            place[axes[0]], place[axes[1]] = rows, columns
            return np.asarray(data[tuple(place)])

        return Level(read, (shape[axes[0]], shape[axes[1]]), (factors[axes[0]], factors[axes[1]]))
