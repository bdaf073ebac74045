"""Finds objects on a part of a plane, tile by tile, on the inference thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sam.automatic.everything import find_proposals
from napari_sam.automatic.proposals import ProposalTable
from napari_sam.automatic.settings import dense_settings_for, grid_settings_for
from napari_sam.automatic.tiles import TilePlan, find_in_tile
from napari_sam.masks import BoxedMask
from napari_sam.planes.crop import Crop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sam.automatic.proposals import Proposal, ProposalFilter
    from napari_sam.automatic.settings import DenseSettings, GridSettings
    from napari_sam.inference.request import EngineFactory, EngineLike
    from napari_sam.planes.plane import Plane
    from napari_sam.planes.source import PlaneSource
    from napari_sam.progress import Progress

SearchMode = Literal["auto", "dense", "grid"]
Part = tuple[tuple[int, int], tuple[int, int]]
"""First row and column of a part of a plane, and the ends."""

MOST_PIXELS = 1 << 26
"""Of a part: its labels, and what is shown of them, are held in memory while the person chooses."""

_SIDE, _HALO = 1024, 128
"""Of tiles, data pixels: what a model sees in one picture, and half of what neighbours have in common."""
_LONGEST = 1280
"""Side of the largest part that is looked at as one picture, data pixels."""
_EMBEDDED = 0.3
"""Share of a tile's work that is done when its picture is encoded."""
_LOOSER = 0.2
"""How far the thresholds of grid mode are lowered, so that sliders can bring back what they leave out."""


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


def load_and_search(engine: EngineFactory, request: SearchRequest, progress: Progress) -> Iterator[SearchResult | None]:
    """Load the model of a request, and `search` with it."""
    yield from search(engine(request.model, request.device, progress), request, progress)


def search(engine: EngineLike, request: SearchRequest, progress: Progress) -> Iterator[SearchResult | None]:
    """Find objects.

    Parameters
    ----------
    engine : EngineLike
        What answers.
    request : SearchRequest
        Where, and how.
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.

    Yields
    ------
    SearchResult or None
        None after each tile, so that somebody else can be answered in between; at last what was found.
    """
    settings, chosen = _settings(engine, request)
    tiles = _plan(request.shape).tiles
    found: list[Proposal] = []
    for tile in tiles:

        def within(share: float, done: int = tile.number) -> None:
            progress((done + share) / len(tiles))

        def find(plane: Plane, progress: Progress) -> list[Proposal]:
            embedding = engine.embed(plane, progress=lambda share: progress(_EMBEDDED * share))
            return find_proposals(
                engine.predictor,
                embedding,
                settings,
                lambda share: progress(_EMBEDDED + (1 - _EMBEDDED) * share),
                plane=plane,
            )

        within(0.0)
        (top, left), crop = request.start, tile.crop
        moved = replace(tile, crop=replace(crop, start=(crop.start[0] + top, crop.start[1] + left)))
        proposals = find_in_tile(request.source, moved, find, within)
        whole = (one for one in proposals if not _is_cut(one.mask, moved.crop, request.source.view.shape))
        found.extend(replace(one, mask=_on_part(one.mask, request)) for one in whole)
        within(1.0)
        yield None
    crop = Crop((float(request.start[0]), float(request.start[1])), request.shape)
    # For the mean intensities; read again, as the pictures of many tiles are not all kept.
    pixels = request.source.read(crop, lambda _share: progress(1.0)).pixels
    yield SearchResult(request, ProposalTable.of(found, pixels), chosen)


def _settings(engine: EngineLike, request: SearchRequest) -> tuple[DenseSettings | GridSettings, ProposalFilter]:
    """Choose how to look for objects, and which of them are good."""
    if request.mode == "dense" or (request.mode == "auto" and engine.predictor.has_dense_head):
        dense = dense_settings_for(engine.predictor)
        return dense, dense.filter
    grid = grid_settings_for(request.model)
    looser = replace(
        grid,
        least_score=max(0.0, grid.least_score - _LOOSER),
        least_stability=max(0.0, grid.least_stability - _LOOSER),
    )
    return looser, grid.filter


def _plan(shape: tuple[int, int]) -> TilePlan:
    """Divide a part into tiles, if it is too large to be looked at as one picture."""
    return TilePlan(shape, max(shape), 0) if max(shape) <= _LONGEST else TilePlan(shape, _SIDE, _HALO)


def _is_cut(mask: BoxedMask, crop: Crop, plane: tuple[int, int]) -> bool:
    """Tell whether a mask on the plane ends at a border of a crop beyond which the plane goes on.

    In the overlap of tiles the other one has it whole, unless it is larger than that.
    """
    sides = zip(mask.origin, mask.mask.shape, crop.start, crop.stop, plane, strict=True)
    return any(
        (first <= start and start > 0) or (first + size >= stop and stop < end)
        for first, size, start, stop, end in sides
    )


def _on_part(mask: BoxedMask, request: SearchRequest) -> BoxedMask:
    """Bring a mask from the plane to the part."""
    origin = mask.origin[0] - request.start[0], mask.origin[1] - request.start[1]
    return BoxedMask(origin, mask.mask, request.shape)


def part_between(low: NDArray[np.float64], high: NDArray[np.float64], plane: tuple[int, int]) -> Part | None:
    """Choose the pixels of a plane between two corners, pixel-centred data pixels; None where there is none."""
    # A pixel counts as soon as a corner lies on it, half a pixel around its centre.
    first = np.clip(np.floor(low + 0.5), 0, plane).astype(int)
    stop = np.clip(np.ceil(high + 0.5), 0, plane).astype(int)
    return ((int(first[0]), int(first[1])), (int(stop[0]), int(stop[1]))) if (stop > first).all() else None
