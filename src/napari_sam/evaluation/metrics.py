"""Numbers that sum up many objects: means with intervals, clicks needed, how far predicted IoU can be trusted.

A measure that cannot be taken, such as clicks of a model that takes boxes only, is missing from the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from napari_sam.evaluation.scores import ObjectScore

TARGETS = (85, 90)
"""IoU, in per cent, that clicks are counted up to."""

BINS = 10
"""Bins of predicted IoU in which the measured one is averaged."""

LEAST_IMAGES = 5
"""With fewer images, resampling them says nothing about others: there is no interval."""

_REPORTED_CLICKS = (1, 2, 3, 5)
_DRAWS = 2000
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Answers whose predicted IoU lies in one range.

    Attributes
    ----------
    low, high : float
        The range; what is predicted below 0 or above 1 is in the first or the last one.
    answers : int
        Not 0.
    predicted, measured : float
        Mean IoU as the model estimated it, and as it is.
    """

    low: float
    high: float
    answers: int
    predicted: float
    measured: float


def object_means(scores: Sequence[ObjectScore]) -> dict[str, NDArray[np.float64]]:
    """Gather the numbers of each object whose mean is a measure.

    Parameters
    ----------
    scores : sequence of ObjectScore
        Of one model, with equally many clicks each.

    Returns
    -------
    dict of str to numpy.ndarray, shape (objects,), float64
        "1 click", "2 clicks", ...: IoU. "best of 3": IoU of the best candidate for the first click. "NoC@85": clicks
        needed to reach an IoU of .85, all of them where that failed; "failed@85": 1 there, else 0. "box": IoU.
    """
    values: dict[str, NDArray[np.float64]] = {}
    curves = np.array([score.clicks for score in scores], dtype=np.float64)
    if curves.size:
        most = curves.shape[1]
        for count in reported_clicks(most):
            values[clicks_name(count)] = curves[:, count - 1]
        values["best of 3"] = np.array([score.best for score in scores], dtype=np.float64)
        for target in TARGETS:
            reached = curves >= target / 100
            failed: NDArray[np.bool_] = ~np.any(reached, axis=1)
            # argmax finds the first click that was enough.
            values[f"NoC@{target}"] = np.where(failed, most, 1 + np.argmax(reached, axis=1)).astype(np.float64)
            values[f"failed@{target}"] = failed.astype(np.float64)
    if scores and scores[0].box is not None:
        values["box"] = np.array([score.box for score in scores], dtype=np.float64)
    return values


def reported_clicks(most: int) -> list[int]:
    """Numbers of clicks whose mean IoU is reported, where `most` were made."""
    return sorted({*(count for count in _REPORTED_CLICKS if count < most), most})


def clicks_name(count: int) -> str:
    """Name of the mean IoU after so many clicks."""
    return f"{count} click{'s' if count > 1 else ''}"


def object_measures(scores: Sequence[ObjectScore]) -> dict[str, float]:
    """Sum up objects.

    Parameters
    ----------
    scores : sequence of ObjectScore
        Of one model.

    Returns
    -------
    dict of str to float
        Means of what `object_means` gathers. "largest fall": how far mean IoU drops from one click to the next, 0 if it
        never does. "ECE": expected calibration error. "bias": mean of predicted less measured IoU. "Pearson" and
        "Spearman": correlation of the two.
    """
    measures = {name: float(values.mean()) for name, values in object_means(scores).items()}
    if scores and len(scores[0].clicks) > 1:
        measures["largest fall"] = largest_fall(np.mean([score.clicks for score in scores], axis=0))
    predicted, measured = answers(scores)
    if len(predicted):
        measures["ECE"] = expected_calibration_error(calibration(predicted, measured))
        measures["bias"] = float(np.mean(predicted - measured))
        # Spearman's coefficient is Pearson's of the ranks.
        both = {"Pearson": (predicted, measured), "Spearman": (rankdata(predicted), rankdata(measured))}
        for name, (one, other) in both.items():
            if (value := correlation(one, other)) is not None:
                measures[name] = value
    return measures


def largest_fall(curve: ArrayLike) -> float:
    """Return the largest drop from one value of a curve to the next, 0 if it never falls."""
    # A curve of a single value has no differences.
    return float(max(0.0, -np.diff(np.asarray(curve, dtype=np.float64)).min(initial=0.0)))


def answers(scores: Sequence[ObjectScore]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predicted and measured IoU of every answer that was shown, after each click and with a box."""
    pairs = [pair for score in scores for pair in zip(score.predicted, score.clicks, strict=True)]
    pairs += [(s.box_predicted, s.box) for s in scores if s.box is not None and s.box_predicted is not None]
    predicted, measured = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return predicted, measured


def calibration(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> tuple[CalibrationBin, ...]:
    """Average predicted and measured IoU in equal ranges of the predicted one; empty ranges are left out."""
    # 1 belongs to the last range, as does what a model predicts beyond it.
    index = np.clip(np.floor(predicted * BINS), 0, BINS - 1).astype(np.int64)
    bins = []
    for number in np.unique(index).tolist():
        inside = index == number
        means = float(predicted[inside].mean()), float(measured[inside].mean())
        bins.append(CalibrationBin(number / BINS, (number + 1) / BINS, int(inside.sum()), *means))
    return tuple(bins)


def expected_calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Mean distance of predicted from measured IoU over the bins, weighted by their answers (Guo et al. 2017)."""
    return sum(b.answers * abs(b.predicted - b.measured) for b in bins) / sum(b.answers for b in bins)


def correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Pearson's coefficient; None where it is undefined, for fewer than three values or such as never vary."""
    if len(one) < 3 or not (np.ptp(one) and np.ptp(other)):
        return None
    return float(np.corrcoef(one, other)[0, 1])


def bootstrap_interval(
    values: NDArray[np.float64], images: Sequence[Hashable], seed: int = 0
) -> tuple[float, float] | None:
    """Tell how far a mean could have come out elsewhere with other images of the same sort.

    Images, not objects, are drawn anew, because the objects of one image resemble each other (percentile bootstrap of
    clusters; Davison and Hinkley 1997, section 3.8).

    Parameters
    ----------
    values : numpy.ndarray, shape (n,), float64
        One for each object.
    images : sequence of hashable, length n
        Where each object is.
    seed : int
        Of the draws.

    Returns
    -------
    (float, float) or None
        95 % interval of the mean; None with fewer than `LEAST_IMAGES` images.
    """
    numbers: dict[Hashable, int] = {}
    # Images are numbered as they come, whatever they are called by.
    index = np.array([numbers.setdefault(image, len(numbers)) for image in images], dtype=np.int64)
    if len(numbers) < LEAST_IMAGES:
        return None
    # With sums and counts of each image, a draw of images needs no single object.
    sums, counts = np.bincount(index, values), np.bincount(index)
    rng = np.random.default_rng(seed)
    means = np.empty(_DRAWS)
    for draw in range(_DRAWS):
        drawn = rng.integers(len(sums), size=len(sums))
        means[draw] = sums[drawn].sum() / counts[drawn].sum()
    # In per cent: half of the rest at each end.
    tail = 50 * (1 - _CONFIDENCE)
    low, high = np.percentile(means, (tail, 100 - tail))
    return float(low), float(high)
