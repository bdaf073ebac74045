"""Everything on planes of any size: tiles that overlap, each looked at by itself, then one merge into labels."""

from __future__ import annotations

from napari_sam.automatic.tiles.finding import find_in_tile
from napari_sam.automatic.tiles.merged import MergedObject
from napari_sam.automatic.tiles.merging import merge_tiles
from napari_sam.automatic.tiles.plan import Tile, TilePlan
from napari_sam.automatic.tiles.records import TileRecords
from napari_sam.automatic.tiles.run import segment_tiles

__all__ = ["MergedObject", "Tile", "TilePlan", "TileRecords", "find_in_tile", "merge_tiles", "segment_tiles"]
