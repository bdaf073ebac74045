"""Which plane of an image is on screen, and how to read it.

Everything is in the image's own axis order, so a transposed display needs no transposition: the plane of a volume shown
with x upwards is the same plane.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.image import Plane
from napari_sam.progress import no_progress
from napari_sam.session.grids import Grid
from napari_sam.windows import whole
from napari_sam.windows.pyramid import Level, Pyramid, level_factors

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import ArrayLike, NDArray

    from napari_sam.progress import Progress
    from napari_sam.windows import Window


class ViewError(InputError):
    """What is on screen is not a plane of the image; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class View:
    """One plane of an image.

    Attributes
    ----------
    axes : (int, int)
        The data axes on screen, in ascending order: the rows and the columns of the plane.
    index : tuple of (int or None)
        For each data axis its index; None for the two on screen.
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

    def at(self, axis: int, index: int) -> View:
        """Return the plane with another index along one of the axes that are not on screen."""
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
            Names of the data axes, as from `axis_names`.
        """
        named = [f"{names[axis]} = {i}" for axis, i in enumerate(self.index) if i is not None]
        return f"plane {', '.join(named)}" if named else "image"


def axis_names(viewer: ViewerModel, image: Image) -> tuple[str, ...]:
    """Name the data axes of an image, as the viewer's sliders are labelled.

    An axis without a name is labelled with its number from the end, such as "-3"; in words, that is "axis -3".
    """
    labels = viewer.dims.axis_labels[viewer.dims.ndim - image.ndim :]
    numbered = (label.strip() or str(axis - image.ndim) for axis, label in enumerate(labels))
    return tuple(f"axis {label}" if label.lstrip("-").isdigit() else label for label in numbered)


def find_view(viewer: ViewerModel, image: Image) -> View:
    """Find the plane of an image that the viewer shows.

    Raises
    ------
    ViewError
        If the viewer shows a volume, a slanted cut, a projection of several planes, or axes that the image does not
        have; or if the plane is outside the image.
    """
    dims, grid = viewer.dims, Grid.of(viewer, image)
    axes = _shown_axes(viewer, image)
    others = [axis for axis in range(image.ndim) if axis not in axes]
    if not grid.separates(axes):
        raise ViewError(
            "The image is cut at a slant here. Show one of its own planes: reset its rotation, or choose other axes."
        )
    first = dims.ndim - image.ndim
    depth = np.abs(np.linalg.inv(grid.linear).diagonal()) * np.array(dims.thickness[first:])
    if any(depth[axis] >= 1 for axis in others) and str(image.projection_mode) != "none":
        raise ViewError("Several planes are projected into one here. Set the thickness of the slice to 0.")
    position = np.round(grid.to_data(dims.point[first:]))
    if any(not 0 <= position[axis] < image.data.shape[axis] for axis in others):
        raise ViewError("The plane on screen lies outside the image. Scroll back to it.")
    index = tuple(None if axis in axes else int(position[axis]) for axis in range(image.ndim))
    shape = (int(image.data.shape[axes[0]]), int(image.data.shape[axes[1]]))
    return View(axes, index, shape, grid.spacing(axes))


def _shown_axes(viewer: ViewerModel, image: Image) -> tuple[int, int]:
    """Give the data axes on screen, ascending."""
    if viewer.dims.ndisplay != 2:
        raise ViewError("The 3D view is on. Switch to 2D to segment a plane.")
    # napari lines the axes of layers up at their ends: a layer with fewer axes has the last ones.
    axes = sorted(axis - (viewer.dims.ndim - image.ndim) for axis in viewer.dims.displayed)
    if axes[0] < 0:
        raise ViewError("The axes on screen are not both axes of this image. Choose other axes, or another image.")
    return axes[0], axes[1]


@dataclass(frozen=True, slots=True, eq=False)
class PlaneSource:
    """What it takes to read the plane on screen, or a part of it, on any thread, as the person sees it.

    Attributes
    ----------
    data : array-like
        Data of the image layer at full resolution: anything that NumPy indexing reads.
    view : View
        The plane.
    contrast_limits : (float, float) or None
        Window of the layer; None for RGB.
    gamma : float
        Exponent of the layer.
    version : int
        Counts changes of the pixels that leave the array the same object.
    coarser : tuple of array-like
        The same image in lower resolutions, finest first.
    """

    data: Any
    view: View
    contrast_limits: tuple[float, float] | None
    gamma: float
    version: int = 0
    coarser: tuple[Any, ...] = ()

    @classmethod
    def of(cls, image: Image, view: View, version: int = 0) -> PlaneSource:
        """Take the plane `view` of an image layer with the window that the layer has now."""
        window = None if image.rgb else (float(image.contrast_limits[0]), float(image.contrast_limits[1]))
        data, *coarser = image.data if image.multiscale else (image.data,)
        return cls(data, view, window, 1.0 if image.rgb else float(image.gamma), version, tuple(coarser))

    @property
    def key(self) -> Hashable:
        """Equal for sources that read the same plane the same way, as long as `data` is alive."""
        return id(self.data), self.view, self.contrast_limits, self.gamma, self.version

    @property
    def pyramid(self) -> Pyramid:
        """The plane in all its resolutions."""
        return Pyramid(tuple(self._level(data) for data in (self.data, *self.coarser)))

    def at(self, view: View) -> PlaneSource:
        """Return how to read another plane of the same image, seen alike."""
        return replace(self, view=view)

    def read(self, window: Window | None = None, progress: Progress = no_progress) -> Plane:
        """Read the plane, or the picture of a window of it; nothing else is touched.

        Parameters
        ----------
        window : Window, optional
            From ``pyramid.fitted``; by default the whole plane.
        progress : Progress
            Called between parts of what is read; may raise `Cancelled`.
        """
        window = whole(self.view.shape) if window is None else window
        (down, across), (y, x) = window.steps, self.view.spacing
        return Plane(self.pyramid.read(window, progress), self.contrast_limits, self.gamma, (y * down, x * across))

    def _level(self, data: Any) -> Level:
        """Describe the plane in one resolution."""
        axes, ndim = self.view.axes, len(self.view.index)
        shape = tuple(int(size) for size in data.shape[:ndim])
        factors = level_factors(tuple(int(size) for size in self.data.shape[:ndim]), shape)
        index: list[int | slice] = [
            0 if at is None else min(int(at // factor), size - 1)
            for at, factor, size in zip(self.view.index, factors, shape, strict=True)
        ]

        def read(rows: slice, columns: slice) -> NDArray[Any]:
            place = list(index)
            place[axes[0]], place[axes[1]] = rows, columns
            return np.asarray(data[tuple(place)])

        return Level(read, (shape[axes[0]], shape[axes[1]]), (factors[axes[0]], factors[axes[1]]))


def visible_box(
    viewer: ViewerModel, image: Image, view: View
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Find the part of a plane that the canvas shows.

    Parameters
    ----------
    viewer, image, view
        What is shown.

    Returns
    -------
    (numpy.ndarray, numpy.ndarray) or None
        Upper left and lower right corner of the smallest rectangle around it, data pixels, (y, x), cut to the plane;
        None when nothing of the plane is on the canvas.
    """
    scene = getattr(viewer, "scene", viewer)  # napari 0.9 moved the camera
    canvas = getattr(viewer, "canvas", None)
    if canvas is None:
        corners = np.asarray(image.corner_pixels, dtype=np.float64)[:, list(view.axes)]
        factors = image.downsample_factors[image.data_level][list(view.axes)] if image.multiscale else np.ones(2)
        low, high = corners[0] * factors, (corners[1] + 1) * factors - 1
    else:
        dims = viewer.dims
        half = np.array(canvas.size, dtype=np.float64) / float(scene.camera.zoom) / 2
        world = np.tile(np.asarray(dims.point, dtype=np.float64), (4, 1))
        signs = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
        world[:, list(dims.displayed)] = np.array(scene.camera.center[-2:]) + signs * half
        places = Grid.of(viewer, image).to_data(world[:, dims.ndim - image.ndim :])[:, list(view.axes)]
        low, high = places.min(axis=0), places.max(axis=0)
    low, high = np.maximum(low, 0), np.minimum(high, np.array(view.shape) - 1)
    return (low, high) if np.isfinite([low, high]).all() and (low < high).all() else None
