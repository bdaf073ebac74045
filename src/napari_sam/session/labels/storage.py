"""Where the labels of large images live: in memory, in tiles on disk, or in tiles at several resolutions.

On disk they are an OME-Zarr image (version 0.4), which napari and other programs open as it is. The folder stays when
the session ends: what was not saved elsewhere is not lost.
"""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from napari_sam.errors import InputError
from napari_sam.files import home
from napari_sam.io.formats.ome_metadata import AXES, multiscale
from napari_sam.session.labels.tiled import DTYPE, TiledLabels, make_tiled
from napari_sam.session.viewing.placement import placement_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image
    from numpy.typing import NDArray


DENSE_BYTES = 2**28
"""Labels of up to this many bytes are a plain array."""
PLANE_PIXELS = 2**26
"""Planes of more pixels than this have several resolutions: napari reads, and keeps, all of a plane that has one."""
PLANE_SIDE = 2**14
"""Planes with longer sides than this have several resolutions: graphics cards draw no more at once."""
_COARSEST = 2**11
"""The longest side of the coarsest resolution."""


def is_large(image: Image) -> bool:
    """Tell whether labels of an image are kept on disk."""
    return math.prod(int(n) for n in image.data.shape[: image.ndim]) * DTYPE.itemsize > DENSE_BYTES


def warm_up() -> None:
    """Import what labels on disk need: a third of a second, which is better spent before somebody waits for it."""
    importlib.import_module("zarr")


def empty_labels(image: Image) -> NDArray[np.int32] | TiledLabels | list[TiledLabels]:
    """Make room for the labels of an image, at full resolution; memory and disk are claimed only by what is written.

    Returns
    -------
    numpy.ndarray, TiledLabels or list of TiledLabels
        A plain array for most images; tiles on disk where that would be more than 256 MB; for planes that are too large
        to be drawn at once, several resolutions, finest first.

    Raises
    ------
    InputError
        If the disk cannot be written.
    """
    shape = tuple(int(n) for n in image.data.shape[: image.ndim])
    if not is_large(image):
        return np.zeros(shape, dtype=DTYPE)
    try:
        levels = make_levels(image, _level_shapes(shape))
    except OSError as error:
        raise InputError(
            f"Labels of this size are kept on disk, and {home()} cannot be written ({error.strerror or error}). "
            "Make room there, or set NAPARI_SAM_HOME to another folder."
        ) from error
    return levels if len(levels) > 1 else levels[0]


def make_levels(image: Image, shapes: Sequence[tuple[int, ...]]) -> list[TiledLabels]:
    """Make an OME-Zarr folder for labels of an image.

    Parameters
    ----------
    image : Image
        Says what the pixels measure.
    shapes : sequence of tuple of int
        Shape of each resolution, finest first.
    """
    return make_tiled(shapes, [_choose_chunks(shape) for shape in shapes], _ome_metadata(image, shapes))


def _choose_chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Choose the tiles: wide in the plane that images are usually shown in, and thin, not flat, across it.

    A slice along any of the last three axes then meets few of them.
    """
    wanted = [1] * len(shape)
    for axis, side in zip((-1, -2, -3), (512, 512, 1) if len(shape) == 2 else (256, 256, 8), strict=True):
        if len(shape) >= -axis:
            wanted[axis] = side
    return tuple(min(side, size) for side, size in zip(wanted, shape, strict=True))


def _level_shapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Choose the resolutions: one where planes can be drawn at once, else halves of each other in the plane."""
    shapes = [shape]
    if shape[-2] * shape[-1] > PLANE_PIXELS or max(shape[-2:]) > PLANE_SIDE:
        while max(shapes[-1][-2:]) > _COARSEST:
            *others, height, width = shapes[-1]
            shapes.append((*others, -(-height // 2), -(-width // 2)))
    return shapes


def _ome_metadata(image: Image, shapes: Sequence[tuple[int, ...]]) -> dict[str, Any]:
    """Describe labels as an OME-Zarr image (https://ngff.openmicroscopy.org/0.4/); {} where it has too many axes."""
    if len(shapes[0]) > len(AXES):
        return {}
    names = [str(name) for name in image.axis_labels]
    if len(set(names)) < len(names) or not set(names) <= set(AXES):
        names = list(AXES)[-len(names) :]
    levels = []
    for shape in shapes:
        ratio = np.divide(shapes[0], shape)
        # A coarse pixel lies amid those that it stands for.
        shift = np.asarray(image.translate) + np.abs(image.scale) * (ratio - 1) / 2
        levels.append(((np.abs(image.scale) * ratio).tolist(), shift.tolist()))
    described = multiscale(image.name, names, [str(unit) for unit in image.units], levels)
    return {"multiscales": [{"version": "0.4", **described}]}


def make_labels(image: Image) -> Labels:
    """Make an empty layer for accepted objects. Memory is claimed only where something is written.

    Raises
    ------
    InputError
        If the labels are so large that they belong on the disk, and it cannot be written.
    """
    data = empty_labels(image)
    return Labels(data, name="SAM labels", multiscale=isinstance(data, list), **placement_of(image))
