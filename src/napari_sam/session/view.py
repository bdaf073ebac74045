"""Which plane of an image is on screen, and how to read it.

Everything is in the image's own axis order, so a transposed display needs no transposition: the plane of a volume shown
with x upwards is the same plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.image import Plane
from napari_sam.session.grids import Grid

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import ArrayLike, NDArray


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

    def holds(self, positions: ArrayLike) -> NDArray[np.bool_]:
        """Tell which positions, (..., D) data pixels, lie on this plane: their other coordinates round to its index."""
        others = [axis for axis, i in enumerate(self.index) if i is not None]
        wanted = np.array([self.index[axis] for axis in others], dtype=np.float64)
        near: NDArray[np.bool_] = np.all(np.round(np.asarray(positions, float)[..., others]) == wanted, axis=-1)
        return near

    def words(self, labels: tuple[str, ...]) -> str:
        """Name the plane, such as "plane z = 12"; "image" when there is only one.

        Parameters
        ----------
        labels : tuple of str
            Names of the data axes; napari's "-3" and so on for those without one.
        """
        unnamed = {str(axis - len(labels)) for axis in range(len(labels))}
        others = [(axis, i) for axis, i in enumerate(self.index) if i is not None]
        named = [f"{f'axis {axis}' if labels[axis] in unnamed else labels[axis]} = {i}" for axis, i in others]
        return f"plane {', '.join(named)}" if named else "image"


def find_view(viewer: ViewerModel, image: Image) -> View:
    """Find the plane of an image that the viewer shows.

    Raises
    ------
    ViewError
        If the viewer shows a volume, a slanted cut, a projection of several planes, or axes that the image does not
        have; if the plane is outside the image; or if the image is a pyramid.
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
    if image.multiscale:
        raise ViewError(
            "This image is a pyramid of resolutions, which cannot be segmented yet. "
            "Add its full resolution as a layer of its own."
        )
    if viewer.dims.ndisplay != 2:
        raise ViewError("The 3D view is on. Switch to 2D to segment a plane.")
    # napari lines the axes of layers up at their ends: a layer with fewer axes has the last ones.
    axes = sorted(axis - (viewer.dims.ndim - image.ndim) for axis in viewer.dims.displayed)
    if axes[0] < 0:
        raise ViewError("The axes on screen are not both axes of this image. Choose other axes, or another image.")
    return axes[0], axes[1]


@dataclass(frozen=True, slots=True, eq=False)
class PlaneSource:
    """What it takes to read the plane on screen, on any thread, as the person sees it.

    Attributes
    ----------
    data : array-like
        Data of the image layer: anything that NumPy indexing reads.
    view : View
        The plane.
    contrast_limits : (float, float) or None
        Window of the layer; None for RGB.
    gamma : float
        Exponent of the layer.
    version : int
        Counts changes of the pixels that leave the array the same object.
    """

    data: Any
    view: View
    contrast_limits: tuple[float, float] | None
    gamma: float
    version: int = 0

    @classmethod
    def of(cls, image: Image, view: View, version: int = 0) -> PlaneSource:
        """Take the plane `view` of an image layer with the window that the layer has now."""
        window = None if image.rgb else (float(image.contrast_limits[0]), float(image.contrast_limits[1]))
        return cls(image.data, view, window, 1.0 if image.rgb else float(image.gamma), version)

    @property
    def key(self) -> Hashable:
        """Equal for sources that read the same plane the same way, as long as `data` is alive."""
        return id(self.data), self.view, self.contrast_limits, self.gamma, self.version

    def read(self) -> Plane:
        """Read the plane; only this plane is touched."""
        pixels = np.asarray(self.data[self.view.slices()])
        return Plane(pixels, self.contrast_limits, self.gamma, self.view.spacing)
