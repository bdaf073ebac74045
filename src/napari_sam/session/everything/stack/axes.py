"""Along which axes there is a stack, and whether time goes by along one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.masks import BoxedMask
from napari_sam.session.everything.search import StackRequest
from napari_sam.session.state import StackAxis

if TYPE_CHECKING:
    from napari_sam.session.everything.parts import SearchScope
    from napari_sam.session.everything.search import SearchRequest
    from napari_sam.session.viewing.active_image import ActiveImage

Marks = tuple[tuple[BoxedMask, bool], ...]

_TIME = ("t", "time")
"""Names of axes along which time goes by, as in the metadata of microscopes; compared without regard to case."""


def stack_axes(active: ActiveImage) -> tuple[StackAxis, ...]:
    """List the axes with more than one plane that are not on screen."""
    if active.image is None or active.view is None:
        return ()
    return tuple(
        StackAxis(axis, active.axis_names[axis], active.planes_along(axis))
        for axis, at in enumerate(active.view.index)
        if at is not None and active.planes_along(axis) > 1
    )


def choose_axis(active: ActiveImage, wanted: int | None) -> StackAxis | None:
    """Choose the axis of a stack: the one that is wanted, else that of the last scroll, else the innermost.

    Parameters
    ----------
    active : ActiveImage
        What is on screen.
    wanted : int or None
        A data axis; negative ones count from the last.

    Returns
    -------
    StackAxis or None
        None where there is no stack along it.
    """
    axes = stack_axes(active)
    if wanted is not None:
        ndim = 0 if active.image is None else active.image.ndim
        return next((one for one in axes if one.axis == wanted % max(1, ndim)), None)
    scrolled = None if active.travel is None else active.travel[0]
    return next((one for one in axes if one.axis == scrolled), axes[-1] if axes else None)


def is_time(active: ActiveImage, axis: StackAxis) -> bool:
    """Tell whether time goes by along an axis: by its name, or else by its unit."""
    if axis.name.casefold() in _TIME:
        return True
    return active.image is not None and dict(active.image.units[axis.axis].dimensionality) == {"[time]": 1}


def stack_request(active: ActiveImage, plane: SearchRequest, scope: SearchScope, marks: Marks) -> StackRequest | None:
    """Ask for all planes of a stack.

    Parameters
    ----------
    active : ActiveImage
        What is on screen.
    plane : SearchRequest
        The plane of it that is on screen.
    scope : SearchScope
        What the person chose; what is left to the axis is decided here.
    marks : tuple of (BoxedMask, bool)
        See `StackRequest`.

    Returns
    -------
    StackRequest or None
        None where there is no stack.
    """
    if (axis := choose_axis(active, scope.axis)) is None:
        return None
    if scope.link == "auto":
        return StackRequest(plane, axis, "time" if is_time(active, axis) else "depth", marks)
    return StackRequest(plane, axis, scope.link, marks)
