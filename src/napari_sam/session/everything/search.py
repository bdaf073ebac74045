"""Finds objects on a part of a plane, tile by tile, on the inference thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sam.automatic.calibration import measure_features
from napari_sam.automatic.descriptors import Descriptors
from napari_sam.automatic.everything import find_proposals
from napari_sam.automatic.proposals import ProposalTable
from napari_sam.automatic.settings import dense_settings_for, grid_settings_for
from napari_sam.automatic.tiles import TilePlan, find_in_tile
from napari_sam.inference.shaping import UNSHAPED
from napari_sam.planes.crop import Crop
from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.prompted import messages as prompted_messages
from napari_sam.session.everything.prompted.search import answer_prompts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sam.automatic.prompted.objects import PromptedObject
    from napari_sam.automatic.proposals import Proposal, ProposalFilter
    from napari_sam.automatic.settings import DenseSettings, GridSettings
    from napari_sam.inference.request import EngineFactory, EngineLike
    from napari_sam.inference.shaping import MaskShaping
    from napari_sam.inference.shaping.levels import Level
    from napari_sam.masks import BoxedMask
    from napari_sam.planes.plane import Plane
    from napari_sam.planes.source import PlaneSource
    from napari_sam.progress import Progress
    from napari_sam.session.everything.prompted.source import PromptSource
    from napari_sam.session.state import StackAxis

SearchMode = Literal["auto", "dense", "grid", "prompts"]
Link = Literal["depth", "time", "off"]
"""What objects of the planes of a stack become: objects of a volume, tracks, or nothing more than they are."""
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
    mode : {"auto", "dense", "grid", "prompts"}
        Whether the model's dense maps say where objects are, or a grid of points; "auto": the maps, if it has any.
        "prompts": the person says it.
    prompted : PromptSource or None
        What the person says, with the mode "prompts".
    level : {"best", "whole", "part", "subpart"}
        Which candidate an object of a single point is.
    shaping : MaskShaping
        What becomes of the masks; see `shaped_for`.
    """

    model: str
    device: str
    source: PlaneSource
    start: tuple[int, int]
    shape: tuple[int, int]
    mode: SearchMode = "auto"
    prompted: PromptSource | None = None
    level: Level = "best"
    shaping: MaskShaping = UNSHAPED

    def shaped_for(self, chosen: MaskShaping) -> SearchRequest:
        """Ask for what the person chose to become of masks, as far as that can be had here.

        How further clicks go on says nothing of many objects, and there is another threshold only where logits are
        kept, which is of what somebody prompted.
        """
        threshold = 0.0 if self.prompted is None else chosen.threshold
        return replace(self, shaping=replace(chosen, correction="off", threshold=threshold))


@dataclass(frozen=True, slots=True, eq=False)
class StackRequest:
    """Where to find objects in a stack, and what they become.

    Attributes
    ----------
    plane : SearchRequest
        Any plane of it; the others are looked at alike.
    axis : StackAxis
        What they follow each other along.
    link : {"depth", "time", "off"}
        How their objects are linked when they are accepted.
    marks : tuple of (BoxedMask, bool)
        Masks that the person kept or dropped by hand on `plane` before, and which of both.
    """

    plane: SearchRequest
    axis: StackAxis
    link: Link
    marks: tuple[tuple[BoxedMask, bool], ...] = ()

    def at(self, place: int) -> SearchRequest:
        """Return where to look on a plane of the stack."""
        source = self.plane.source
        return replace(self.plane, source=source.at(source.view.at(self.axis.axis, place)))


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """Objects that were found on a part of a plane.

    Attributes
    ----------
    request : SearchRequest
        Where they were looked for.
    table : ProposalTable
        The objects, on the pixels of that part, as they are to be shown and written.
    chosen : ProposalFilter
        Which of them are good, as far as the model knows.
    descriptors : Descriptors or None
        What tells the objects apart, a row for each of the table, if it was noted while the plane was encoded.
    objects : tuple of PromptedObject
        What the person asked for, in the order that `Proposal.asked` counts in.
    given : ProposalTable or None
        The same objects as they were found, where `table` is what the clean-up makes of them.
    features : numpy.ndarray, shape (n, k), float64, or None
        What `napari_sam.automatic.calibration` judges each by, as it was found; None for what somebody prompted.
    drawn : tuple of (float, tuple of BoxedMask), or None
        Another threshold, and the masks of all objects that were drawn with it, on the plane: that takes most of the
        time of a clean-up, and other settings change while it stays.
    """

    request: SearchRequest
    table: ProposalTable
    chosen: ProposalFilter
    descriptors: Descriptors | None = None
    objects: tuple[PromptedObject, ...] = ()
    given: ProposalTable | None = None
    features: NDArray[np.float64] | None = None
    drawn: tuple[float, tuple[BoxedMask, ...]] | None = None

    @property
    def as_found(self) -> SearchResult:
        """The objects as they were found, before any clean-up."""
        if self.given is None:
            return self
        return replace(self, request=replace(self.request, shaping=UNSHAPED), table=self.given, given=None)

    @property
    def emptied(self) -> int:
        """How many good objects the clean-up leaves nothing of."""
        found = (self.given or self.table).wanted(self.chosen)
        return int(np.count_nonzero(found & (self.table.area == 0)))

    @property
    def labels(self) -> NDArray[np.int64]:
        """Ids of the objects that those of the table were made of, (n,); 0 where there is none."""
        asked = [proposal.asked for proposal in self.table.proposals]
        return np.array([0 if place is None else self.objects[place].label for place in asked], np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes that are held, but for some hundred of each object."""
        masks = sum(proposal.mask.mask.nbytes for proposal in self.table.proposals)
        arrays = (self.features, None if self.descriptors is None else self.descriptors.values)
        return masks + sum(array.nbytes for array in arrays if array is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What was found on a plane, or on the planes of a stack.

    Attributes
    ----------
    results : tuple of SearchResult
        Of each plane, in their order.
    stack : StackRequest or None
        What was asked for; None for a plane.
    """

    results: tuple[SearchResult, ...]
    stack: StackRequest | None = None

    @property
    def count(self) -> int:
        """How many objects."""
        return sum(len(result.table) for result in self.results)

    @property
    def words(self) -> str:
        """Say what was found."""
        first, stack = self.results[0] if self.results else None, self.stack
        prompted = None if first is None else first.request.prompted
        if first is None or not self.count:
            return everything_messages.NOTHING_HERE if prompted is None else prompted_messages.NOTHING_MADE
        if stack is not None and len(self.results) < stack.axis.size:
            return everything_messages.kept_at_limit(self.count, len(self.results), stack.axis)
        if prompted is None:
            words = everything_messages.found(self.count)
        elif prompted.replaces:
            good = int(np.count_nonzero(first.as_found.table.wanted(first.chosen)))
            words = prompted_messages.refined(len(first.objects), good)
        else:
            words = prompted_messages.made(self.count, len(first.objects))
        emptied = sum(result.emptied for result in self.results)
        return f"{words} {everything_messages.emptied(emptied)}" if emptied else words


def load_and_search(engine: EngineFactory, request: SearchRequest, progress: Progress) -> Iterator[SearchResult | None]:
    """Load the model of a request, and `search` with it, or answer the prompts of the request."""
    loaded = engine(request.model, request.device, progress)
    if request.prompted is None:
        yield from search(loaded, request, progress)
        return
    steps = answer_prompts(
        loaded, request.source, request.prompted, request.start, request.shape, progress, request.level
    )
    found_as = replace(request, shaping=UNSHAPED)
    for found in steps:
        yield None if found is None else SearchResult(found_as, found.table, found.chosen, objects=found.objects)


def search(
    engine: EngineLike, request: SearchRequest, progress: Progress, *, describe: bool = False
) -> Iterator[SearchResult | None]:
    """Find objects.

    Parameters
    ----------
    engine : EngineLike
        What answers.
    request : SearchRequest
        Where, and how.
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.
    describe : bool
        Note what tells the objects apart, while what the encoder made of the plane is still there.

    Yields
    ------
    SearchResult or None
        None after each tile, so that somebody else can be answered in between; at last what was found.
    """
    settings, chosen = _settings(engine, request)
    tiles = _plan(request.shape).tiles
    found: list[Proposal] = []
    last: list[Plane] = []
    for tile in tiles:

        def within(share: float, done: int = tile.number) -> None:
            progress((done + share) / len(tiles))

        def find(plane: Plane, progress: Progress) -> list[Proposal]:
            last[:] = [plane]
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
        # In the overlap of tiles another one has it whole, unless it is larger than that.
        whole = (one for one in proposals if not one.mask.cut_by(moved.crop.start, moved.crop.stop))
        found.extend(replace(one, mask=one.mask.shifted((-top, -left), request.shape)) for one in whole)
        within(1.0)
        yield None
    # For the mean intensities; read again where there are many tiles, whose pictures are not all kept.
    plane = last[0] if len(tiles) == 1 else read_part(request, lambda _share: progress(1.0))
    table = ProposalTable.of(found, plane.pixels)
    described = (
        describe_objects(engine, plane, table, lambda _share: progress(1.0)) if describe and len(table) else None
    )
    features = measure_features(table, plane.pixels)
    yield SearchResult(replace(request, shaping=UNSHAPED), table, chosen, described, features=features)


def read_part(request: SearchRequest, progress: Progress) -> Plane:
    """Read the part of the plane of a search, at its full resolution."""
    start = float(request.start[0]), float(request.start[1])
    return request.source.read(Crop(start, request.shape), progress)


def describe_objects(engine: EngineLike, plane: Plane, table: ProposalTable, progress: Progress) -> Descriptors:
    """Note what tells the objects of a plane apart."""
    masks = [proposal.mask for proposal in table.proposals]
    # One picture, also where tiles were looked at: only so can the objects be compared with each other.
    return Descriptors.of(engine.predictor, engine.embed(plane, progress), plane.pixels, masks)


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


def part_between(low: NDArray[np.float64], high: NDArray[np.float64], plane: tuple[int, int]) -> Part | None:
    """Choose the pixels of a plane between two corners, pixel-centred data pixels; None where there is none."""
    # A pixel counts as soon as a corner lies on it, half a pixel around its centre.
    first = np.clip(np.floor(low + 0.5), 0, plane).astype(int)
    stop = np.clip(np.ceil(high + 0.5), 0, plane).astype(int)
    return ((int(first[0]), int(first[1])), (int(stop[0]), int(stop[1]))) if (stop > first).all() else None
