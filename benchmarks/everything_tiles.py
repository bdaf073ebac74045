"""Measure "everything" on a plane that is larger than memory should be: time, and peak memory of the process.

The plane is drawn into a zarr array, chunk by chunk: blobs, and lines that go through the whole plane. It is segmented
in tiles into another zarr array, and pieces of the result are compared with a run over crops that are not tiled. The
finder is exact and takes little time, so that what is measured is the tiling; --bundled asks the bundled model instead.

    python benchmarks/everything_tiles.py [--size 20000] [--side 1024] [--halo 128] [--folder FOLDER] [--bundled]
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import zarr
from scipy import ndimage
from skimage.measure import label

from napari_sam.automatic.proposals import Proposal
from napari_sam.automatic.tiles import TilePlan, TileRecords, find_in_tile, merge_tiles
from napari_sam.masks import BoxedMask
from napari_sam.planes.source import PlaneIndex, PlaneSource

if TYPE_CHECKING:
    from napari_sam.automatic.tiles.finding import Finder
    from napari_sam.planes.plane import Plane
    from napari_sam.progress import Progress

CHUNK = 1000
CELL = 50
"""Pixels: in each square of this side a blob may lie."""
LINES = 5000
"""Pixels between lines that go through the whole plane."""


def draw(path: Path, size: int) -> zarr.Array:
    """Draw the plane."""
    image = zarr.create_array(str(path), shape=(size, size), chunks=(CHUNK, CHUNK), dtype="uint8")
    per_chunk = CHUNK // CELL
    for top in range(0, size, CHUNK):
        for left in range(0, size, CHUNK):
            rng = np.random.default_rng([top, left])
            pixels = np.zeros((CHUNK, CHUNK), np.uint8)
            values = rng.permutation(np.arange(per_chunk**2) % 200 + 30)
            for number, value in enumerate(values):
                y, x = np.add(np.divmod(number, per_chunk), rng.uniform(0.3, 0.7, 2)) * CELL
                half = rng.uniform(8, 24, 2)
                rows = slice(max(0, int(y - half[0])), int(y + half[0]))
                columns = slice(max(0, int(x - half[1])), int(x + half[1]))
                at = np.ogrid[rows, columns]
                inside = ((at[0] - y) / half[0]) ** 2 + ((at[1] - x) / half[1]) ** 2 <= 1
                part = pixels[rows, columns]
                part[inside[: part.shape[0], : part.shape[1]]] = value
            if top % LINES == 0:
                pixels[3:6] = 1
            if left % LINES == 0:
                pixels[:, 3:6] = 1
            image[top : top + CHUNK, left : left + CHUNK] = pixels[: size - top, : size - left]
    return image


def components(plane: Plane, _progress: Progress) -> list[Proposal]:
    """Find pixels of one grey value that touch: exact, and local."""
    labels = label(plane.pixels, connectivity=2, background=0)
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        mask = labels[box] == number
        found.append(Proposal(BoxedMask((box[0].start, box[1].start), mask, plane.shape), 1.0))
    return found


def bundled() -> Finder:
    """Ask the bundled model."""
    from napari_sam.automatic import QUICK, find_proposals
    from napari_sam.predictor import load_predictor

    predictor = load_predictor("bundled")
    return lambda plane, progress: find_proposals(predictor, predictor.embed(plane), QUICK, progress)


def equal_crops(image: zarr.Array, labels: zarr.Array, side: int) -> tuple[int, int]:
    """Count crops in which the objects are those of a run over the crop, and all that were looked at."""
    rng = np.random.default_rng(0)
    equal, count = 0, 20
    for _ in range(count):
        top, left = rng.integers(0, image.shape[0] - 2 * side, 2)
        part = slice(top, top + 2 * side), slice(left, left + 2 * side)
        expected = np.asarray(label(image[part], connectivity=2, background=0))
        got = labels[part]
        # What the border of the crop cuts in two is one object in the whole plane.
        edge = np.concatenate([expected[0], expected[-1], expected[:, 0], expected[:, -1]])
        inner = ~np.isin(expected, edge[edge > 0])
        pairs = np.unique(np.stack([expected[inner], got[inner]]), axis=1)
        same = len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
        equal += int(same and np.array_equal(expected > 0, got > 0))
    return equal, count


def peak() -> float:
    """Peak resident memory of this process, GB."""
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    """Segment the plane, and print what it took."""
    shape = (arguments.size, arguments.size)
    image = draw(folder / "image.zarr", arguments.size)
    labels = zarr.create_array(str(folder / "labels.zarr"), shape=shape, chunks=(512, 512), dtype="int32")
    source = PlaneSource(image, PlaneIndex((0, 1), (None, None), shape), (0.0, 255.0), 1.0)
    find = bundled() if arguments.bundled else components
    records = TileRecords(folder / "tiles", TilePlan(shape, arguments.side, arguments.halo))
    before, start = peak(), time.perf_counter()
    for tile in records.missing():
        records.add(tile, find_in_tile(source, tile, find))
    found, found_at = peak(), time.perf_counter()
    objects = merge_tiles(records, labels)
    end = time.perf_counter()
    print(f"{shape[0]} x {shape[1]} pixels, {len(records.plan.tiles)} tiles, {len(objects)} objects")
    print(f"{'':12}{'seconds':>10}{'peak GB so far':>18}")
    for name, seconds, memory in (
        ("start", 0.0, before),
        ("tiles", found_at - start, found),
        ("merge", end - found_at, peak()),
    ):
        print(f"{name:12}{seconds:>10.1f}{memory:>18.2f}")
    size = sum(path.stat().st_size for path in (folder / "tiles").iterdir())
    print(f"records of the tiles: {size / 1e6:.0f} MB")
    if not arguments.bundled:
        equal, count = equal_crops(image, labels, arguments.side)
        print(f"crops across borders of tiles that equal an untiled run: {equal} of {count}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=20_000, help="side of the plane, pixels")
    parser.add_argument("--side", type=int, default=1024, help="side of a tile, pixels")
    parser.add_argument("--halo", type=int, default=128, help="overlap on each side of a tile, pixels")
    parser.add_argument(
        "--folder", type=Path, help="where image, tiles and labels are kept; by default they are deleted"
    )
    parser.add_argument("--bundled", action="store_true", help="ask the bundled model")
    arguments = parser.parse_args()
    if arguments.folder:
        arguments.folder.mkdir(parents=True)
        measure(arguments.folder, arguments)
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), arguments)


if __name__ == "__main__":
    main()
