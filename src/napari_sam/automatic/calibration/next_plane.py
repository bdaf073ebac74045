"""Which plane of a stack, or image of a series, is best annotated next: where there is doubt, and what is new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class PlaneEvidence:
    """What is known of a plane.

    Attributes
    ----------
    place : int
        Which plane it is, by which it is named in what is returned.
    descriptor : numpy.ndarray, shape (d,), float64
        What it looks like, such as the mean of its embedding; NaN where a number is not known of planes.
    doubt : float or None
        Share of its proposals that a calibration does not call confident, 0 to 1; None where nobody looked.
    """

    place: int
    descriptor: NDArray[np.float64]
    doubt: float | None = None


@dataclass(frozen=True, slots=True)
class RankedPlane:
    """A plane that is worth annotating.

    Attributes
    ----------
    place : int
        As in `PlaneEvidence`.
    doubt : float
        Share of its proposals that are doubtful; the mean of the other planes where it is not known.
    novelty : float
        How unlike the planes it looks that are annotated, or stand before it in the ranking, 0 to 1.
    """

    place: int
    doubt: float
    novelty: float

    @property
    def value(self) -> float:
        """What planes are ranked by: doubt and novelty count alike."""
        return self.doubt + self.novelty


def rank_planes(planes: Sequence[PlaneEvidence], annotated: Sequence[NDArray[np.float64]]) -> list[RankedPlane]:
    """Rank planes by how much annotating them would teach, the best first.

    A plane that stands in the ranking counts as annotated for those after it: of two planes that look alike, the second
    comes late, however doubtful both are.

    Parameters
    ----------
    planes : sequence of PlaneEvidence
        Those to choose from.
    annotated : sequence of numpy.ndarray, shape (d,), float64
        What the planes look like that are annotated already; may be empty.

    Returns
    -------
    list of RankedPlane
        All of them.
    """
    if not planes:
        return []
    known = [plane.doubt for plane in planes if plane.doubt is not None]
    usual = float(np.mean(known)) if known else 0.0
    doubts = np.array([usual if plane.doubt is None else plane.doubt for plane in planes])
    points = _standardised(np.stack([plane.descriptor for plane in planes] + list(annotated)))
    own, others = points[: len(planes)], points[len(planes) :]
    between = np.linalg.norm(own[:, None] - own, axis=2)
    # Of all, the two that are least alike: what is as far from everything annotated is all new.
    farthest = max(float(between.max()), float(np.linalg.norm(own[:, None] - others, axis=2).max(initial=0.0)))
    nearest = np.linalg.norm(own[:, None] - others, axis=2).min(axis=1, initial=np.inf)
    left, ranking = list(range(len(planes))), []
    while left:
        # Where nothing is annotated yet, all are new.
        novelty = np.minimum(nearest / farthest, 1.0) if farthest else np.zeros(len(planes))
        best = max(left, key=lambda place: (doubts[place] + novelty[place], -place))
        ranking.append(RankedPlane(planes[best].place, float(doubts[best]), float(novelty[best])))
        left.remove(best)
        nearest = np.minimum(nearest, between[best])
    return ranking


def _standardised(descriptors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring each number that is known of all planes to one spread; a number that is the same everywhere goes."""
    known = descriptors[:, np.isfinite(descriptors).all(axis=0)]
    spread = known.std(axis=0)
    varied = spread > 0
    points: NDArray[np.float64] = (known[:, varied] - known[:, varied].mean(axis=0)) / spread[varied]
    return points
