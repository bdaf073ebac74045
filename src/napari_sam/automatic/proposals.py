"""Objects that were found and nobody has chosen yet: what is known of each, which are wanted, and labels of those."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf, pi
from typing import TYPE_CHECKING

import numpy as np
from skimage.measure import perimeter

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam.masks import BoxedMask


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A mask that was found on a plane.

    Attributes
    ----------
    mask : BoxedMask
        Its pixels; never empty.
    score : float
        The model's own estimate of the mask's IoU with an object, or of how certainly one is there, 0 to 1.
    stability : float
        IoU of the masks that a higher and a lower threshold of the logits would give, 0 to 1; 1 where the mask does not
        come from logits.
    point : (float, float) or None
        Where the decoder was asked, data pixels, (y, x).
    crop : ((float, float), (float, float)) or None
        The part of the plane that the model was shown: rows above and columns left of it, and its ends, data pixels;
        None where it was shown the plane.
    matches : tuple of float
        How well it fits each of the things that are looked for, 0 to 1; empty where nothing is.
    """

    mask: BoxedMask
    score: float
    stability: float = 1.0
    point: tuple[float, float] | None = None
    crop: tuple[tuple[float, float], tuple[float, float]] | None = None
    matches: tuple[float, ...] = ()

    @property
    def rank(self) -> float:
        """What decides which of two masks lies on top: the score, less where the mask is not stable."""
        return self.score * self.stability


@dataclass(frozen=True, slots=True)
class ProposalFilter:
    """Which proposals are wanted.

    Attributes
    ----------
    score, stability : float
        The least, 0 to 1.
    area : (float, float)
        The least and the largest, data pixels.
    roundness : float
        The least, 0 to 1; see `ProposalTable.roundness`.
    intensity : (float, float)
        The least and the largest mean of the pixels inside, in the units of the image.
    overlap : float
        Of two proposals the lower one is left out where they have more than this share of the smaller one in common.
    match : float
        The least, 0 to 1; see `ProposalTable.match`.
    """

    score: float = 0.0
    stability: float = 0.0
    area: tuple[float, float] = (0.0, inf)
    roundness: float = 0.0
    intensity: tuple[float, float] = (-inf, inf)
    overlap: float = 0.5
    match: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            # Types are texts here, because annotations are not evaluated.
            if field.type == "float" and not 0 <= value <= 1:
                raise InputError(f"{field.name} is a number from 0 to 1; got {value!r}.")
            if field.type != "float" and not value[0] <= value[1]:
                raise InputError(f"{field.name} is the least and the largest; got {value[0]!r} and {value[1]!r}.")


@dataclass(frozen=True, slots=True, eq=False)
class ProposalTable:
    """Proposals of one plane, the best first, with what a filter asks of each: measured once.

    Attributes
    ----------
    proposals : tuple of Proposal
        In the order of their ranks.
    plane : (int, int)
        Height and width of the plane, data pixels.
    score, stability : numpy.ndarray, shape (n,), float64
        As in `Proposal`.
    area : numpy.ndarray, shape (n,), int64
        Data pixels.
    roundness : numpy.ndarray, shape (n,), float64
        4 pi A / P^2 with the perimeter after Crofton of `skimage.measure.perimeter`: 1 for a disc, less for what is
        long or has a ragged border; never more than 1.
    intensity : numpy.ndarray, shape (n,), float64
        Mean of the pixels inside, of their channels too.
    match : numpy.ndarray, shape (n,), float64, or None
        How well each fits what is looked for, in words or by examples, 0 to 1; None where nothing is.
    """

    proposals: tuple[Proposal, ...]
    plane: tuple[int, int]
    score: NDArray[np.float64]
    stability: NDArray[np.float64]
    area: NDArray[np.int64]
    roundness: NDArray[np.float64]
    intensity: NDArray[np.float64]
    match: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, proposals: Sequence[Proposal], pixels: NDArray[np.generic]) -> ProposalTable:
        """Measure proposals.

        Parameters
        ----------
        proposals : sequence of Proposal
            In any order.
        pixels : numpy.ndarray, shape (H, W) or (H, W, C)
            The plane that they were found on.
        """
        # Stable: proposals of one rank stay in the order in which they were found.
        ordered = tuple(sorted(proposals, key=lambda proposal: -proposal.rank))
        return cls(
            ordered,
            (pixels.shape[0], pixels.shape[1]),
            np.array([proposal.score for proposal in ordered], dtype=np.float64),
            np.array([proposal.stability for proposal in ordered], dtype=np.float64),
            np.array([proposal.mask.area for proposal in ordered], dtype=np.int64),
            np.array([roundness(proposal.mask.mask) for proposal in ordered], dtype=np.float64),
            np.array([_mean(pixels, proposal.mask) for proposal in ordered], dtype=np.float64),
        )

    def __len__(self) -> int:
        return len(self.proposals)

    def wanted(self, chosen: ProposalFilter) -> NDArray[np.bool_]:
        """Tell which proposals lie within the bounds of a filter, (n,) bool; overlaps are not looked at."""
        within: NDArray[np.bool_] = (
            (self.score >= chosen.score)
            & (self.stability >= chosen.stability)
            & (self.area >= chosen.area[0])
            & (self.area <= chosen.area[1])
            & (self.roundness >= chosen.roundness)
            & (self.intensity >= chosen.intensity[0])
            & (self.intensity <= chosen.intensity[1])
        )
        return within if self.match is None else within & (self.match >= chosen.match)

    def selected(
        self,
        chosen: ProposalFilter,
        marks: Mapping[int, bool] | None = None,
        taken: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int32]:
        """Lay the proposals that are wanted on an empty plane, the best first; see `lay`.

        Parameters
        ----------
        chosen : ProposalFilter
        marks : mapping from int to bool, optional
            Proposals, by their place in the table, that are kept or dropped whatever the filter says. What is kept is
            laid first, and whatever it has in common with others.
        taken : numpy.ndarray, shape (H, W), bool, optional
            Pixels that carry other objects already.

        Returns
        -------
        numpy.ndarray, shape (H, W), int32
            1 plus the proposal's place in the table, 0 where there is none.
        """
        marks = marks or {}
        kept = [place for place in sorted(marks) if marks[place]]
        others = [int(place) for place in np.flatnonzero(self.wanted(chosen)) if place not in marks]
        return lay(
            [self.proposals[place].mask for place in kept + others],
            self.plane,
            overlap=chosen.overlap,
            least_area=chosen.area[0],
            kept=len(kept),
            taken=taken,
            numbers=[place + 1 for place in kept + others],
        )

    def at(self, y: int, x: int) -> NDArray[np.intp]:
        """Return the places of the proposals that cover a data pixel, the smallest first."""
        found = [place for place, proposal in enumerate(self.proposals) if _covers(proposal.mask, y, x)]
        return np.array(sorted(found, key=lambda place: int(self.area[place])), np.intp)


def lay(
    masks: Sequence[BoxedMask],
    plane: tuple[int, int],
    *,
    overlap: float,
    least_area: float = 1,
    kept: int = 0,
    taken: NDArray[np.bool_] | None = None,
    numbers: Sequence[int] | None = None,
) -> NDArray[np.int32]:
    """Lay masks on an empty plane one after another; what is covered already stays.

    A mask is left out that has too much in common with one that was laid before, or of which less than half is free.

    Parameters
    ----------
    masks : sequence of BoxedMask
        The best first.
    plane : (int, int)
        Height and width, data pixels.
    overlap : float
        Most that two may have in common, as a share of the smaller one.
    least_area : float
        Least data pixels that have to be free.
    kept : int
        So many, from the first, are laid in any case.
    taken : numpy.ndarray, shape (H, W), bool, optional
        Pixels that are covered from the beginning, as by one large object.
    numbers : sequence of int, optional
        What stands for each mask, 1 or more and each once; by default 1 plus its place in the sequence.

    Returns
    -------
    numpy.ndarray, shape (H, W), int32
        The numbers, 0 where there is no mask.
    """
    labels = np.zeros(plane, np.int32)
    numbers = range(1, len(masks) + 1) if numbers is None else numbers
    covered = max(numbers, default=0) + 1
    areas = np.zeros(covered + 1, np.int64)
    if taken is not None:
        # So large that a mask is always the smaller one.
        labels[taken], areas[covered] = covered, taken.size
    for order, (number, boxed) in enumerate(zip(numbers, masks, strict=True)):
        under, mask = labels[boxed.box], boxed.mask
        common = np.bincount(under[mask], minlength=1)
        area = int(common.sum())
        # Number 0 counts the pixels that are still free.
        free, common[0] = int(common[0]), 0
        if order >= kept:
            smaller = np.minimum(area, areas[: len(common)])
            if (common > overlap * smaller).any() or free < max(least_area, area / 2):
                continue
        under[mask & (under == 0)] = number
        areas[number] = free
    if taken is not None:
        labels[taken] = 0
    return labels


def renumbered(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give the objects of a plane the numbers 1 to n, in the order of the numbers that they have; 0 stays."""
    present = np.bincount(labels.ravel()) > 0
    present[:1] = False
    numbers: NDArray[np.int32] = np.where(present, np.cumsum(present), 0).astype(np.int32)
    return numbers[labels]


def _covers(boxed: BoxedMask, y: int, x: int) -> bool:
    down, across = y - boxed.origin[0], x - boxed.origin[1]
    height, width = boxed.mask.shape
    return 0 <= down < height and 0 <= across < width and bool(boxed.mask[down, across])


def roundness(mask: NDArray[np.bool_]) -> float:
    """Measure a mask, (h, w) bool, as `ProposalTable.roundness` does."""
    around = float(perimeter(np.pad(mask, 1)))  # type: ignore[no-untyped-call]  # of scikit-image
    # Of a few pixels the perimeter is too short, or none at all.
    return min(1.0, 4 * pi * float(np.count_nonzero(mask)) / around**2) if around else 1.0


def _mean(pixels: NDArray[np.generic], mask: BoxedMask) -> float:
    return float(pixels[mask.box][mask.mask].mean(dtype=np.float64))
