"""An image that is open, and which of its planes have objects: what every source of labels becomes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.evaluation.dataset import shown_window
from napari_sam.planes.plane import Plane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.progress import Progress

    Limits = tuple[float, float]

_MOST_SAMPLES = 5
"""Planes of a stack whose grey values choose the window."""
_SAMPLE_SIDE = 512
"""Pixels along each side of a plane that are looked at for that."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPlane:
    """A plane that has objects, not read yet.

    Attributes
    ----------
    name : str
        See `TaughtPlane`.
    data : array-like
        The image.
    view : PlaneIndex
        Where in the image the plane is.
    labels : callable
        Reads the labels, (H, W) of whole numbers.
    contrast_limits : callable
        Returns the grey values shown black and white; None for the whole range of the type, and for colour.
    gamma : float
        Exponent of the windowed grey values.
    complete : bool or None
        Whether all objects are labelled; None where it has to be told by how many there are.
    """

    name: str
    data: Any
    view: PlaneIndex
    labels: Callable[[], NDArray[Any]]
    contrast_limits: Callable[[], Limits | None]
    gamma: float = 1.0
    complete: bool | None = None

    def picture(self, start: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Read a rectangle of the plane as a person sees it, (h, w, 3); `start` and `size` are data pixels, (y, x)."""
        pixels = np.asarray(self.data[self.view.slices(start, size)])
        return Plane(pixels, self.contrast_limits(), self.gamma).rendered


@dataclass(frozen=True, slots=True, eq=False)
class LabelledStack:
    """An image, or a stack.

    Attributes
    ----------
    name : str
        For a person.
    digest : str
        Of its pixels.
    planes : list of LabelledPlane
        Those that have objects, in their order.
    """

    name: str
    digest: str
    planes: list[LabelledPlane]


def require_axes(axes: tuple[int, int], ndim: int, name: str) -> tuple[int, int]:
    """Return the two axes of a plane; negative ones count from the last.

    Raises
    ------
    InputError
        If they do not fit.
    """
    rows, columns = (axis + ndim if axis < 0 else axis for axis in axes)
    if not 0 <= rows < columns < ndim:
        raise InputError(
            f"Objects of {name} lie in two of its {ndim} axes, the first one first; got {tuple(axes)}. Give 0 and 1 "
            "for an image of two axes."
        )
    return rows, columns


def indices_of(shape: Sequence[int], axes: tuple[int, int]) -> Iterator[tuple[int | None, ...]]:
    """Go through the planes of an array along two axes: for each axis an index, None for the two."""
    sizes = [1 if axis in axes else size for axis, size in enumerate(shape)]
    for place in np.ndindex(*sizes):
        yield tuple(None if axis in axes else int(at) for axis, at in enumerate(place))


def find_planes(
    labels: Any, axes: tuple[int, int], name: str, progress: Progress
) -> Iterator[tuple[tuple[int | None, ...], NDArray[Any]]]:
    """Read all planes of labels, one after the other, and give those that carry anything.

    Raises
    ------
    InputError
        If they hold anything but whole numbers from 0 up.
    """
    require_whole(labels, name)
    every = list(indices_of(labels.shape, axes))
    for done, index in enumerate(every):
        progress(done / len(every))
        plane = read_labels_plane(labels, index, name)
        if plane.any():
            yield index, plane


def require_whole(labels: Any, name: str) -> None:
    """Refuse labels that are no whole numbers.

    Raises
    ------
    InputError
        If they are something else.
    """
    kind = np.dtype(getattr(labels.dtype, "numpy_dtype", labels.dtype))
    if kind.kind not in "bui":
        raise InputError(f"The labels of {name} are of dtype {kind}; labels are whole numbers from 0 up. Save them so.")


def read_labels_plane(labels: Any, index: tuple[int | None, ...], name: str) -> NDArray[Any]:
    """Read one plane of labels.

    Raises
    ------
    InputError
        If a number is negative.
    """
    plane = np.asarray(labels[tuple(slice(None) if at is None else at for at in index)])
    if plane.dtype.kind == "i" and int(plane.min(initial=0)) < 0:
        raise InputError(
            f"The labels of {name} go down to {int(plane.min())}; labels are whole numbers from 0 up, 0 for "
            "background. Set what is negative to 0."
        )
    return plane


def plane_name(name: str, index: Sequence[int | None], axis_names: Sequence[str]) -> str:
    """Name a plane, such as "cells.tif, z = 12"; an image of one plane has the name of its file."""
    known = axis_names if len(axis_names) == len(index) else [f"axis {axis}" for axis in range(len(index))]
    words = [f"{axis} = {at}" for axis, at in zip(known, index, strict=True) if at is not None]
    return ", ".join([name, *words])


def chosen_window(data: Any, ndim: int, fixed: dict[int, int]) -> Callable[[], Limits | None]:
    """Choose the grey values that a person would set black and white: the same for all planes of a stack.

    Parameters
    ----------
    data : array-like
        The image, without colour or with it.
    ndim : int
        Its axes, without colour.
    fixed : dict of int to int
        Axes of which only one index counts, such as the channel.

    Returns
    -------
    callable
        Reads some planes at the first call.
    """

    @cache
    def window() -> Limits | None:
        if len(data.shape) > ndim or np.dtype(data.dtype) in (np.uint8, np.bool_):
            return None
        leading = [range(int(size)) for size in data.shape[: ndim - 2]]
        for axis, at in fixed.items():
            leading[axis] = range(at, at + 1)
        sizes = [len(places) for places in leading]
        samples = []
        for number in spread_evenly(math.prod(sizes), _MOST_SAMPLES):
            chosen = np.unravel_index(number, sizes) if sizes else ()
            place = [places[int(one)] for places, one in zip(leading, chosen, strict=True)]
            plane = np.asarray(data[(*place, slice(None), slice(None))])
            steps = [max(1, side // _SAMPLE_SIDE) for side in plane.shape]
            samples.append(plane[:: steps[0], :: steps[1]])
        return shown_window(np.concatenate(samples))

    return window


def spread_evenly(count: int, most: int) -> list[int]:
    """Choose at most so many of a row of things, as evenly as can be; of one, that in the middle."""
    wanted = min(count, most)
    return [(2 * number + 1) * count // (2 * wanted) for number in range(wanted)]
