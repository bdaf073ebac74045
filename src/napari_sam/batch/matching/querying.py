"""What is looked for by examples: how they differ from what is around them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.automatic.descriptors import Descriptors
from napari_sam.automatic.similarity import ExampleQuery
from napari_sam.automatic.tiles import find_in_tile
from napari_sam.batch.matching.finders import observe
from napari_sam.batch.open_stacks import close_stacks, opened
from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam.automatic import Proposal
    from napari_sam.automatic.tiles import Tile, TilePlan
    from napari_sam.batch.finding import ModelFinder
    from napari_sam.batch.matching.examples import ExamplePlane
    from napari_sam.batch.plan import PlannedImage
    from napari_sam.planes.plane import Plane
    from napari_sam.progress import Progress

    # Masks, and whether each is looked for.
    Examples = list[tuple[BoxedMask, bool]]


def example_query(
    finder: ModelFinder, image: PlannedImage, examples: Sequence[ExamplePlane], progress: Progress
) -> ExampleQuery:
    """Look at the examples, and at what is around them.

    Parameters
    ----------
    finder : ModelFinder
        Whose model describes them.
    image : PlannedImage
        What they lie on.
    examples : sequence of ExamplePlane
        With at least one that is looked for.
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.

    Raises
    ------
    InputError
        If the image cannot be read, or the model finds no object near the examples, against which they could be seen.
    """
    planes = {plane.index: plane for plane in image.planes}
    work = [(one, tile, where) for one in examples for tile, where in _by_tile(one, image.tiles).items()]
    found, positive, negative = list[Descriptors](), list[Descriptors](), list[Descriptors]()
    try:
        for number, (one, tile, where) in enumerate(work):

            def within(share: float, done: int = number) -> None:
                progress((done + share) / len(work))

            def look(picture: Plane, progress: Progress, tile: Tile = tile, where: Examples = where) -> list[Proposal]:
                masks = [BoxedMask.of(tile.crop.on_picture(mask)) for mask, _wanted in where]
                _found, around, described = observe(finder, picture, progress, masks)
                found.append(around)
                for wanted, into in ((True, positive), (False, negative)):
                    into.append(described.take([at for at, (_mask, kind) in enumerate(where) if kind is wanted]))
                return []

            find_in_tile(planes[one.index].source(opened(image.path)), tile, look, within)
    finally:
        close_stacks()
    around = Descriptors.joined(found)
    if not len(around):
        raise InputError(
            f"The model finds no objects where the examples lie on {image.path.name}, so that there is nothing to "
            "compare with. Try another model."
        )
    return ExampleQuery.of(around, Descriptors.joined(positive), Descriptors.joined(negative))


def _by_tile(examples: ExamplePlane, plan: TilePlan) -> dict[Tile, Examples]:
    """Give each example to the tile that has most of it."""
    found: dict[Tile, Examples] = defaultdict(list)
    for masks, wanted in ((examples.positive, True), (examples.negative, False)):
        for mask in masks:
            # The first of those that have the same: max keeps it.
            tile = max(plan.tiles, key=lambda tile: _inside(mask, tile))
            found[tile].append((mask, wanted))
    return found


def _inside(mask: BoxedMask, tile: Tile) -> int:
    """Count the pixels of a mask that a tile has."""
    low, high = (np.subtract(at, mask.origin).clip(0).astype(int) for at in (tile.crop.start, tile.crop.stop))
    return int(np.count_nonzero(mask.mask[low[0] : high[0], low[1] : high[1]]))
