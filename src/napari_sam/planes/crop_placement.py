"""Which part of a large plane to look at: crops that follow an object.

A model sees full detail only up to the size of its canvas. A plane that is much larger is not shrunk as a whole, which
would wipe small objects out, nor cut into fixed tiles, which would cut objects. Instead a crop is laid around the
prompts for one object and what is known of it. It has about the size of the canvas, at full detail where the object
fits into it; a larger object gets a larger crop, read at a coarser step. Crops snap to a grid, so that neighbouring
clicks share one embedding.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.geometry import square_pixels
from napari_sam.masks import bounding_box
from napari_sam.planes.crop import Crop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.prompts import PromptSet

_WHOLE = 1.5
"""A plane is looked at as a whole if its longer side is up to so many times the canvas: little detail is lost."""
_ROOM = 0.125
"""Room around a box or a known mask, as a share of its sides."""
_GROWTH = 0.25
"""By how much of its side a mask is taken to go on where its crop cuts it off."""
_GRIDS = (2, 8)
"""Crops snap to so many parts of their side. In halves, neighbouring clicks share a crop, and are a quarter of it
away from its edges; what does not fit in that way may fit in eighths."""
_SNAPS = 8
"""A crop on the screen snaps outwards to so many parts of its side, so that a nudge finds the same embedding."""
_LEAST_SIDE = 64
"""Data pixels: a crop on the screen is no smaller, however far the person zoomed in."""


def whole(plane: tuple[int, int]) -> Crop:
    """Return the crop that is a whole plane, pixel by pixel."""
    return Crop((0, 0), plane)


def fits(plane: tuple[int, int], side: int, spacing: tuple[float, float] = (1.0, 1.0)) -> bool:
    """Whether a plane is looked at as a whole.

    Parameters
    ----------
    plane : (int, int)
        Height and width, data pixels.
    side : int
        Longest side of the model's canvas, model pixels.
    spacing : (float, float)
        Distance between pixels along y and x.
    """
    return max(square_pixels(plane, spacing)) <= _WHOLE * side


def choose_crop(
    plane: tuple[int, int],
    prompts: PromptSet,
    side: int,
    *,
    known: tuple[tuple[float, float], tuple[float, float]] | None = None,
    spacing: tuple[float, float] = (1.0, 1.0),
    least: float = 1,
) -> Crop:
    """Lay a crop around the prompts for an object, and what is known of it.

    Parameters
    ----------
    plane : (int, int)
        Height and width of the plane, data pixels.
    prompts : PromptSet
        Data pixels. What names the object must be in the crop: points and scribbles on it, its box and its area.
        Background counts only where there is nothing else. Words alone may mean anything on the plane.
    side : int
        Longest side of the model's canvas, model pixels.
    known : ((float, float), (float, float)), optional
        Corners, data pixels, of the box in which the object lies as far as is known.
    spacing : (float, float)
        Distance between pixels along y and x. The model sees square pixels, so crops are squares in space.
    least : float
        Data pixels, along the axis with the finer spacing, that a pixel of the picture covers at least.

    Returns
    -------
    Crop
        The whole plane, where it `fits`.
    """
    if fits(plane, side, spacing):
        return whole(plane)
    if known is None and prompts.text is not None and not prompts.is_placed:
        # Words do not say where: anywhere.
        known = (0.0, 0.0), (plane[0] - 1.0, plane[1] - 1.0)
    low, high = _span(prompts, known)
    # What was drawn around an object has its size; clicks and paths lie somewhere in it.
    enclosed = known is not None or prompts.box is not None or any(area.positive for area in prompts.areas)
    room = _ROOM * (high - low) if enclosed else np.zeros(2)
    step = 1
    # This ends: sooner or later the crop covers the plane.
    while True:
        for parts in _GRIDS if step >= least else ():
            crop = _snapped(plane, (low + high) / 2, side, spacing, step, parts)
            if crop.covers(plane) or crop.holds(low - room, high + room, plane):
                return crop
        step *= 2


def _span(
    prompts: PromptSet, known: tuple[tuple[float, float], tuple[float, float]] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the corners of what must be in the crop."""
    # Background is often far from the object, and must not make its crop large.
    corners = prompts.corners(positive=True)
    if known is not None:
        corners += known
    corners = corners or prompts.corners()
    if not corners:
        raise ValueError("a crop needs a point, a box or a known place")
    return np.min(corners, axis=0), np.max(corners, axis=0)


def _snapped(
    plane: tuple[int, int], centre: NDArray[np.float64], side: int, spacing: tuple[float, float], step: int, parts: int
) -> Crop:
    """Lay a crop of `side` picture pixels around a place, its corner on a grid of so many parts of it."""
    start, shape, steps = [], [], []
    for size, middle, distance in zip(plane, centre, spacing, strict=True):
        fine = min(spacing) / distance  # data pixels of this axis to one of the finer axis
        # Powers of two, which the levels of most pyramids are.
        own = 2 ** max(0, math.floor(math.log2(step * fine)))
        grid = max(1, round(side * step * fine / (parts * own))) * own
        extent = parts * grid
        if extent >= size:
            first, length = 0, size
        else:
            # At the far end the crop is pushed back, by whole steps: its pixels stay on the grid of all others.
            last = -((extent - size) // own) * own
            first = min(max(0, round((middle + 0.5 - extent / 2) / grid) * grid), last)
            length = min(extent, size - first)
        start.append(first)
        shape.append(length)
        steps.append(own)
    return Crop((start[0], start[1]), (shape[0], shape[1]), (steps[0], steps[1]))


def grown(
    crop: Crop,
    mask: NDArray[np.bool_],
    plane: tuple[int, int],
    prompts: PromptSet,
    side: int,
    spacing: tuple[float, float] = (1.0, 1.0),
) -> Crop | None:
    """Lay a larger crop around an object whose mask is cut off by its crop.

    Parameters
    ----------
    crop : Crop
        Where the mask was found.
    mask : numpy.ndarray, shape (h, w), bool
        On the picture of `crop`.
    plane, prompts, side, spacing
        As for `choose_crop`.

    Returns
    -------
    Crop or None
        None where the mask is not cut off, or the crop cannot grow.
    """
    cut = crop.cut_sides(mask, plane)
    box = bounding_box(mask)
    if not any(cut) or box is None:
        return None
    low, high = crop.to_plane(box[0]), crop.to_plane(np.array(box[1]) - 1)
    more = _GROWTH * (high - low + 1)
    low, high = low - more * cut[:2], high + more * cut[2:]
    known = (float(low[0]), float(low[1])), (float(high[0]), float(high[1]))
    larger = choose_crop(plane, prompts, side, known=known, spacing=spacing)
    if larger.shape == crop.shape and larger.start == crop.start:
        # It fits in already, and is cut off all the same: only a coarser look can show more.
        larger = choose_crop(plane, prompts, side, known=known, spacing=spacing, least=2 * max(crop.steps))
    return None if larger.shape == crop.shape and larger.start == crop.start else larger


def screen_crop(
    plane: tuple[int, int],
    low: tuple[float, float],
    high: tuple[float, float],
    side: int,
    spacing: tuple[float, float] = (1.0, 1.0),
) -> Crop:
    """Make a crop of what is on the screen.

    Parameters
    ----------
    plane : (int, int)
        Height and width of the plane, data pixels.
    low, high : (float, float)
        Corners of what is visible, data pixels, (y, x); they may lie outside the plane.
    side, spacing
        As for `choose_crop`.

    Returns
    -------
    Crop
        A little larger than what is visible, so that small moves of the camera find the same crop.
    """
    start, shape = [], []
    for size, first, last in zip(plane, low, high, strict=True):
        extent = max(_LEAST_SIDE, last - first + 1)
        grid = 2 ** max(0, round(math.log2(extent / _SNAPS)))
        # Outwards, so that all that is visible is in it; and on the plane, wherever the camera is.
        begin = min(max(0, math.floor(first / grid) * grid), max(0, size - 1))
        end = min(max(begin + _LEAST_SIDE, math.ceil((last + 1) / grid) * grid), size)
        # At the far edge of the plane there may be too little room: it grows back towards the middle.
        begin = max(0, min(begin, end - _LEAST_SIDE))
        start.append(begin)
        shape.append(end - begin)
    longest = max(square_pixels((shape[0], shape[1]), spacing))
    step = 2 ** max(0, math.ceil(math.log2(longest / (_WHOLE * side))))
    steps = [2 ** max(0, math.floor(math.log2(step * min(spacing) / distance))) for distance in spacing]
    return Crop((start[0], start[1]), (shape[0], shape[1]), (steps[0], steps[1]))
