"""Volumes with known objects, drawn: nuclei that touch, bodies that taper and lean, vessels that branch.

Objects are stacks of ellipses with a bumpy outline, one or more on each plane. Blur, noise and a drift of the
brightness make them an image. They serve to compare strategies with each other; how good a strategy is on microscopy
or CT, they do not tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

KINDS = ("nuclei", "bodies", "vessels", "dark bodies")
"""What synthetic volumes show. Dark bodies lie in a bright ground, as in electron microscopy."""

_LOBES = 3  # bumps around an outline


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A stack with known objects.

    Attributes
    ----------
    name : str
    kind : str
        What it shows.
    image : numpy.ndarray, shape (Z, Y, X)
    labels : numpy.ndarray, shape (Z, Y, X), integer
        The number of its object in every voxel, 0 for background.
    spacing : (float, float, float)
        Distance between voxels along z, y and x, in any one unit.
    """

    name: str
    kind: str
    image: NDArray[np.generic]
    labels: NDArray[np.integer]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class _Ellipse:
    """A part of an object on one plane: centre, half axes, direction, and where its bumps are."""

    y: float
    x: float
    long: float
    short: float
    angle: float
    phase: float

    def depth(self, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance from the centre as a share of the outline's, (H, W)."""
        dy, dx = rows - self.y, columns - self.x
        along = dx * np.cos(self.angle) + dy * np.sin(self.angle)
        across = dy * np.cos(self.angle) - dx * np.sin(self.angle)
        bumps = 1 + 0.1 * np.sin(_LOBES * np.arctan2(across, along) + self.phase)
        share: NDArray[np.float64] = np.hypot(along / self.long, across / self.short) / bumps
        return share


def synthetic_volume(kind: str, seed: int, shape: tuple[int, int, int] = (24, 96, 96)) -> Volume:
    """Draw a volume.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : int
        Equal seeds, equal volumes.
    shape : (int, int, int)
        Planes, rows and columns.

    Returns
    -------
    Volume
        The image is uint16; objects are numbered from 1, and each has voxels on two planes at least.
    """
    # The kind, too: volumes of one seed must not be drawn with the same numbers.
    rng = np.random.default_rng([KINDS.index(kind), seed])
    aniso = float(rng.choice([1.0, 2.0, 4.0]))
    draw = {"nuclei": _nucleus, "bodies": _body, "vessels": _vessel, "dark bodies": _body}[kind]
    wanted = {"nuclei": 40, "bodies": 10, "vessels": 6, "dark bodies": 12}[kind]
    labels = _lay_out([draw(rng, shape, aniso) for _ in range(wanted)], shape)
    image = _imaged(labels, rng, aniso, dark=kind.startswith("dark"))
    return Volume(f"{kind} {seed}", kind, image, labels, (aniso, 1.0, 1.0))


def synthetic_volumes(seeds: range, shape: tuple[int, int, int] = (24, 96, 96)) -> Iterator[Volume]:
    """Draw a volume of each kind for each seed, one at a time."""
    for seed in seeds:
        for kind in KINDS:
            yield synthetic_volume(kind, seed, shape)


def _nucleus(rng: np.random.Generator, shape: tuple[int, int, int], aniso: float) -> list[list[_Ellipse]]:
    """Draw a leaning ellipsoid."""
    z, y, x = (rng.uniform(0, side) for side in shape)
    long, short = sorted(rng.uniform(5, 11, 2))[::-1]
    half = max(1.6, rng.uniform(6, 11) / aniso)
    lean, angle, phase = rng.normal(0, 0.25 * aniso, 2), rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
    planes: list[list[_Ellipse]] = [[] for _ in range(shape[0])]
    for index in range(shape[0]):
        off = index - z
        if abs(off) < half:
            # The cross-sections of an ellipsoid.
            size = np.sqrt(1 - (off / half) ** 2)
            planes[index].append(
                _Ellipse(y + lean[0] * off, x + lean[1] * off, long * size + 0.3, short * size + 0.3, angle, phase)
            )
    return planes


def _body(rng: np.random.Generator, shape: tuple[int, int, int], aniso: float) -> list[list[_Ellipse]]:
    """Draw a body that tapers, leans, winds and turns from one plane to another."""
    first = int(rng.integers(0, shape[0] // 2))
    last = int(rng.integers(first + shape[0] // 3, shape[0] + 1))
    y, x = (rng.uniform(0.15 * side, 0.85 * side) for side in shape[1:])
    sizes = rng.uniform(4, 14, 2)
    lean = rng.normal(0, 0.4 * min(aniso, 2.0), 2)
    swing, pace, turn = rng.uniform(0, 3), rng.uniform(0.1, 0.4), rng.normal(0, 0.05)
    flat, angle, phase = rng.uniform(0.55, 1), rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
    planes: list[list[_Ellipse]] = [[] for _ in range(shape[0])]
    for index in range(first, last):
        size = np.interp(index, (first, last - 1), sizes)
        off = index - first
        wind = swing * np.sin(pace * off)
        planes[index].append(
            _Ellipse(y + lean[0] * off + wind, x + lean[1] * off - wind, size, flat * size, angle + turn * off, phase)
        )
    return planes


def _vessel(rng: np.random.Generator, shape: tuple[int, int, int], aniso: float) -> list[list[_Ellipse]]:
    """Draw a tube that forks on its way, upwards or downwards."""
    y, x = (rng.uniform(0.2 * side, 0.8 * side) for side in shape[1:])
    fork = int(rng.integers(shape[0] // 4, 3 * shape[0] // 4))
    width, upwards = rng.uniform(4, 8), bool(rng.integers(2))
    lean, angle = rng.normal(0, 0.3 * min(aniso, 2.0), 2), rng.uniform(0, np.pi)
    apart = rng.uniform(0.4, 1.0) * min(aniso, 2.0)
    phase = rng.uniform(0, 2 * np.pi)
    planes: list[list[_Ellipse]] = [[] for _ in range(shape[0])]
    for index in range(shape[0]):
        off = (index - fork) if upwards else (fork - index)
        centre = y + lean[0] * off, x + lean[1] * off
        shift = max(0.0, apart * off)
        arms = (1, -1) if shift else (0,)
        size = width * (0.75 if shift else 1.0)
        planes[index] += [
            _Ellipse(
                centre[0] + arm * shift * np.sin(angle), centre[1] + arm * shift * np.cos(angle), size, size, 0, phase
            )
            for arm in arms
        ]
    return planes


def _lay_out(objects: list[list[list[_Ellipse]]], shape: tuple[int, int, int]) -> NDArray[np.uint16]:
    """Give each voxel to the object that it lies deepest in, and drop objects of which hardly anything is left."""
    rows, columns = np.ogrid[: shape[1], : shape[2]]
    labels = np.zeros(shape, np.uint16)
    for index in range(shape[0]):
        # 1 is at the outline, and what lies farther out belongs to nothing.
        depth = np.ones(shape[1:])
        for number, planes in enumerate(objects, 1):
            for part in planes[index]:
                own = part.depth(rows.astype(float), columns.astype(float))
                labels[index][own < depth] = number
                np.minimum(depth, own, out=depth)
    kept = np.zeros_like(labels)
    number = 0
    for label in range(1, len(objects) + 1):
        # The rest of what others have pushed aside is no object that anybody would outline.
        pieces, count = ndimage.label(labels == label)
        if not count:
            continue
        largest = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
        if largest.sum() >= 60 and np.count_nonzero(largest.any((1, 2))) >= 2:
            number += 1
            kept[largest] = number
    return kept


def _imaged(labels: NDArray[np.uint16], rng: np.random.Generator, aniso: float, *, dark: bool) -> NDArray[np.uint16]:
    """Make an image of objects."""
    brightness = np.concatenate([[0.0], rng.uniform(0.5, 1.0, int(labels.max()))])
    # As wide along z as in the plane, in space.
    texture = ndimage.gaussian_filter(rng.normal(size=labels.shape), (2 / aniso, 2, 2))
    image = brightness[labels] * (1 + 0.15 * texture / texture.std())
    # Neighbours that touch are told apart by a fine dark seam, as membranes and gaps do it.
    edge = np.zeros(labels.shape, bool)
    for axis in (1, 2):
        other = np.roll(labels, 1, axis)
        edge |= (labels != other) & (labels > 0) & (other > 0)
    image[edge] *= 0.4
    image = ndimage.gaussian_filter(image, (0.8 / aniso, 0.8, 0.8))
    if dark:
        image = 1.2 - image
    slope = np.linspace(0, rng.uniform(0, 0.15), labels.shape[2])
    drift = np.exp(-rng.uniform(0, 0.6) * np.linspace(0, 1, labels.shape[0]))[:, None, None]
    # The noise of counting photons: the fewer, the more of it.
    photons = rng.uniform(30, 200)
    noisy = rng.poisson(np.clip((image + 0.12 + slope) * drift, 0, None) * photons) / photons
    return np.asarray(np.clip(1000 * noisy + rng.normal(100, 15, labels.shape), 0, 65535), np.uint16)
