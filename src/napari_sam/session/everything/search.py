"""Finds objects on a part of a plane, on the inference thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sam.automatic.dense import find_proposals
from napari_sam.automatic.proposals import ProposalTable
from napari_sam.automatic.settings import DenseSettings
from napari_sam.planes.crop import Crop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.automatic.proposals import Proposal, ProposalFilter
    from napari_sam.inference.request import EngineLike
    from napari_sam.planes.source import PlaneSource
    from napari_sam.progress import Progress

SearchMode = Literal["auto", "dense", "grid"]
Part = tuple[tuple[int, int], tuple[int, int]]
"""First row and column of a part of a plane, and the ends."""

_EMBEDDED = 0.3
"""Share of the work that is done when the image is encoded."""


@dataclass(frozen=True, slots=True, eq=False)
class SearchRequest:
    """Where to find objects, and how.

    Attributes
    ----------
    model, device : str
        What finds them.
    source : PlaneSource
        The plane.
    start : (int, int)
        Upper left corner of the part to look at, data pixels, (y, x).
    shape : (int, int)
        Its height and width, data pixels.
    mode : {"auto", "dense", "grid"}
        Whether the model's dense maps say where objects are, or a grid of points; "auto": the maps, if it has any.
    """

    model: str
    device: str
    source: PlaneSource
    start: tuple[int, int]
    shape: tuple[int, int]
    mode: SearchMode = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """Objects that were found on a part of a plane.

    Attributes
    ----------
    request : SearchRequest
        Where they were looked for.
    table : ProposalTable
        The objects, on the pixels of that part.
    chosen : ProposalFilter
        Which of them are good, as far as the model knows.
    """

    request: SearchRequest
    table: ProposalTable
    chosen: ProposalFilter


def search(engine: EngineLike, request: SearchRequest, progress: Progress) -> SearchResult:
    """Find objects.

    Parameters
    ----------
    engine : EngineLike
        What answers.
    request : SearchRequest
        Where, and how.
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.
    """
    crop = Crop((float(request.start[0]), float(request.start[1])), request.shape)
    progress(0.0)
    plane = request.source.read(crop, progress)
    embedding = engine.embed(plane, progress=lambda share: progress(_EMBEDDED * share))
    settings = DenseSettings()
    found = find_proposals(
        engine.predictor, embedding, settings, lambda share: progress(_EMBEDDED + (1 - _EMBEDDED) * share)
    )
    whole = [proposal for proposal in found if not _is_cut(proposal, request)]
    return SearchResult(request, ProposalTable.of(whole, plane.pixels), settings.filter)


def _is_cut(proposal: Proposal, request: SearchRequest) -> bool:
    """Tell whether an object goes on beyond the part that was looked at, where the plane goes on, too."""
    sides = zip(
        proposal.mask.origin,
        proposal.mask.mask.shape,
        request.start,
        request.shape,
        request.source.view.shape,
        strict=True,
    )
    return any(
        (first <= 0 and start > 0) or (first + size >= shape and start + shape < plane)
        for first, size, start, shape, plane in sides
    )


def part_between(low: NDArray[np.float64], high: NDArray[np.float64], plane: tuple[int, int]) -> Part | None:
    """Choose the pixels of a plane between two corners, pixel-centred data pixels; None where there is none."""
    # A pixel counts as soon as a corner lies on it, half a pixel around its centre.
    first = np.clip(np.floor(low + 0.5), 0, plane).astype(int)
    stop = np.clip(np.ceil(high + 0.5), 0, plane).astype(int)
    return ((int(first[0]), int(first[1])), (int(stop[0]), int(stop[1]))) if (stop > first).all() else None
