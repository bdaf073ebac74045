"""What is known of an object once its pixels are in the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_sam.automatic.proposals import Proposal

Rectangle = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class MergedObject:
    """What a model said of an object.

    Attributes
    ----------
    score, stability : float
        As in `napari_sam.automatic.proposals.Proposal`.
    point : (float, float) or None
        Where the decoder was asked, data pixels, (y, x).
    crop : ((float, float), (float, float)) or None
        What the model was shown: rows above and columns left of it, and its ends, data pixels; None for the plane.
    matches : tuple of float
        How well it fits each of the things that are looked for, 0 to 1; empty where nothing is.
    """

    score: float
    stability: float = 1.0
    point: tuple[float, float] | None = None
    crop: Rectangle | None = None
    matches: tuple[float, ...] = ()

    @classmethod
    def of(cls, pieces: Iterable[Proposal]) -> MergedObject:
        """Put together what was said of the pieces of one object; of a single one, all stays as it is.

        Numbers of several pieces are means, weighted by areas. The point is that of the largest piece, and the crop
        goes around the crops of all of them.

        Parameters
        ----------
        pieces : iterable of Proposal
            At least one; none of them is kept, as their masks may fill the plane.
        """
        areas, points, crops = list[int](), list[tuple[float, float] | None](), list[Rectangle | None]()
        told: list[tuple[float, ...]] = []
        for piece in pieces:
            areas.append(piece.mask.area)
            points.append(piece.point)
            told.append((piece.score, piece.stability, *piece.matches))
            crops.append(piece.crop)
        if len(told) == 1:
            score, stability, *matches = told[0]
            return cls(score, stability, points[0], crops[0], tuple(matches))
        score, stability, *matches = np.average(told, axis=0, weights=areas).tolist()
        return cls(score, stability, points[int(np.argmax(areas))], _around(crops), tuple(matches))


def _around(crops: Sequence[Rectangle | None]) -> Rectangle | None:
    """Return the least rectangle that holds all; None, which is the plane, holds any."""
    known = [crop for crop in crops if crop is not None]
    if len(known) < len(crops):
        return None
    (top, left), (bottom, right) = np.min(known, axis=0)[0].tolist(), np.max(known, axis=0)[1].tolist()
    return (top, left), (bottom, right)
