"""Time and memory of a session on 100 GB of zarr that is made up while it is read.

Two cases, each in a process of its own: a volume, and a single huge plane in six resolutions. In each an object is
clicked and accepted with the bundled model.

    python benchmarks/big.py [--gb 100] [--case volume|plane]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
import zarr
from napari.components import ViewerModel
from zarr.storage import MemoryStore

from napari_sam.session import Session

CASES = ("volume", "plane")
PERIOD, RADIUS = 1000, 30
"""Discs lie on a grid of PERIOD pixels of the full resolution."""
CHUNK = 1024
BOUND_MB = 1500


class MadeUp(MemoryStore):
    """A store that holds no chunk: each is made up when it is read, and noted."""

    def describe(self, shape: tuple[int, ...], chunks: tuple[int, ...], factor: int) -> None:
        """Say what array this is, in pixels that are `factor` times as large as those of the full resolution."""
        self._layout = shape, chunks, factor
        self.chunks_read = 0

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """Return a chunk, or what was written."""
        kept = await super().get(key, prototype, byte_range)
        if kept is not None or not key.startswith("c/"):
            return kept
        _, chunks, factor = self._layout
        place = [int(part) * size for part, size in zip(key.split("/")[1:], chunks, strict=True)]
        self.chunks_read += 1
        pixels = np.broadcast_to(discs(place[-2:], chunks[-2:], factor), chunks)
        return prototype.buffer.from_bytes(np.ascontiguousarray(pixels).tobytes())


def discs(corner: list[int], shape: tuple[int, ...], factor: int) -> np.ndarray:
    """Draw a part of a plane full of discs, in some noise."""
    y, x = ((np.arange(n) + at) * factor for n, at in zip(shape, corner, strict=True))
    inside = (y[:, None] % PERIOD - PERIOD // 2) ** 2 + (x % PERIOD - PERIOD // 2) ** 2 <= RADIUS**2
    noise = np.random.default_rng(corner).integers(0, 40, shape, dtype=np.uint8)
    return noise + np.where(inside, 120, 30).astype(np.uint8)


def array(shape: tuple[int, ...], chunks: tuple[int, ...], factor: int = 1) -> zarr.Array:
    """Make an array that takes no room."""
    store = MadeUp()
    store.describe(shape, chunks, factor)
    return zarr.create_array(store=store, shape=shape, chunks=chunks, dtype=np.uint8, compressors=None)


def make(case: str, gb: float) -> zarr.Array | list[zarr.Array]:
    """Make the data of a case."""
    if case == "volume":
        side = 2048
        return array((round(gb * 1e9 / side**2), side, side), (1, CHUNK, CHUNK))
    side = round(np.sqrt(gb * 1e9) / CHUNK) * CHUNK
    return [array((side // f, side // f), (CHUNK, CHUNK), f) for f in (1, 4, 16, 64, 128, 256)]


def peak_mb() -> float:
    """Most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(case: str, gb: float) -> None:
    """Open, click and accept; print a row of the table."""
    import torch  # noqa: F401  # its own hundreds of megabytes are not the image's

    before, marks = peak_mb(), [time.perf_counter()]
    viewer = ViewerModel()
    data = make(case, gb)
    image = viewer.add_image(data, contrast_limits=(0, 255), multiscale=isinstance(data, list))
    session = Session(viewer, image=image)
    session.prefetch = False
    session.wait(600)
    marks.append(time.perf_counter())
    centre = [1500, 1500] if image.ndim == 3 else [n // 2 // PERIOD * PERIOD + PERIOD // 2 for n in image.data.shape]
    session.points.add([*(int(p) for p in viewer.dims.point[:-2]), *centre])
    session.wait(600)
    marks.append(time.perf_counter())
    area = session.state.candidates[0].area
    session.new_target()
    session.wait(600)
    session.accept()
    session.wait(600)
    marks.append(time.perf_counter())
    added = peak_mb() - before
    levels = data if isinstance(data, list) else [data]
    read = sum(level.store.chunks_read for level in levels)
    opened, clicked, accepted = np.diff(marks)
    size = f"{levels[0].nbytes / 1e9:.0f} GB"
    print(
        f"{case:8}{size:>8}{opened:9.1f} s{clicked:8.1f} s{accepted:8.1f} s{added:9.0f} MB{read:8} chunks read; "
        f"IoU by area {min(area, np.pi * RADIUS**2) / max(area, np.pi * RADIUS**2):.2f}; {session.state.status.text}"
    )
    session.close()
    if added > BOUND_MB:
        sys.exit(f"{case}: {added:.0f} MB were added, and {BOUND_MB} MB are allowed")


def main() -> None:
    """Measure one case, or all, each in its own process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=100)
    parser.add_argument("--case", choices=CASES)
    options = parser.parse_args()
    if options.case:
        measure(options.case, options.gb)
        return
    print(f"{'case':8}{'size':>8}{'open':>11}{'click':>10}{'accept':>10}{'added':>12}")
    for case in CASES:
        subprocess.run([sys.executable, __file__, "--case", case, "--gb", str(options.gb)], check=True)


if __name__ == "__main__":
    main()
