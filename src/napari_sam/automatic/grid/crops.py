"""The parts of a plane that are looked at one by one: the plane itself, then 2 x 2 crops of it, then 4 x 4, and so on.

Kirillov et al., Segment Anything, arXiv 2304.02643, appendix B; sizes are rounded as the authors' code does it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sam.automatic.settings import GridSettings

_EDGE = 20
"""Data pixels: how near the side of a box comes to an edge of its crop where the object may go on beyond it."""


@dataclass(frozen=True, slots=True)
class LayerCrop:
    """A crop of a layer.

    Attributes
    ----------
    start, stop : (int, int)
        First pixel, and the first that no longer belongs to it, (y, x), data pixels.
    layer : int
        0 for the plane itself.
    """

    start: tuple[int, int]
    stop: tuple[int, int]
    layer: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, data pixels."""
        return self.stop[0] - self.start[0], self.stop[1] - self.start[1]

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the plane."""
        return slice(self.start[0], self.stop[0]), slice(self.start[1], self.stop[1])

    def cuts(self, boxes: NDArray[np.integer], plane: tuple[int, int]) -> NDArray[np.bool_]:
        """Tell which objects the crop may have cut off.

        Parameters
        ----------
        boxes : numpy.ndarray, shape (n, 4), int
            First and last pixel, (y0, x0, y1, x1), data pixels of the plane.
        plane : (int, int)
            Height and width: what ends at the edge of the plane is whole.

        Returns
        -------
        numpy.ndarray, shape (n,), bool
        """
        near_own, near_outer = (
            np.abs(boxes - np.array(edges)) <= _EDGE for edges in ((*self.start, *self.stop), (0, 0, *plane))
        )
        cut: NDArray[np.bool_] = (near_own & ~near_outer).any(1)
        return cut


def layer_crops(plane: tuple[int, int], settings: GridSettings) -> Iterator[LayerCrop]:
    """Give the plane, and the crops of each layer, column by column.

    Parameters
    ----------
    plane : (int, int)
        Height and width, data pixels.
    settings : GridSettings
    """
    yield LayerCrop((0, 0), plane, 0)
    for layer in range(1, settings.crop_layers + 1):
        count = 2**layer
        overlap = int(settings.crop_overlap * min(plane) * (2 / count))
        height, width = (math.ceil((overlap * (count - 1) + side) / count) for side in plane)
        for column, row in product(range(count), repeat=2):
            y, x = row * (height - overlap), column * (width - overlap)
            yield LayerCrop((y, x), (min(y + height, plane[0]), min(x + width, plane[1])), layer)


def point_grid(crop: LayerCrop, settings: GridSettings) -> NDArray[np.float64]:
    """Give the points of a crop at which the model is asked, row by row.

    Returns
    -------
    numpy.ndarray, shape (n, 2), float64
        Pixels of the crop, (y, x).
    """
    count = settings.points_per_side // settings.crop_downscale**crop.layer
    # The authors take shares of a side for pixel indices, half a pixel off the cells' centres; so do their masks.
    steps = np.linspace(1 / (2 * count), 1 - 1 / (2 * count), count)
    y, x = np.meshgrid(steps * crop.shape[0], steps * crop.shape[1], indexing="ij")
    return np.stack([y.ravel(), x.ravel()], 1)
