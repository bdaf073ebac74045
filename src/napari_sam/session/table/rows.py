"""The rows of the object table: what was measured, beside what is noted in the features of the layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.session.viewing.feature_table import CLASS, PROMPTS, REVIEWED, SCORE, read_column

if TYPE_CHECKING:
    from collections.abc import Collection

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
        size, unit = pixel_measure(layer)
        return cls(regions, *_read_notes(layer, regions.labels), size, unit, axes, planar)

    def updated(
        self,
        layer: Labels,
        regions: RegionTable,
        axes: tuple[str, ...],
        planar: tuple[int, ...],
        noted: Collection[int],
    ) -> ObjectRows:
        """Put the rows together anew, where the features changed for some objects only: a tenth of the time of `of`.

        Parameters
        ----------
        layer, regions, axes, planar
            As of now: some objects may have come or gone.
        noted : collection of int
            Ids of which the features say something else by now.
        """
        labels, before = regions.labels, self.regions.labels
        if not len(before):
            return self.of(layer, regions, axes, planar)
        places = np.searchsorted(before, labels)
        places[places == len(before)] = 0
        fresh = np.isin(labels, list(noted))
        fresh |= before[places] != labels
        if np.count_nonzero(fresh) > _FEW:
            return self.of(layer, regions, axes, planar)
        classes, reviewed, prompts, scores = _read_notes(layer, labels[fresh])

        def joined(known: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
            # A longer word needs wider cells.
            column = known[places].astype(np.result_type(known, new), copy=False)
            column[fresh] = new
            return column

        size, unit = pixel_measure(layer)
        return ObjectRows(
            regions,
            joined(self.classes, classes),
            joined(self.reviewed, reviewed),
            joined(self.prompts, prompts),
            joined(self.scores, scores),
            size,
            unit,
            axes,
            planar,
        )

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


_FEW = 256
"""Objects of which the features are read one by one."""


def _read_notes(layer: Labels, ids: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Read what the features of a layer say of objects, in the order of the fields of `ObjectRows`."""
    kinds = ((CLASS, str), (REVIEWED, str), (PROMPTS, str), (SCORE, np.float64))
    classes, reviewed, prompts, scores = (
        np.array(read_column(layer, column, ids), dtype=kind) for column, kind in kinds
    )
    return classes, reviewed, prompts, scores


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
