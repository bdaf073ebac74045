"""What came of looking for something: each object and how well it fits, and how many were compared."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam.automatic.tiles import MergedObject, TileRecords


@dataclass(frozen=True, slots=True)
class MatchedObject:
    """An object that fits.

    Attributes
    ----------
    number : int
        Its label.
    area : int
        Pixels, on all planes.
    centre : tuple of float
        Mean of its pixels, data pixels, a number for each axis.
    matches : tuple of float
        How well it fits each of the things that are looked for, 0 to 1; the mean over its planes.
    category : str or None
        What it fits best; None where only one thing without a name is looked for.
    """

    number: int
    area: int
    centre: tuple[float, ...]
    matches: tuple[float, ...]
    category: str | None


@dataclass(frozen=True, slots=True)
class MatchReport:
    """What fits in an image.

    Attributes
    ----------
    objects : tuple of MatchedObject
        In the order of their labels.
    candidates : int
        How many were compared, before what lies on each other was left out.
    best : float
        How well the best of them fits, 0 to 1; 0 where there is none.
    """

    objects: tuple[MatchedObject, ...]
    candidates: int
    best: float

    @classmethod
    def of(
        cls,
        labels: Any,
        known: Mapping[tuple[int, ...], Mapping[int, MergedObject]],
        records: Iterable[TileRecords],
        least_score: float,
        classes: Sequence[str],
    ) -> MatchReport:
        """Look through the labels of an image.

        Parameters
        ----------
        labels : zarr.Array, shape (..., H, W)
        known : mapping, by the index of a plane
            What is known of the objects on it.
        records : iterable of TileRecords
            What was found on each plane.
        least_score : float
            What has a lower score was not compared.
        classes : sequence of str
            Names of the things that are looked for, or none.
        """
        compared = [
            max(proposal.matches, default=0.0)
            for plane in records
            for tile in plane.plan.tiles
            for proposal in plane.proposals(tile)
            if proposal.score >= least_score
        ]
        places = _Places(len(labels.shape))
        for index in known:
            places.add(labels, index)
        matches: dict[int, list[tuple[float, ...]]] = defaultdict(list)
        for on_plane in known.values():
            for number, one in on_plane.items():
                matches[number].append(one.matches)
        objects = []
        for number in sorted(matches):
            mean = tuple(np.mean(matches[number], axis=0).tolist())
            category = classes[int(np.argmax(mean))] if classes else None
            objects.append(MatchedObject(number, places.area[number], places.centre(number), mean, category))
        return cls(tuple(objects), len(compared), max(compared, default=0.0))


class _Places:
    """Areas and centres of labels, gathered band by band: a plane may be larger than the memory."""

    def __init__(self, axes: int) -> None:
        self.area: dict[int, int] = defaultdict(int)
        self._sums: dict[int, NDArray[np.float64]] = defaultdict(lambda: np.zeros(axes))

    def add(self, labels: Any, index: tuple[int, ...]) -> None:
        """Add the pixels of a plane."""
        rows = labels.chunks[-2]
        for top in range(0, labels.shape[-2], rows):
            band = np.asarray(labels[(*index, slice(top, top + rows))])
            y, x = np.nonzero(band)
            numbers, which = np.unique(band[y, x], return_inverse=True)
            areas = np.bincount(which, minlength=len(numbers))
            sums = [np.bincount(which, weights=at, minlength=len(numbers)) for at in (y + top, x)]
            for place, number in enumerate(numbers.tolist()):
                self.area[number] += int(areas[place])
                before = np.multiply(index, areas[place])
                self._sums[number] += (*before, sums[0][place], sums[1][place])

    def centre(self, number: int) -> tuple[float, ...]:
        """Return the mean of the pixels of a label."""
        return tuple((self._sums[number] / self.area[number]).tolist())
