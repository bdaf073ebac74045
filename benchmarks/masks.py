"""Masks of one large plane in the formats of other programs, against pycocotools on whole planes; best of some rounds.

python benchmarks/masks.py [--side 2048] [--objects 100] [--rounds 3]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from pycocotools import mask as coco
from scipy import ndimage

from napari_sam.datasets.documents import Intake
from napari_sam.datasets.records import AnnotatedImage, MaskObject
from napari_sam.datasets.rle import boxed, compressed
from napari_sam.datasets.table import FORMATS
from napari_sam.masks import BoxedMask

if TYPE_CHECKING:
    from collections.abc import Callable


def blobs(side: int, count: int) -> AnnotatedImage:
    """Give objects of 30 to 120 pixels with ragged borders and holes."""
    random = np.random.default_rng(0)
    objects = []
    for number in range(1, count + 1):
        radius = int(random.integers(15, 60))
        y, x = np.indices((2 * radius, 2 * radius)) - radius + 0.5
        ragged = ndimage.gaussian_filter(random.random(y.shape), 2) > 0.47
        low = random.integers(0, side - 2 * radius, 2)
        mask = BoxedMask((int(low[0]), int(low[1])), (np.hypot(y, x) < radius) & ragged, (side, side))
        objects.append(MaskObject(mask, number, "cell", 0.9, 0.9))
    return AnnotatedImage("a.tif", (side, side), tuple(objects))


def best(work: Callable[[], Any], rounds: int) -> float:
    """Time some rounds, seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Time runs in both ways, then each format, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("--side", 2048), ("--objects", 100), ("--rounds", 3)):
        parser.add_argument(name, type=int, default=value)
    options = parser.parse_args()
    image = blobs(options.side, options.objects)
    masks = [one.mask for one in image.objects]
    runs = [compressed(mask) for mask in masks]

    def whole_planes() -> None:
        for mask in masks:
            coco.encode(np.asfortranarray(mask.whole().view(np.uint8)))

    def read_whole_planes() -> None:
        for one in runs:
            BoxedMask.of(coco.decode(one).view(bool))

    def read_boxes() -> None:
        intake = Intake(Path("a"))
        for one in runs:
            boxed(one, image.shape, intake)

    theirs, ours = (best(work, options.rounds) for work in (whole_planes, lambda: [compressed(one) for one in masks]))
    print(f"encode: boxes {ours:.3f} s, pycocotools on whole planes {theirs:.3f} s, {theirs / ours:.1f} times as long")
    theirs, ours = (best(work, options.rounds) for work in (read_whole_planes, read_boxes))
    print(f"decode: boxes {ours:.3f} s, pycocotools on whole planes {theirs:.3f} s, {theirs / ours:.1f} times as long")
    with tempfile.TemporaryDirectory() as folder:
        # YOLO's shares are of the size of the image beside.
        tifffile.imwrite(Path(folder, "a.tif"), np.zeros(image.shape, np.uint8))
        for kind in FORMATS:
            path = Path(folder, f"{'a' if kind.name == 'yolo' else 'masks'}{kind.suffix}")
            write = best(lambda kind=kind, path=path: kind.write(path, [image]), options.rounds)
            read = best(lambda kind=kind, path=path: kind.read(path), options.rounds)
            print(f"{kind.title:14} write {write:6.3f} s   read {read:6.3f} s   {path.stat().st_size / 1e6:6.2f} MB")


if __name__ == "__main__":
    main()
