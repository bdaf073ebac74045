"""The rows of the object table: what was measured, beside what is noted in the features of the layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.session.viewing.feature_table import CLASS, PROMPTS, REVIEWED, SCORE, read_column

if TYPE_CHECKING:
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sam.regions import RegionTable


@dataclass(frozen=True, slots=True, eq=False)
class ObjectRows:
    """Everything that the table tells of the objects of a layer; one row each, by ascending id.

    Attributes
    ----------
    regions : RegionTable
        Ids, areas, boxes and centres, data pixels.
    classes, reviewed, prompts : numpy.ndarray, shape (n,), str
        As in the features of the layer.
    scores : numpy.ndarray, shape (n,), float64
        0 to 1; not a number where nobody knows.
    pixel_size : float
        Area or volume of one pixel in `unit`; 0 where the layer has no units.
    unit : str
        Such as "µm²"; "" where the layer has none.
    axes : tuple of str
        Names of the data axes.
    planar : tuple of int
        The two axes on screen: an object lies on a range of planes along the others.
    """

    regions: RegionTable
    classes: NDArray[Any]
    reviewed: NDArray[Any]
    prompts: NDArray[Any]
    scores: NDArray[np.float64]
    pixel_size: float
    unit: str
    axes: tuple[str, ...]
    planar: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.regions)

    @classmethod
    def of(cls, layer: Labels, regions: RegionTable, axes: tuple[str, ...], planar: tuple[int, ...]) -> ObjectRows:
        """Put the rows of a layer together."""
        ids = regions.labels
        classes, reviewed, prompts = (
            np.array(read_column(layer, column, ids), dtype=str) for column in (CLASS, REVIEWED, PROMPTS)
        )
        scores = np.array(read_column(layer, SCORE, ids), dtype=np.float64)
        size, unit = pixel_measure(layer)
        return cls(regions, classes, reviewed, prompts, scores, size, unit, axes, planar)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Ids, shape (n,)."""
        return self.regions.labels

    @property
    def sizes(self) -> NDArray[np.float64]:
        """Areas or volumes in `unit`, shape (n,); in pixels where there is none."""
        return np.asarray(self.regions.area * (self.pixel_size or 1.0), dtype=np.float64)

    @property
    def depth(self) -> tuple[int, ...]:
        """The axes along which an object lies on a range of planes."""
        return tuple(axis for axis in range(self.regions.ndim) if axis not in self.planar)

    def planes(self, row: int) -> str:
        """Name the planes that an object lies on, such as "z 3-7"; "" in an image of one plane."""
        spans = (
            (self.axes[axis], int(self.regions.low[row, axis]), int(self.regions.high[row, axis]) - 1)
            for axis in self.depth
        )
        return ", ".join(f"{name} {low}" if low == high else f"{name} {low}–{high}" for name, low, high in spans)  # noqa: RUF001  # an en dash, as between numbers


def pixel_measure(layer: Labels) -> tuple[float, str]:
    """Tell how large a pixel of a layer is, and in what unit; axes of time and the like do not count.

    Returns
    -------
    (float, str)
        Such as 0.25 and "µm²"; 0 and "" where the axes have no lengths.
    """
    lengths = [
        (abs(float(step)), unit)
        for step, unit in zip(layer.scale, layer.units, strict=True)
        if unit.dimensionality == {"[length]": 1}
    ]
    if len(lengths) < 2:
        return 0.0, ""
    first = lengths[-1][1]
    size = float(np.prod([step * (1 * unit).to(first).magnitude for step, unit in lengths]))
    power = {2: "²", 3: "³"}.get(len(lengths))
    return (0.0, "") if power is None else (size, f"{first:~}{power}")
