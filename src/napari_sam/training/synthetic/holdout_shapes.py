"""What lies where in the scenes of `holdout_scenes`: families of shapes that differ in kind from those of `shapes`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import ConvexHull

from napari_sam.training.synthetic.shapes import log_uniform, smooth_noise

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

_TRIES = 40  # to find room for an object
_FINE = 2  # outlines are drawn in so many times as fine a grid


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A scene before it has a grey value.

    Attributes
    ----------
    objects : numpy.ndarray, shape (side, side), uint16
        What is asked for, 0 for background.
    materials : numpy.ndarray, shape (side, side), uint16
        What looks alike; 0 for the ground.
    first_part : int
        Materials from this one on are parts inside of objects.
    """

    objects: NDArray[np.uint16]
    materials: NDArray[np.uint16]
    first_part: int


def _plain(painted: NDArray[np.uint16]) -> Drawing:
    """Make everything that was painted one material each, and its largest piece in sight an object."""
    objects = np.zeros_like(painted)
    for label, box in enumerate(ndimage.find_objects(painted), 1):
        if box is not None:
            pieces, _count = ndimage.label(painted[box] == label)
            objects[box][pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()] = label
    return Drawing(objects, painted, int(painted.max()) + 1)


def _polygon(side: int, corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Fill a polygon (n, 2), (y, x), pixels."""
    picture = Image.new("1", (side * _FINE, side * _FINE))
    # Pillow has x before y, and counts from the corner of a pixel.
    ImageDraw.Draw(picture).polygon([tuple(_FINE * (corner[::-1] + 0.5)) for corner in corners], fill=1)
    # Of each fine square the pixel in its middle.
    return np.asarray(picture)[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE]


def trees(rng: Generator, side: int) -> Drawing:
    """Draw things that branch: dendrites, vessels, roots; each a whole tree, two at most that touch nowhere."""
    objects = np.zeros((side, side), np.uint16)
    for label in range(1, int(rng.integers(2, 4))):
        for _ in range(_TRIES):
            tree = _tree(rng, side)
            if not (objects[ndimage.binary_dilation(tree, iterations=4)] > 0).any():
                objects[tree] = label
                break
    return _plain(objects)


def _tree(rng: Generator, side: int) -> NDArray[np.bool_]:
    """Grow limbs that part in two and get thinner, from a root near an edge or a body in the middle of them."""
    picture = Image.new("1", (side * _FINE, side * _FINE))
    pen = ImageDraw.Draw(picture)

    def line(start: NDArray[np.float64], stop: NDArray[np.float64], width: float) -> None:
        ends = [tuple(_FINE * (at[::-1] + 0.5)) for at in (start, stop)]
        pen.line(ends, fill=1, width=max(1, round(_FINE * width)))
        radius = _FINE * width / 2
        for x, y in ends:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)

    def limb(start: NDArray[np.float64], heading: float, length: float, width: float) -> None:
        at = start
        for _ in range(3):
            heading += rng.normal(0, 0.2)
            after = at + length / 3 * np.array((np.sin(heading), np.cos(heading)))
            line(at, after, width)
            at = after
        if width > 3.0 and length > 12:
            for turn in (rng.uniform(0.3, 0.8), -rng.uniform(0.3, 0.8)):
                limb(at, heading + turn, length * rng.uniform(0.65, 0.9), width * rng.uniform(0.62, 0.8))

    root = rng.uniform(0.25, 0.75, 2) * side
    limbs, width = int(rng.integers(1, 5)), rng.uniform(7, 12)
    first = rng.uniform(0, 2 * np.pi)
    line(root, root, width * (2.2 if limbs > 1 else 1.0))
    for index in range(limbs):
        limb(root, first + 2 * np.pi * index / limbs, side * rng.uniform(0.12, 0.22), width)
    return np.asarray(picture)[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE]


def shards(rng: Generator, side: int) -> Drawing:
    """Draw splinters: convex, angular, longer than wide, heaped over each other so that most of each is in sight."""
    objects = np.zeros((side, side), np.uint16)
    length = log_uniform(rng, 22, 60)
    for label in range(1, int(np.clip(0.5 * (side / length) ** 2, 4, 45)) + 1):
        for _ in range(_TRIES):
            cloud = rng.standard_normal((int(rng.integers(5, 9)), 2)) * (length, length * rng.uniform(0.3, 0.6)) * 0.5
            turn = rng.uniform(0, np.pi)
            turned = cloud @ np.array(((np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))))
            mask = _polygon(side, turned[ConvexHull(turned).vertices] + rng.uniform(0, side, 2))
            if _leaves_in_sight(objects, mask):
                # A gap, or nobody could tell splinters of one grey apart.
                objects[ndimage.binary_dilation(mask, iterations=2)] = 0
                objects[mask] = label
                break
    return _plain(objects)


def _leaves_in_sight(objects: NDArray[np.uint16], mask: NDArray[np.bool_], share: float = 0.35) -> bool:
    """Whether `mask` on top would hide at most so much of each object that is there; nothing is none."""
    hidden = np.bincount(objects[mask], minlength=int(objects.max()) + 1)[1:]
    return bool(mask.sum() >= 60) and bool((hidden <= share * np.bincount(objects.ravel())[1:]).all())


def _scattered(rng: Generator, side: int, radius: float, count: int) -> list[tuple[NDArray[np.float64], float]]:
    """Find places (y, x) and radii of discs that do not touch."""
    placed: list[tuple[NDArray[np.float64], float]] = []
    for _ in range(count * _TRIES):
        if len(placed) == count:
            break
        centre, reach = rng.uniform(0, side, 2), radius * log_uniform(rng, 0.75, 1.35)
        if all(np.hypot(*(centre - other)) > reach + taken + 3 for other, taken in placed):
            placed.append((centre, reach))
    return placed


def stars_and_gears(rng: Generator, side: int) -> Drawing:
    """Draw pointed stars, and wheels with teeth and a hole, which belongs to the background."""
    objects = np.zeros((side, side), np.uint16)
    radius = log_uniform(rng, 18, 42)
    count = int(np.clip(0.5 * side**2 / (np.pi * radius**2), 2, 30))
    for label, (centre, reach) in enumerate(_scattered(rng, side, radius, count), 1):
        turn = rng.uniform(0, 2 * np.pi)
        if rng.random() < 0.5:
            points = int(rng.integers(4, 9))
            angles = turn + np.arange(2 * points) * np.pi / points
            radii = np.where(np.arange(2 * points) % 2, rng.uniform(0.35, 0.55), 1.0) * reach
        else:
            teeth = int(rng.integers(6, 12))
            angles = turn + np.repeat(np.arange(2 * teeth), 2) * np.pi / teeth + np.tile((0, np.pi / teeth), 2 * teeth)
            radii = np.where(np.arange(4 * teeth) // 2 % 2, 0.75, 1.0) * reach
        mask = _polygon(side, centre + radii[:, None] * np.stack((np.sin(angles), np.cos(angles)), 1))
        # Stars have 16 corners at most, wheels 24 at least: only these have a hole.
        if len(angles) > 2 * 9:
            mask = mask & (_distance(side, centre) > 0.3 * reach)
        objects[mask] = label
    return _plain(objects)


def _distance(side: int, centre: NDArray[np.float64]) -> NDArray[np.float64]:
    y, x = np.mgrid[:side, :side]
    return np.asarray(np.hypot(y - centre[0], x - centre[1]))


def rings_and_crescents(rng: Generator, side: int) -> Drawing:
    """Draw rings, whose middle is background, open rings, and moons."""
    objects = np.zeros((side, side), np.uint16)
    radius = log_uniform(rng, 16, 45)
    count = int(np.clip(0.55 * side**2 / (np.pi * radius**2), 2, 30))
    y, x = np.mgrid[:side, :side]
    for label, (centre, reach) in enumerate(_scattered(rng, side, radius, count), 1):
        away = _distance(side, centre)
        band = (away < reach) & (away > rng.uniform(0.5, 0.7) * reach)
        turn = rng.uniform(-np.pi, np.pi)
        kind = rng.integers(3)
        if kind == 0:
            mask = band
        elif kind == 1:
            angle = np.arctan2(y - centre[0], x - centre[1])
            # On the complex circle, where angles differ by half a turn at most.
            mask = band & (np.abs(np.angle(np.exp(1j * (angle - turn)))) > rng.uniform(0.4, 1.2))
        else:
            bite = centre + reach * rng.uniform(0.35, 0.6) * np.array((np.sin(turn), np.cos(turn)))
            mask = (away < reach) & (_distance(side, bite) > 0.85 * reach)
        objects[mask] = label
    return _plain(objects)


def large_bodies(rng: Generator, side: int) -> Drawing:
    """Draw one body or two that fill a third of the frame, with parts inside that belong to them."""
    bodies = np.zeros((side, side), np.uint16)
    count = int(rng.integers(1, 3))
    turn = rng.uniform(0, 2 * np.pi)
    for label in range(1, count + 1):
        away = side * (0.0 if count == 1 else 0.27) * np.array((np.sin(turn), np.cos(turn))) * (-1) ** label
        centre = side / 2 + away + rng.normal(0, side / 40, 2)
        bodies[_lump(rng, side, centre, side * (0.33 if count == 1 else 0.23)) & (bodies == 0)] = label
    materials = bodies.copy()
    for label in range(1, count + 1):
        inside = np.argwhere(bodies == label)
        middle, spread = inside.mean(0), np.sqrt(len(inside) / np.pi)
        first = rng.uniform(0, 2 * np.pi)
        parts = int(rng.integers(2, 5))
        for index in range(parts):
            angle = first + 2 * np.pi * index / parts
            centre = middle + 0.5 * spread * np.array((np.sin(angle), np.cos(angle)))
            part = _lump(rng, side, centre, spread * rng.uniform(0.15, 0.27))
            materials[part & (bodies == label)] = materials.max() + 1
    return Drawing(bodies, materials, count + 1)


def _lump(rng: Generator, side: int, centre: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
    """Draw a solid shape with bays: a superellipse, bent by noise."""
    y, x = np.mgrid[:side, :side]
    turn, power = rng.uniform(0, np.pi), rng.uniform(2.0, 4.0)
    stretch = rng.uniform(0.8, 1.25)
    dy, dx = y - centre[0], x - centre[1]
    along = np.abs(dx * np.cos(turn) + dy * np.sin(turn)) / (radius * stretch)
    across = np.abs(dy * np.cos(turn) - dx * np.sin(turn)) / (radius / stretch)
    level = (along**power + across**power) ** (1 / power)
    return np.asarray(level + 0.1 * smooth_noise(rng, side, max(8.0, radius)) < 1)


def parts_of_bodies(rng: Generator, side: int) -> Drawing:
    """Draw what `large_bodies` draws, and ask for the parts."""
    drawing = large_bodies(rng, side)
    parts = np.where(drawing.materials >= drawing.first_part, drawing.materials, 0).astype(np.uint16)
    return replace(drawing, objects=parts)
