"""Learns from what was decided before which objects of a search are confident; runs on the inference thread."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.automatic.calibration import FEATURES, CalibrationResult, calibrate
from napari_sam.errors import InputError
from napari_sam.journal.notes.decisions import ImageIdentity, KnownDecisions, read_decisions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.journal.notes.decisions import PlaneDecisions
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.progress import Progress
    from napari_sam.session.everything.search import SearchResult

_MOST_DECISIONS = 2000
"""That are learnt from, the newest: more would change little."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class JudgeOrder:
    """What is to be judged, and by what.

    Attributes
    ----------
    path : Path
        Of the journal; it may not be there.
    image : ImageIdentity
        The image.
    results : tuple of SearchResult
        What was found, on each plane.
    promise : float
        Share of the confident objects that would be accepted.
    """

    path: Path
    image: ImageIdentity
    results: tuple[SearchResult, ...]
    promise: float


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What the decisions so far say of what was found.

    Attributes
    ----------
    known : KnownDecisions
        The decisions.
    outcome : CalibrationResult
        What was learnt from them, or why nothing.
    confident : mapping from PlaneIndex to numpy.ndarray, shape (n,), bool
        Which objects of each plane are confident; empty where nothing can be promised.
    """

    known: KnownDecisions
    outcome: CalibrationResult
    confident: Mapping[PlaneIndex, NDArray[np.bool_]]


def judge(order: JudgeOrder, progress: Progress) -> Iterator[Judgement]:
    """Read what was decided in the data set of an image, and say which objects are confident."""
    progress(0.0)
    request = order.results[0].request
    known, outcome = learn(order.path, order.image, request.model, request.mode, order.promise)
    confident = {}
    if (found := outcome.calibration) is not None:
        for result in order.results:
            if result.features is not None:
                confident[result.request.source.view] = found.confident(result.features)
    yield Judgement(known, outcome, confident)


def learn(
    path: Path, image: ImageIdentity, model: str, mode: str, promise: float
) -> tuple[KnownDecisions, CalibrationResult]:
    """Read what was decided in the data set of an image, and learn from it what would be accepted.

    Parameters
    ----------
    path : Path
        Of the journal; it may not be there.
    image : ImageIdentity
        The image.
    model, mode : str
        What finds proposals, and how: others are not learnt from.
    promise : float
        Share of the confident objects that would be accepted.
    """
    known = KnownDecisions()
    if path.is_file():
        try:
            known = read_decisions(path, image)
        except InputError:
            # The session says so itself when it cannot write to the journal; what was found is still there.
            _log.warning("decisions could not be read from the journal", exc_info=True)
    alike = [one for one in known.planes if (one.model, one.mode, one.names) == (model, mode, FEATURES)]
    before = accumulate((len(one.verdicts) for one in alike), initial=0)
    alike = [one for one, count in zip(alike, before, strict=False) if count < _MOST_DECISIONS]
    return known, calibrate(*_table(alike), promise)


def _table(
    planes: Sequence[PlaneDecisions],
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Put decisions together: features, whether each was accepted as it was, and the number of its plane."""
    numbers = {plane: number for number, plane in enumerate({one.plane: None for one in planes})}
    features = [row for one in planes for row in one.features]
    accepted = [verdict == "accepted" for one in planes for verdict in one.verdicts]
    where = [numbers[one.plane] for one in planes for _row in one.features]
    return (
        np.array(features, np.float64).reshape(-1, len(FEATURES)),
        np.array(accepted, bool),
        np.array(where, np.int64),
    )
