"""Layers that are open, as the dock hands them over."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from napari_sam.errors import InputError
from napari_sam.journal.pixels import pixels_digest
from napari_sam.planes.source import PlaneIndex
from napari_sam.training.material.labelled_stack import (
    LabelledPlane,
    LabelledStack,
    chosen_window,
    find_planes,
    plane_name,
    read_labels_plane,
    require_axes,
    require_whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam.progress import Progress
    from napari_sam.training.material.sources import LayerArrays


@contextmanager
def open_layers(source: LayerArrays, progress: Progress) -> Iterator[LabelledStack]:
    """Take the planes of layers that have objects.

    Yields
    ------
    LabelledStack
        Nothing is read of the image yet, but for its digest.

    Raises
    ------
    InputError
        If image and labels do not fit.
    """
    shape = tuple(int(side) for side in source.labels.shape)
    whole = tuple(int(side) for side in source.image.shape)
    if whole != shape and not (whole[:-1] == shape and whole[-1] in (3, 4)):
        sizes = [" x ".join(map(str, one)) for one in (shape, whole)]
        raise InputError(
            f"The labels are {sizes[0]} px, the image {source.name} {sizes[1]} px. Choose labels of the same size."
        )
    axes = require_axes(source.axes or (-2, -1), len(shape), source.name)
    if source.planes is None:
        indices = [index for index, _plane in find_planes(source.labels, axes, source.name, progress)]
    else:
        require_whole(source.labels, source.name)
        indices = list(source.planes)
        for index in indices:
            _require_index(index, shape, axes, source.name)
    window = chosen_window(source.image, len(shape), {})
    limits = source.contrast_limits
    planes = [
        LabelledPlane(
            plane_name(source.name, index, source.axis_names),
            source.image,
            PlaneIndex(axes, index, (shape[axes[0]], shape[axes[1]]), source.spacing),
            partial(read_labels_plane, source.labels, index, source.name),
            window if limits is None or len(whole) > len(shape) else lambda: limits,
            source.gamma,
        )
        for index in indices
    ]
    yield LabelledStack(source.name, pixels_digest(source.image, len(shape), progress) if planes else "", planes)


def _require_index(index: tuple[int | None, ...], shape: tuple[int, ...], axes: tuple[int, int], name: str) -> None:
    fits = len(index) == len(shape) and all(
        (at is None) == (axis in axes) and (at is None or 0 <= at < side)
        for axis, (at, side) in enumerate(zip(index, shape, strict=True))
    )
    if not fits:
        raise InputError(f"{name} has no plane {index} along the axes {axes}: it is {' x '.join(map(str, shape))} px.")
