"""Carries low-resolution logits from one crop of a plane to another: they lie differently on the model's canvas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from napari_sam.inference.shaping.settings import MOST_THRESHOLD
from napari_sam.masks import box_slices
from napari_sam.planes.picture import blank_plane

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.geometry import Frame
    from napari_sam.inference.request import EngineLike
    from napari_sam.masks import BoxedMask
    from napari_sam.planes import Crop
    from napari_sam.planes.source import PlaneSource

NOWHERE = -10.0
"""Logit of what lies outside: certainly not the object."""


@dataclass(frozen=True, slots=True)
class CropGrid:
    """Where the logits of a crop lie.

    Attributes
    ----------
    crop : Crop
        The crop; one of a whole plane for logits of the plane.
    frame : Frame
        Where its picture lies on the model's canvas.
    shape : (int, int)
        Height and width of the logits, which cover the canvas.
    """

    crop: Crop
    frame: Frame
    shape: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class KeptLogits:
    """Logits of one object of many, kept so that another threshold can be chosen without asking the model again.

    At the model's low resolution, and only the box in which some threshold that can be chosen would put a pixel: on
    fluorescence nuclei that is 110 KB for each object in the mean, where all 320 x 424 logits of the bundled model take
    530 KB, so that a thousand objects do not fill the memory. No digit is left out: masks are those of a single click.

    Attributes
    ----------
    crop : Crop
        Where they were predicted.
    origin : (int, int)
        Upper left cell that is kept.
    values : numpy.ndarray, shape (h, w), float32
        What is kept, as the model gave it.
    shape : (int, int)
        Height and width of all logits, which cover the canvas.
    """

    crop: Crop
    origin: tuple[int, int]
    values: NDArray[np.float32]
    shape: tuple[int, int]

    @classmethod
    def of(cls, crop: Crop, logits: NDArray[np.float32]) -> Self:
        """Keep what counts of the logits, (h, w), of an object in a crop."""
        shape, inside = (logits.shape[0], logits.shape[1]), logits > -MOST_THRESHOLD
        if not inside.any():
            return cls(crop, (0, 0), np.zeros((0, 0), np.float32), shape)
        # Cells around it count as well where logits are interpolated on the canvas, and from there on the picture.
        rows, columns = box_slices(inside, _AROUND)
        return cls(crop, (rows.start, columns.start), np.array(logits[rows, columns], np.float32), shape)

    def drawn(self, engine: EngineLike, source: PlaneSource, threshold: float) -> BoxedMask:
        """Draw them on the plane again, as `napari_sam.inference.request.EngineLike.masks` does."""
        (top, left), (height, width) = self.origin, self.values.shape
        logits = np.full(self.shape, -MOST_THRESHOLD, np.float32)
        logits[top : top + height, left : left + width] = self.values
        picture = blank_plane(self.crop, source.view.spacing)
        return self.crop.boxed(engine.masks(picture, logits[None], threshold)[0], source.view.shape)


_AROUND = 4
"""Cells."""


def resampled(logits: NDArray[np.float32], old: CropGrid, new: CropGrid) -> NDArray[np.float32]:
    """Bring logits of one crop to the grid of another crop of the same plane.

    Parameters
    ----------
    logits : numpy.ndarray, shape `old.shape`, float32
        On the canvas as the old crop lies there.
    old, new : CropGrid
        Where they are, and where they are to be.

    Returns
    -------
    numpy.ndarray, shape `new.shape`, float32
        Linearly interpolated; `NOWHERE` beyond the old crop.
    """
    # Axis by axis: crops and canvases are never turned against each other, so that two lists of places are enough.
    rows, columns = (
        _cells(old, axis, old.crop.to_picture(new.crop.to_plane(_pairs(at)))[:, axis])
        for axis, at in enumerate(_picture_pixels(new))
    )
    return _sampled(logits, rows, columns)


def _pairs(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # Frames and crops convert points; only the coordinate of one axis is looked at afterwards.
    return np.stack([values, values], axis=1)


def _picture_pixels(grid: CropGrid) -> list[NDArray[np.float64]]:
    """Give the place of every row and of every column of a grid, in pixels of the crop's picture."""
    found = []
    for axis, (canvas, cells) in enumerate(zip(grid.frame.canvas, grid.shape, strict=True)):
        # Centres of the cells, in model pixels: cells cover the canvas, however many there are.
        centres = (np.arange(cells) + 0.5) * canvas / cells - 0.5
        found.append(grid.frame.to_data(_pairs(centres))[:, axis])
    return found


def _cells(grid: CropGrid, axis: int, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the place of pixels of the crop's picture on its grid, in cells; NaN beyond the picture."""
    # The canvas has x before y. float64, as all that follows is calculated in it.
    model = grid.frame.to_model(_pairs(at)).astype(np.float64)[:, 1 - axis]
    cells = (model + 0.5) * grid.shape[axis] / grid.frame.canvas[axis] - 0.5
    # A picture ends half a pixel beyond the centres of its outermost pixels.
    cells[(at < -0.5) | (at > grid.frame.plane[axis] - 0.5)] = np.nan
    return cells


def _sampled(
    values: NDArray[np.float32], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Interpolate linearly at every crossing of some rows and columns; `NOWHERE` where one of them is NaN."""
    inside = np.isfinite(rows)[:, None] & np.isfinite(columns)
    # One axis after the other: linear interpolation is separable.
    for axis, places in enumerate((rows, columns)):
        # Places beyond the picture may take any value here: `inside` covers them in the end.
        at = np.clip(np.nan_to_num(places), 0, values.shape[axis] - 1)
        before = np.floor(at).astype(int)
        after = np.minimum(before + 1, values.shape[axis] - 1)
        weight = np.expand_dims(at - before, 1 - axis)
        values = values.take(before, axis) * (1 - weight) + values.take(after, axis) * weight
    return np.where(inside, values, NOWHERE).astype(np.float32)
