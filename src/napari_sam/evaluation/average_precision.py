"""How many objects were found, each at a demand on its overlap: the average precision of instance segmentation.

The definition is that of the 2018 Data Science Bowl (Caicedo et al. 2019, Nature Methods 16:1247): an object is found
at a threshold if the IoU of its mask with one of the answer's is greater, and the score of an image is the number of
objects found, divided by that number and all that was missed or made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TWENTIETHS = np.arange(10, 20)  # whole numbers, see `match_counts`

THRESHOLDS: tuple[float, ...] = tuple((_TWENTIETHS / 20).tolist())
"""Overlaps (IoU) that are asked for: .5, .55, ... .95."""


@dataclass(frozen=True, slots=True, eq=False)
class MatchCounts:
    """How the objects of an image and those of an answer go together.

    Attributes
    ----------
    found : numpy.ndarray, shape (10,), int64
        Pairs whose IoU is greater than each of `THRESHOLDS`.
    truths, answers : int
        Objects of the image, and of the answer.
    """

    found: NDArray[np.int64]
    truths: int
    answers: int

    @property
    def missed(self) -> NDArray[np.int64]:
        """Objects that were not found, (10,) int64: false negatives."""
        return self.truths - self.found

    @property
    def made_up(self) -> NDArray[np.int64]:
        """Answers that are no object, (10,) int64: false positives."""
        return self.answers - self.found


def match_counts(truth: NDArray[np.integer], answer: NDArray[np.integer]) -> MatchCounts:
    """Pair the objects of two label images.

    An overlap has to be greater than the threshold, never just as great. More than half of a union can be common to one
    pair only, so no object is ever in two pairs, and nothing is left to choose.

    Parameters
    ----------
    truth, answer : numpy.ndarray, shape (H, W), integer
        Labels, 0 for background; any other numbers, with or without gaps.

    Returns
    -------
    MatchCounts

    Raises
    ------
    InputError
        If the two are not label images of one shape.
    """
    if truth.shape != answer.shape or {truth.dtype.kind, answer.dtype.kind} - set("iu"):
        raise InputError(
            f"Labels to compare are integers of one shape; got {truth.shape} {truth.dtype} and "
            f"{answer.shape} {answer.dtype}."
        )
    true_areas, true_index = _areas(truth)
    areas, index = _areas(answer)
    both = (true_index > 0) & (index > 0)
    # One number for each pair that meets: the table of all pairs is nearly empty.
    pairs, common = np.unique(true_index[both] * len(areas) + index[both], return_counts=True)
    union = true_areas[pairs // len(areas)] + areas[pairs % len(areas)] - common
    # In whole numbers, so that an overlap that equals its threshold is never rounded past it.
    found = np.count_nonzero(20 * common > _TWENTIETHS[:, None] * union, axis=1)
    # Each count has the background in it.
    return MatchCounts(found.astype(np.int64), len(true_areas) - 1, len(areas) - 1)


def average_precision(truth: NDArray[np.integer], answer: NDArray[np.integer]) -> NDArray[np.float64]:
    """Score the answer for one image at each of `THRESHOLDS`.

    Parameters
    ----------
    truth, answer : numpy.ndarray, shape (H, W), integer
        Labels, 0 for background.

    Returns
    -------
    numpy.ndarray, shape (10,), float64
        TP / (TP + FP + FN), from 0 to 1; 1 where there is no object and none was answered.

    Raises
    ------
    InputError
        If the two are not label images of one shape.
    """
    counts = match_counts(truth, answer)
    everything = counts.truths + counts.answers - counts.found
    return np.divide(counts.found, everything, out=np.ones(len(everything)), where=everything > 0)


def mean_average_precision(truth: NDArray[np.integer], answer: NDArray[np.integer]) -> float:
    """Average `average_precision` over the thresholds; the mean over images is the caller's."""
    return float(average_precision(truth, answer).mean())


def _areas(labels: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the pixels of each object, numbered 1, 2, ... without gaps, and the number of each pixel, (H W)."""
    flat = labels.ravel()
    inside = flat != 0
    # Number 0 is the background even where an image has none.
    _values, index, areas = np.unique(flat[inside], return_inverse=True, return_counts=True)
    numbers = np.zeros(flat.size, np.int64)
    numbers[inside] = index + 1
    return np.concatenate(([flat.size - len(index)], areas)).astype(np.int64), numbers
