"""Finders that other processes can import, and pictures for them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_sam.automatic import DenseSettings, Proposal
from napari_sam.batch.finding import FinderDescription
from napari_sam.masks import BoxedMask

PATIENCE = 120.0  # seconds: only for what hangs


def components(pixels: np.ndarray) -> list[Proposal]:
    """What touches and is not black is an object; the brighter, the better."""
    labels, _ = ndimage.label(pixels > 0, np.ones((3, 3)))
    return [
        Proposal(
            BoxedMask((box[0].start, box[1].start), labels[box] == number, pixels.shape),
            0.7 + float(pixels[box][labels[box] == number].max()) / 1000,
        )
        for number, box in enumerate(ndimage.find_objects(labels), 1)
    ]


@dataclass(frozen=True)
class FakeFinder:
    """Finds what touches, and leaves a file in `asked` for each picture that it was asked about."""

    asked: Path
    weights: str = "fake"
    query: str = ""

    def describe(self) -> FinderDescription:
        return FinderDescription(self.weights, DenseSettings(least_area=1), ("A note.",), query=self.query)

    def __call__(self, plane, progress) -> list[Proposal]:
        progress(0.5)
        (self.asked / f"{time.monotonic_ns()}-{os.getpid()}").touch()
        return components(plane.pixels)


@dataclass(frozen=True)
class PointFinder(FakeFinder):
    """Tells of each object what a model that was asked at a point would: its stability, and the point."""

    def __call__(self, plane, progress) -> list[Proposal]:
        found = super().__call__(plane, progress)
        return [
            replace(one, stability=0.5 + one.score / 10, point=tuple(float(at) for at in one.mask.origin))
            for one in found
        ]


@dataclass(frozen=True)
class CutFinder(FakeFinder):
    """Is interrupted when it was asked so many times."""

    left: int = 2
    error: type[BaseException] = KeyboardInterrupt

    def __call__(self, plane, progress) -> list[Proposal]:
        if len(list(self.asked.iterdir())) >= self.left:
            raise self.error("cut")
        return super().__call__(plane, progress)


@dataclass(frozen=True)
class WaitingFinder(FakeFinder):
    """Tells of its process in the folder `begun`, and goes on when there is a file `gate`."""

    begun: Path = field(default_factory=Path)
    gate: Path = field(default_factory=Path)

    def __call__(self, plane, progress) -> list[Proposal]:
        (self.begun / f"{os.getpid()}").touch()
        end = time.monotonic() + PATIENCE
        while not self.gate.exists() and time.monotonic() < end:
            time.sleep(0.01)
        return super().__call__(plane, progress)


@dataclass(frozen=True)
class FailingFinder(FakeFinder):
    """Fails so many times, with the number of a file in `failed` for each."""

    failed: Path = field(default_factory=Path)
    times: int = 1

    def __call__(self, plane, progress) -> list[Proposal]:
        if len(list(self.failed.iterdir())) < self.times:
            (self.failed / f"{time.monotonic_ns()}-{os.getpid()}").touch()
            raise RuntimeError("the device is gone")
        return super().__call__(plane, progress)


def discs(shape: tuple[int, int], *circles: tuple[int, int, int]) -> np.ndarray:
    """Discs (y, x, radius) of different brightness on black."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    pixels = np.zeros(shape, np.uint8)
    for number, (row, column, radius) in enumerate(circles):
        pixels[np.hypot(y - row, x - column) <= radius] = 100 + number
    return pixels


def scene() -> np.ndarray:
    """A plane of 2 x 2 tiles of 64 with a halo of 8: one disc in the middle of all, others in one or two of them."""
    return discs((112, 112), (56, 56, 7), (15, 15, 9), (20, 56, 6), (90, 20, 12), (95, 95, 10), (56, 100, 5))
