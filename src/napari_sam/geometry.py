"""From data pixels to model pixels and back: the only place that converts.

Two frames meet here. *Data pixels* are indices into a plane, written (y, x), pixel-centred: (0, 0) is the centre of
the first pixel. *Model pixels* are positions on the canvas that a model reads, written (x, y), because that is the
order of every SAM checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a plane lies on a model's canvas.

    The plane is resampled to `content`, which sits in the top left corner of `canvas`; the rest of the canvas is
    padding.

    Attributes
    ----------
    plane : (int, int)
        Height and width of the plane, in data pixels.
    content : (int, int)
        Height and width of the resampled plane, in model pixels.
    canvas : (int, int)
        Height and width of the whole canvas, in model pixels.
    anchor : float
        Where a pixel's coordinate lies inside the pixel when it is scaled: 0.5 scales pixel centres exactly; 0 scales
        the bare index, as ``ResizeLongestSide.apply_coords`` of segment-anything does, which its checkpoints were
        trained and are tested with.
    """

    plane: tuple[int, int]
    content: tuple[int, int]
    canvas: tuple[int, int]
    anchor: float = 0.5

    def __post_init__(self) -> None:
        if min(*self.plane, *self.content, *self.canvas) < 1:
            raise InputError(
                f"A plane of {self.plane[0]} x {self.plane[1]} pixels is empty. "
                "Choose an image with pixels in both directions."
            )
        if self.content[0] > self.canvas[0] or self.content[1] > self.canvas[1]:
            raise ValueError(f"content {self.content} does not fit on canvas {self.canvas}")

    @property
    def scale(self) -> tuple[float, float]:
        """Model pixels per data pixel, along y and x."""
        return self.content[0] / self.plane[0], self.content[1] / self.plane[1]

    def to_model(self, points: ArrayLike) -> NDArray[np.float32]:
        """Convert positions on the plane to positions on the canvas.

        Parameters
        ----------
        points : array_like, shape (..., 2)
            Data pixels, (y, x).

        Returns
        -------
        numpy.ndarray, shape (..., 2), float32
            Model pixels, (x, y).
        """
        yx = np.asarray(points, dtype=np.float64)
        return ((yx + self.anchor) * self.scale - self.anchor)[..., ::-1].astype(np.float32)

    def to_data(self, points: ArrayLike) -> NDArray[np.float64]:
        """Convert positions on the canvas to positions on the plane: the inverse of `to_model`.

        Parameters
        ----------
        points : array_like, shape (..., 2)
            Model pixels, (x, y).

        Returns
        -------
        numpy.ndarray, shape (..., 2), float64
            Data pixels, (y, x).
        """
        yx = np.asarray(points, dtype=np.float64)[..., ::-1]
        return (yx + self.anchor) / self.scale - self.anchor

    def onto_grid(self, values: ArrayLike, grid: tuple[int, int]) -> NDArray[np.float32]:
        """Average values on the plane over the cells of a coarse grid that covers the canvas.

        Parameters
        ----------
        values : array_like, shape (H, W)
            One for each data pixel.
        grid : (int, int)
            Rows and columns of the grid, (h, w).

        Returns
        -------
        numpy.ndarray, shape (h, w), float32
            0 in the padding.
        """
        rows, columns = self.cell_weights(grid)
        # Both axes apart, as products of small matrices: the same mean, and no loop over cells.
        cells: NDArray[np.float32] = rows @ np.asarray(values, dtype=np.float32) @ columns.T
        return cells

    def cell_weights(self, grid: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Give the share that each row and each column of data pixels has in the mean over each cell of a grid.

        Parameters
        ----------
        grid : (int, int)
            Rows and columns of a grid that covers the canvas, (h, w).

        Returns
        -------
        rows : numpy.ndarray, shape (h, H), float32
            0 for cells in the padding. ``rows @ values @ columns.T`` is what `onto_grid` gives.
        columns : numpy.ndarray, shape (w, W), float32
        """
        rows, columns = (_cell_weights(self, axis, count) for axis, count in enumerate(grid))
        return rows, columns


def _cell_weights(frame: Frame, axis: int, cells: int) -> NDArray[np.float32]:
    """Share of each data pixel in the mean over each cell of a grid, (cells, pixels); rows of padding are 0.

    Where cells are finer than pixels, this is linear interpolation instead.
    """
    pixels = frame.plane[axis]
    per_cell = frame.canvas[axis] / cells / frame.scale[axis]
    centres = (np.arange(cells) + 0.5) * per_cell - 0.5
    reach = (1 + max(per_cell, 1.0)) / 2
    # A pixel weighs less the farther off its cell it lies: a trapezoid as wide as cell and pixel together.
    near = np.clip(reach - np.abs(centres[:, None] - np.arange(pixels)), 0, 1)
    # Cells of the padding see nothing, although the last pixel is within their reach.
    near[centres > pixels - 0.5] = 0
    weights: NDArray[np.float32] = (near / np.maximum(near.sum(1, keepdims=True), 1e-9)).astype(np.float32)
    return weights


def square_pixels(plane: tuple[int, int], spacing: tuple[float, float]) -> tuple[float, float]:
    """Give the size of a plane once its pixels are made square, the finer axis keeping its sampling.

    Parameters
    ----------
    plane : (int, int)
        Height and width, in data pixels.
    spacing : (float, float)
        Physical distance between neighbouring pixels along y and x; only the ratio counts.

    Returns
    -------
    (float, float)
        Height and width, in square pixels.

    Raises
    ------
    InputError
        If a spacing is not a positive finite number.
    """
    if not all(np.isfinite(s) and s > 0 for s in spacing):
        raise InputError(
            f"The pixel spacing {spacing} must be two positive numbers. Check the scale of the image layer."
        )
    fine = min(spacing)
    return plane[0] * spacing[0] / fine, plane[1] * spacing[1] / fine


def longest_side_frame(
    plane: tuple[int, int], side: int, spacing: tuple[float, float] = (1.0, 1.0), *, anchor: float = 0.0
) -> Frame:
    """Fit a plane on a square canvas so that its longer side, in square pixels, fills it.

    The rounding is segment-anything's ``ResizeLongestSide.get_preprocess_shape``: ``int(size * side / longest + 0.5)``.

    Parameters
    ----------
    plane : (int, int)
        Height and width, in data pixels.
    side : int
        Side of the canvas, in model pixels.
    spacing : (float, float)
        Physical pixel distance along y and x; unequal values make the model see square pixels.
    anchor : float
        See `Frame`.
    """
    height, width = square_pixels(plane, spacing)
    factor = side / max(height, width)
    # A plane so narrow that a side would vanish keeps one pixel.
    content = (max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5)))
    return Frame(plane, content, (side, side), anchor)


def stretched_frame(plane: tuple[int, int], side: int, *, anchor: float = 0.0) -> Frame:
    """Stretch a plane over a whole square canvas, whatever its proportions: the rule of MedSAM."""
    return Frame(plane, (side, side), (side, side), anchor)
