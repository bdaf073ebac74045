"""Objects that were found and nobody has chosen yet: what is known of each, which are wanted, and labels of those."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import inf, pi
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import perimeter

from napari_sam.automatic.laying import lay, lay_in_place
from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam.inference.logits import KeptLogits
    from napari_sam.masks import BoxedMask


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A mask that was found on a plane.

    Attributes
    ----------
    mask : BoxedMask
        Its pixels; never empty as it was found, but a clean-up may leave nothing.
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
    asked : int or None
        Which of the objects that were prompted it is; None where nobody prompted it.
    agreement : float
        IoU with the rough mask that it was made of; 1 where it was made of none.
    logits : KeptLogits or None
        What its mask was drawn from, where somebody prompted it; None where that is not kept.
    foreground : float
        Mean probability of foreground under the mask, by the model's dense maps, 0 to 1; 1 where it has none.
    """

    mask: BoxedMask
    score: float
    stability: float = 1.0
    point: tuple[float, float] | None = None
    crop: tuple[tuple[float, float], tuple[float, float]] | None = None
    matches: tuple[float, ...] = ()
    asked: int | None = None
    agreement: float = 1.0
    logits: KeptLogits | None = None
    foreground: float = 1.0

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
    agreement : float
        The least IoU with the rough mask that a proposal was made of, 0 to 1.
    """

    score: float = 0.0
    stability: float = 0.0
    area: tuple[float, float] = (0.0, inf)
    roundness: float = 0.0
    intensity: tuple[float, float] = (-inf, inf)
    overlap: float = 0.5
    match: float = 0.0
    agreement: float = 0.0

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
    """Proposals of one plane, with what a filter asks of each: measured once.

    Attributes
    ----------
    proposals : tuple of Proposal
        In the order in which they are laid: by their ranks, or, where each is wanted for itself, the smallest first.
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
        Mean of the pixels inside, of their channels too; 0 where there are none.
    agreement : numpy.ndarray, shape (n,), float64
        As in `Proposal`.
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
    agreement: NDArray[np.float64]
    match: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls, proposals: Sequence[Proposal], pixels: NDArray[np.generic], *, smallest_first: bool = False
    ) -> ProposalTable:
        """Measure proposals.

        Parameters
        ----------
        proposals : sequence of Proposal
            In any order.
        pixels : numpy.ndarray, shape (H, W) or (H, W, C)
            The plane that they were found on.
        smallest_first : bool
            Whether small proposals go before large ones, so that none is lost under another; else good ones go before
            bad ones.
        """
        # Stable: equal proposals stay in the order in which they were found.
        ordered = tuple(sorted(proposals, key=lambda one: one.mask.area if smallest_first else -one.rank))
        return cls(
            ordered,
            (pixels.shape[0], pixels.shape[1]),
            np.array([proposal.score for proposal in ordered], dtype=np.float64),
            np.array([proposal.stability for proposal in ordered], dtype=np.float64),
            np.array([proposal.mask.area for proposal in ordered], dtype=np.int64),
            np.array([roundness(proposal.mask.mask) for proposal in ordered], dtype=np.float64),
            np.array([_mean(pixels, proposal.mask) for proposal in ordered], dtype=np.float64),
            np.array([proposal.agreement for proposal in ordered], dtype=np.float64),
        )

    def with_masks(self, masks: Sequence[BoxedMask], pixels: NDArray[np.generic]) -> ProposalTable:
        """Measure the same proposals with other masks; their order, and how well they match, stay.

        Parameters
        ----------
        masks : sequence of BoxedMask
            For each proposal. One that is empty is never wanted.
        pixels : numpy.ndarray, shape (H, W) or (H, W, C)
            The plane.
        """
        return replace(
            self,
            proposals=tuple(replace(one, mask=mask) for one, mask in zip(self.proposals, masks, strict=True)),
            area=np.array([mask.area for mask in masks], dtype=np.int64),
            roundness=np.array([roundness(mask.mask) for mask in masks], dtype=np.float64),
            intensity=np.array([_mean(pixels, mask) for mask in masks], dtype=np.float64),
        )

    def __len__(self) -> int:
        return len(self.proposals)

    def wanted(self, chosen: ProposalFilter) -> NDArray[np.bool_]:
        """Tell which proposals lie within the bounds of a filter, (n,) bool; overlaps are not looked at."""
        within: NDArray[np.bool_] = (
            (self.area > 0)
            & (self.score >= chosen.score)
            & (self.stability >= chosen.stability)
            & (self.area >= chosen.area[0])
            & (self.area <= chosen.area[1])
            & (self.roundness >= chosen.roundness)
            & (self.intensity >= chosen.intensity[0])
            & (self.intensity <= chosen.intensity[1])
            & (self.agreement >= chosen.agreement)
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
        places, kept = self._order(chosen, marks or {})
        return lay(
            [self.proposals[place].mask for place in places],
            self.plane,
            overlap=chosen.overlap,
            least_area=chosen.area[0],
            kept=kept,
            taken=taken,
            numbers=[place + 1 for place in places],
        )

    def selected_in_place(
        self,
        chosen: ProposalFilter,
        marks: Mapping[int, bool],
        labels: NDArray[np.integer[Any]],
        ids: Sequence[int],
    ) -> NDArray[np.int32]:
        """Lay the proposals that are wanted in place of the objects that they were made of; see `lay_in_place`.

        Parameters
        ----------
        chosen, marks
            As for `selected`.
        labels : numpy.ndarray, shape (H, W), int
            Where objects are.
        ids : sequence of int
            For each proposal, the id of the object that it was made of.

        Returns
        -------
        numpy.ndarray, shape (H, W), int32
            As `selected` gives it.
        """
        places, kept = self._order(chosen, marks)
        return lay_in_place(
            [self.proposals[place].mask for place in places],
            [ids[place] for place in places],
            labels,
            overlap=chosen.overlap,
            least_area=chosen.area[0],
            kept=kept,
            numbers=[place + 1 for place in places],
        )

    def _order(self, chosen: ProposalFilter, marks: Mapping[int, bool]) -> tuple[list[int], int]:
        """List the proposals that are wanted in the order of laying, and how many of them are kept by hand."""
        kept = [place for place in sorted(marks) if marks[place]]
        return kept + [int(place) for place in np.flatnonzero(self.wanted(chosen)) if place not in marks], len(kept)

    def at(self, y: int, x: int) -> NDArray[np.intp]:
        """Return the places of the proposals that cover a data pixel, the smallest first."""
        found = [place for place, proposal in enumerate(self.proposals) if _covers(proposal.mask, y, x)]
        return np.array(sorted(found, key=lambda place: int(self.area[place])), np.intp)


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
    inside = pixels[mask.box][mask.mask]
    return float(inside.mean(dtype=np.float64)) if inside.size else 0.0
