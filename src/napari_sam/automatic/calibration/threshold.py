"""From which chance on proposals are shown as confident, so that a promised share of them would be accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sam.automatic.calibration.acceptance import AcceptanceModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PROMISE = 0.9
"""Share of the confident proposals that would be accepted: nine in ten."""
LEAST_DECISIONS = 20
LEAST_ACCEPTED = 5
"""Decisions, and objects accepted, below which nothing is promised."""

_SLACK = 0.05  # by which planes that were left out may fall short of the promise
_LEAST_CONFIDENT = 8  # proposals of planes that were left out that have to be confident, or nothing is known of those
_DOUBTS = 3.0  # decisions that the plain share of acceptance counts as, beside those of the confident
_PARTS = 5  # that the decisions of a single plane are divided into
_MOST_PARTS = 10  # that many planes are put together in, to be left out: each takes a model


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Which proposals are so likely to be accepted that a share of them can be promised.

    Attributes
    ----------
    model : AcceptanceModel
        Estimates the chance of each.
    threshold : float
        The chance from which on a proposal is confident.
    promise : float
        Share of the confident proposals that would be accepted.
    decisions : int
        What it was learnt from.
    planes : int
        On how many planes.
    """

    model: AcceptanceModel
    threshold: float
    promise: float
    decisions: int
    planes: int

    def confident(self, features: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which of some proposals, (n, k) features, are confident, (n,) bool."""
        found: NDArray[np.bool_] = self.model.chances(features) >= self.threshold
        return found


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationResult:
    """A calibration, or why there is none.

    Attributes
    ----------
    calibration : Calibration or None
        None where nothing can be promised.
    reason : {"", "few", "unsure"}
        "few": there are too few decisions; "unsure": they do not tell what is accepted from what is rejected.
    missing : int
        Decisions that are needed at least until there is one, where there are too few.
    """

    calibration: Calibration | None
    reason: Literal["", "few", "unsure"] = ""
    missing: int = 0

    @property
    def words(self) -> str:
        """Say why nothing can be promised; "" where something is."""
        if self.reason == "few":
            more = "1 more decision" if self.missing == 1 else f"{self.missing} more decisions"
            return f"{more} needed before proposals can be marked as confident: accept or drop some first."
        if self.reason == "unsure":
            return "No proposal can be marked as confident: what was accepted and what was dropped are too much alike."
        return ""


def calibrate(
    features: NDArray[np.float64],
    accepted: NDArray[np.bool_],
    planes: NDArray[np.integer],
    promise: float = PROMISE,
) -> CalibrationResult:
    """Learn from decisions which proposals of other planes are confident.

    The model's own chances say where the threshold is. It is then tried on each plane, or each tenth of them, with a
    model of the others, and raised until the promise holds there, too: what a model says of the planes that it was
    learnt from is too good.

    Parameters
    ----------
    features : numpy.ndarray, shape (n, k), float64
        Of proposals that were decided on, as `measure_features` gives them.
    accepted : numpy.ndarray, shape (n,), bool
        Whether each was accepted as it was; one that was corrected was not.
    planes : numpy.ndarray, shape (n,), int
        Numbers of the planes that they were on.
    promise : float
        Share of the confident proposals that are to be accepted, 0 to 1.
    """
    if missing := missing_decisions(len(accepted), int(np.count_nonzero(accepted))):
        return CalibrationResult(None, "few", missing)
    model = AcceptanceModel.fit(features, accepted)
    candidates = _candidates(model.chances(features), promise)
    left_out = _left_out(features, accepted, planes)
    plain = float(accepted.mean())
    for threshold in candidates:
        confident = left_out >= threshold
        count = int(np.count_nonzero(confident))
        if count < _LEAST_CONFIDENT:
            break
        share = (np.count_nonzero(accepted[confident]) + _DOUBTS * plain) / (count + _DOUBTS)
        if share >= promise - _SLACK:
            found = Calibration(model, float(threshold), promise, len(accepted), len(np.unique(planes)))
            return CalibrationResult(found)
    return CalibrationResult(None, "unsure")


def missing_decisions(decisions: int, accepted: int) -> int:
    """Say how many decisions are needed at least before anything can be promised, given how many there are."""
    return max(0, LEAST_DECISIONS - decisions, LEAST_ACCEPTED - accepted)


def _candidates(chances: NDArray[np.float64], promise: float) -> NDArray[np.float64]:
    """List thresholds above which the mean of the chances is what is promised or more, in ascending order."""
    ordered = np.sort(chances)[::-1]
    means = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return ordered[means >= promise][::-1]


def _left_out(
    features: NDArray[np.float64], accepted: NDArray[np.bool_], planes: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Estimate the chances on each plane by a model of the others; where there is but one, on each part of it."""
    chances = np.zeros(len(accepted))
    for part in _parts(planes):
        model = AcceptanceModel.fit(features[~part], accepted[~part])
        chances[part] = model.chances(features[part])
    return chances


def _parts(planes: NDArray[np.integer]) -> Iterator[NDArray[np.bool_]]:
    numbers = np.unique(planes)
    if len(numbers) > 1:
        order = np.searchsorted(numbers, planes) % _MOST_PARTS
        yield from (order == part for part in range(min(len(numbers), _MOST_PARTS)))
    else:
        yield from (np.arange(len(planes)) % _PARTS == part for part in range(_PARTS))
