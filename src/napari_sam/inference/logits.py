"""Carries low-resolution logits between a plane and a window of it, which lie differently on the model's canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.geometry import Frame
    from napari_sam.planes import Crop

NOWHERE = -10.0
"""Logit of what lies outside: certainly not the object."""


def into_window(
    logits: NDArray[np.float32], plane: Frame, window: Crop, frame: Frame, grid: tuple[int, int]
) -> NDArray[np.float32]:
    """Bring logits of a whole plane to the grid of a window.

    Parameters
    ----------
    logits : numpy.ndarray, shape (h, w), float32
        On the canvas of the plane.
    plane, frame : Frame
        Where the plane and the picture of the window lie on their canvases.
    window : Crop
        The window.
    grid : (int, int)
        Height and width of the logits that come out.

    Returns
    -------
    numpy.ndarray, shape `grid`, float32
        Linearly interpolated; `NOWHERE` where the plane ends.
    """
    places = (window.to_plane(_pairs(cells))[:, axis] for axis, cells in enumerate(_data_pixels(frame, grid)))
    rows, columns = (_cells(plane, logits.shape, axis, at) for axis, at in enumerate(places))
    return _sampled(logits, rows, columns)


def onto_plane(
    logits: NDArray[np.float32], frame: Frame, window: Crop, plane: Frame, grid: tuple[int, int]
) -> NDArray[np.float32]:
    """Bring logits of a window to the grid of the whole plane: the inverse of `into_window`, with its parameters."""
    places = (window.to_picture(_pairs(cells))[:, axis] for axis, cells in enumerate(_data_pixels(plane, grid)))
    rows, columns = (_cells(frame, logits.shape, axis, at) for axis, at in enumerate(places))
    return _sampled(logits, rows, columns)


def _pairs(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([values, values], axis=1)


def _data_pixels(frame: Frame, grid: tuple[int, int]) -> list[NDArray[np.float64]]:
    """Give the place of every row and of every column of a grid on the canvas, in data pixels of the frame's plane."""
    found = []
    for axis, (canvas, cells) in enumerate(zip(frame.canvas, grid, strict=True)):
        centres = (np.arange(cells) + 0.5) * canvas / cells - 0.5
        found.append(frame.to_data(_pairs(centres))[:, axis])
    return found


def _cells(frame: Frame, grid: tuple[int, ...], axis: int, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the place of data pixels on a grid on the canvas, in cells; NaN beyond the plane."""
    model = frame.to_model(_pairs(at)).astype(np.float64)[:, 1 - axis]
    cells = (model + 0.5) * grid[axis] / frame.canvas[axis] - 0.5
    cells[(at < -0.5) | (at > frame.plane[axis] - 0.5)] = np.nan
    return cells


def _sampled(
    values: NDArray[np.float32], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Interpolate linearly at every crossing of some rows and columns; `NOWHERE` where one of them is NaN."""
    inside = np.isfinite(rows)[:, None] & np.isfinite(columns)
    for axis, places in enumerate((rows, columns)):
        at = np.clip(np.nan_to_num(places), 0, values.shape[axis] - 1)
        before = np.floor(at).astype(int)
        after = np.minimum(before + 1, values.shape[axis] - 1)
        weight = np.expand_dims(at - before, 1 - axis)
        values = values.take(before, axis) * (1 - weight) + values.take(after, axis) * weight
    return np.where(inside, values, NOWHERE).astype(np.float32)
