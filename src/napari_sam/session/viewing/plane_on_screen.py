"""Which plane of an image is on screen, and how to read it.

Everything is in the image's own axis order, so a transposed display needs no transposition: the plane of a volume shown
with x upwards is the same plane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.planes.source import PlaneIndex, PlaneSource
from napari_sam.session.viewing.transform import LayerTransform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray


class ViewError(InputError):
    """What is on screen is not a plane of the image; the message says why, and what to do."""


def axis_names(viewer: ViewerModel, image: Image) -> tuple[str, ...]:
    """Name the data axes of an image, as the viewer's sliders are labelled.

    An axis without a name is labelled with its number from the end, such as "-3"; in words, that is "axis -3".
    """
    labels = viewer.dims.axis_labels[viewer.dims.ndim - image.ndim :]
    numbered = (label.strip() or str(axis - image.ndim) for axis, label in enumerate(labels))
    return tuple(f"axis {label}" if label.lstrip("-").isdigit() else label for label in numbered)


def find_view(viewer: ViewerModel, image: Image) -> PlaneIndex:
    """Find the plane of an image that the viewer shows.

    Raises
    ------
    ViewError
        If the viewer shows a volume, a slanted cut, a projection of several planes, or axes that the image does not
        have; or if the plane is outside the image.
    """
    dims, transform = viewer.dims, LayerTransform.of(viewer, image)
    axes = _shown_axes(viewer, image)
    others = [axis for axis in range(image.ndim) if axis not in axes]
    if not transform.separates(axes):
        raise ViewError(
            "The image is cut at a slant here. Show one of its own planes: reset its rotation, or choose other axes."
        )
    first = dims.ndim - image.ndim
    # Sliders and their thickness are in the world: in planes, that is as much as the layer's scale makes of it.
    depth = np.abs(np.linalg.inv(transform.linear).diagonal()) * np.array(dims.thickness[first:])
    # The person would see several planes, and the model read one of them.
    if any(depth[axis] >= 1 for axis in others) and str(image.projection_mode) != "none":
        raise ViewError("Several planes are projected into one here. Set the thickness of the slice to 0.")
    # Not by napari's `world_to_data`, which errs where the layer's units are not the viewer's.
    position = np.round(transform.to_data(dims.point[first:]))
    if any(not 0 <= position[axis] < image.data.shape[axis] for axis in others):
        raise ViewError("The plane on screen lies outside the image. Scroll back to it.")
    index = tuple(None if axis in axes else int(position[axis]) for axis in range(image.ndim))
    shape = (int(image.data.shape[axes[0]]), int(image.data.shape[axes[1]]))
    return PlaneIndex(axes, index, shape, transform.spacing(axes))


def _shown_axes(viewer: ViewerModel, image: Image) -> tuple[int, int]:
    """Give the data axes on screen, ascending."""
    if viewer.dims.ndisplay != 2:
        raise ViewError("The 3D view is on. Switch to 2D to segment a plane.")
    # napari lines the axes of layers up at their ends: a layer with fewer axes has the last ones.
    axes = sorted(axis - (viewer.dims.ndim - image.ndim) for axis in viewer.dims.displayed)
    # The layer itself would not tell: napari has it show its own last axes all the same.
    if axes[0] < 0:
        raise ViewError("The axes on screen are not both axes of this image. Choose other axes, or another image.")
    return axes[0], axes[1]


def visible_box(
    viewer: ViewerModel, image: Image, view: PlaneIndex
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
    active = getattr(viewer, "scene", viewer)  # napari 0.9 moved the camera
    canvas = getattr(viewer, "canvas", None)
    if canvas is None:
        corners = np.asarray(image.corner_pixels, dtype=np.float64)[:, list(view.axes)]
        factors = image.downsample_factors[image.data_level][list(view.axes)] if image.multiscale else np.ones(2)
        low, high = corners[0] * factors, (corners[1] + 1) * factors - 1
    else:
        dims = viewer.dims
        half = np.array(canvas.size, dtype=np.float64) / float(active.camera.zoom) / 2
        world = np.tile(np.asarray(dims.point, dtype=np.float64), (4, 1))
        signs = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
        world[:, list(dims.displayed)] = np.array(active.camera.center[-2:]) + signs * half
        places = LayerTransform.of(viewer, image).to_data(world[:, dims.ndim - image.ndim :])[:, list(view.axes)]
        low, high = places.min(axis=0), places.max(axis=0)
    low, high = np.maximum(low, 0), np.minimum(high, np.array(view.shape) - 1)
    return (low, high) if np.isfinite([low, high]).all() and (low < high).all() else None


def center_on(viewer: ViewerModel, image: Image, position: NDArray[np.float64], index: Sequence[int | None]) -> None:
    """Move the camera so that a place of an image is in the middle of the canvas; the zoom stays.

    Parameters
    ----------
    viewer, image
        What is shown.
    position : numpy.ndarray, shape (D,)
        The place, data pixels.
    index : sequence of (int or None)
        The plane on screen, as `PlaneIndex.index`; the other axes of `position` do not count.
    """
    place = np.array([at if plane is None else plane for at, plane in zip(position, index, strict=True)])
    world = LayerTransform.of(viewer, image).to_world(place)
    first = viewer.dims.ndim - image.ndim
    shown = tuple(float(world[axis - first]) for axis in viewer.dims.displayed)
    camera: Any = getattr(viewer, "scene", viewer).camera  # napari 0.9 moved the camera
    camera.center = (float(camera.center[0]), *shown)


def plane_source(image: Image, view: PlaneIndex, version: int = 0) -> PlaneSource:
    """Take the plane `view` of an image layer with the window that the layer has now.

    Parameters
    ----------
    image : napari.layers.Image
        The layer.
    view : PlaneIndex
        The plane.
    version : int
        Counts changes of the pixels that leave the array the same object.
    """
    window = None if image.rgb else (float(image.contrast_limits[0]), float(image.contrast_limits[1]))
    data, *coarser = image.data if image.multiscale else (image.data,)
    return PlaneSource(data, view, window, 1.0 if image.rgb else float(image.gamma), version, tuple(coarser))
