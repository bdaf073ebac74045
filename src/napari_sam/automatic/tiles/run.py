"""Everything on a plane of any size, from pixels to labels on disk, on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.automatic.tiles.finding import find_in_tile
from napari_sam.automatic.tiles.merging import merge_tiles
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from napari_sam.automatic.tiles.finding import Finder
    from napari_sam.automatic.tiles.label_blocks import LabelStore
    from napari_sam.automatic.tiles.merged import MergedObject
    from napari_sam.automatic.tiles.records import TileRecords
    from napari_sam.planes.source import PlaneSource
    from napari_sam.progress import Progress

_FOUND = 0.9  # share of the work that is done when all tiles are


def segment_tiles(
    source: PlaneSource,
    find: Finder,
    records: TileRecords,
    labels: LabelStore,
    *,
    overlap: float = 0.5,
    least_area: float = 1,
    least_score: float = 0.0,
    progress: Progress = no_progress,
) -> list[MergedObject]:
    """Find every object on a plane, tile by tile.

    Tiles that were done in an earlier attempt are not done again; the labels are those of a run in one go.

    Parameters
    ----------
    source : PlaneSource
        Reads the plane.
    find : Finder
        Asked once for each tile.
    records : TileRecords
        The tiles, and what was found in them so far.
    labels : LabelStore, shape (H, W)
        Written block by block.
    overlap, least_area, least_score
        See `merge_tiles`.
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`, after which the same call goes on.

    Returns
    -------
    list of MergedObject
        What is known of the objects numbered 1 to n.

    Raises
    ------
    InputError
        If the image has no contrast limits and needs some, or a tile cannot be written or read.
    """
    tiles = records.plan.tiles
    for tile in records.missing():

        def within(share: float, done: int = tile.number) -> None:
            progress(_FOUND * (done + share) / len(tiles))

        within(0.0)
        records.add(tile, find_in_tile(source, tile, find, within))
    return merge_tiles(
        records,
        labels,
        overlap=overlap,
        least_area=least_area,
        least_score=least_score,
        progress=lambda share: progress(_FOUND + (1 - _FOUND) * share),
    )
