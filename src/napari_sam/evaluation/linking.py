"""How good a linking of planes is: planes with the errors of a model that sees one at a time, and known answers.

The errors are objects that are missing, that are grown together with a neighbour, and that are cut in two. A simulated
time series has cells that wander, grow and divide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.measure import label

from napari_sam.automatic.linking.overlaps import Overlaps, PlaneObjects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_LEAST_CUT = 20  # pixels of an object that is cut in two
_STEP = 2.5  # pixels that a cell wanders from frame to frame, standard deviation along each axis
_CYCLE = (8, 30)  # frames after which a cell divides


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Shares of the objects of each plane that are missing, grown together with a neighbour, and cut in two."""

    missing: float = 0.06
    merged: float = 0.06
    cut: float = 0.06


def plane_by_plane(labels: NDArray[np.integer], seed: int, rates: ErrorRates | None = None) -> NDArray[np.int32]:
    """Give the objects of each plane numbers of their own, with errors.

    Parameters
    ----------
    labels : numpy.ndarray, shape (Z, H, W), integer
        The objects of a volume or of a time series.
    seed : int
        Equal seeds, equal errors.
    rates : ErrorRates, optional

    Returns
    -------
    numpy.ndarray, shape (Z, H, W), int32
        On each plane, numbers from 1 in a random order.
    """
    rng = np.random.default_rng(seed)
    return np.stack([_with_errors(plane, rng, rates or ErrorRates()) for plane in labels])


def linked_to_one_neighbour(planes: NDArray[np.integer], least: float = 0.25) -> NDArray[np.int32]:
    """Give each object the number of what is most similar to it on the plane before: what others are compared with.

    Parameters
    ----------
    planes : numpy.ndarray, shape (Z, H, W), integer
        Labels of each plane.
    least : float
        Least IoU of two objects for them to be one.
    """
    linked = np.zeros(planes.shape, np.int32)
    before, names = PlaneObjects.of(np.zeros(planes.shape[1:], np.int32)), np.zeros(0, np.int32)
    count = 0
    for index, plane in enumerate(planes):
        objects = PlaneObjects.of(plane)
        common = Overlaps.of(before, objects)
        given = np.zeros(len(objects), np.int32)
        taken: set[int] = set()
        for pair in np.argsort(-common.iou, kind="stable"):
            one, two = int(common.one[pair]), int(common.two[pair])
            if common.iou[pair] >= least and one not in taken and not given[two]:
                given[two] = names[one]
                taken.add(one)
        new = given == 0
        given[new] = count + 1 + np.arange(np.count_nonzero(new))
        count = max(count, int(given.max(initial=0)))
        linked[index] = np.concatenate([np.zeros(1, np.int32), given])[objects.index]
        before, names = objects, given
    return linked


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell of a simulated series."""

    y: float
    x: float
    radius: float
    divides: int


def simulated_series(
    seed: int, frames: int = 24, side: int = 160, cells: int = 14
) -> tuple[NDArray[np.int32], dict[int, int]]:
    """Simulate cells that wander, grow and divide.

    Parameters
    ----------
    seed : int
        Equal seeds, equal series.
    frames, side, cells : int
        Frames, pixels of each along y and x, and cells at the start.

    Returns
    -------
    labels : numpy.ndarray, shape (frames, side, side), int32
        Tracks.
    mothers : dict from int to int
        The track that each daughter comes from.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[:side, :side]
    alive = {
        number: _Cell(
            float(rng.uniform(10, side - 10)),
            float(rng.uniform(10, side - 10)),
            float(rng.uniform(6, 9)),
            int(rng.integers(2, _CYCLE[1])),
        )
        for number in range(1, cells + 1)
    }
    mothers: dict[int, int] = {}
    labels = np.zeros((frames, side, side), np.int32)
    for index in range(frames):
        # Each pixel belongs to the cell that it lies deepest in, and what lies farther out than 1 to none.
        depth = np.ones((side, side))
        for number, cell in alive.items():
            own = np.hypot(rows - cell.y, columns - cell.x) / cell.radius
            labels[index][own < depth] = number
            np.minimum(depth, own, out=depth)
        following: dict[int, _Cell] = {}
        for number, cell in alive.items():
            y, x = np.clip(np.add((cell.y, cell.x), rng.normal(0, _STEP, 2)), 3, side - 4)
            if index != cell.divides:
                following[number] = replace(cell, y=y, x=x, radius=min(cell.radius * 1.01, 10))
                continue
            angle, radius = rng.uniform(0, np.pi), cell.radius * 0.72
            for way in (1, -1):
                daughter = max([0, *alive, *following, *mothers]) + 1
                mothers[daughter] = number
                apart = 0.9 * radius * way
                divides = index + int(rng.integers(*_CYCLE))
                following[daughter] = _Cell(y + apart * np.sin(angle), x + apart * np.cos(angle), radius, divides)
        alive = following
    return labels, mothers


@dataclass(frozen=True, slots=True)
class LinkCounts:
    """Links between objects that were found: how many there are, were answered, and of those are right.

    A link leads from an object to the next one of its track, or from a mother to a daughter.
    """

    truths: int
    answers: int
    right: int


def count_links(
    truth: NDArray[np.integer],
    mothers: Mapping[int, int],
    planes: NDArray[np.integer],
    mapping: Sequence[Mapping[int, int]],
    parents: Mapping[int, Sequence[int]],
) -> LinkCounts:
    """Compare the links of an answer with those of a known series.

    Parameters
    ----------
    truth : numpy.ndarray, shape (T, H, W), integer
        The tracks that are there.
    mothers : mapping from int to int
        The track that each daughter comes from.
    planes : numpy.ndarray, shape (T, H, W), integer
        What was linked. Each object is that of the truth which has an IoU of more than one half with it; others, and
        their links, do not count.
    mapping, parents
        The answer, as in `napari_sam.automatic.linking.Tracks`.
    """
    known: list[dict[int, int]] = []
    for true, found in zip(truth, planes, strict=True):
        one, two = PlaneObjects.of(true), PlaneObjects.of(found)
        common = Overlaps.of(one, two)
        same = common.iou > 0.5  # no object can have this with two others
        pairs = zip(two.labels[common.two[same]].tolist(), one.labels[common.one[same]].tolist(), strict=True)
        known.append(dict(pairs))
    expected = _links(known, {daughter: [mother] for daughter, mother in mothers.items()})
    able = [{label: names[label] for label in objects} for names, objects in zip(mapping, known, strict=True)]
    answered = _links(able, parents)
    return LinkCounts(len(expected), len(answered), len(expected & answered))


Object = tuple[int, int]
"""Frame and label."""


def _links(names: Sequence[Mapping[int, int]], parents: Mapping[int, Sequence[int]]) -> set[tuple[Object, Object]]:
    """List the links of tracks."""
    last: dict[int, Object] = {}
    first: dict[int, Object] = {}
    links = set()
    for index, objects in enumerate(names):
        for number, track in objects.items():
            if track in last:
                links.add((last[track], (index, number)))
            first.setdefault(track, (index, number))
            last[track] = index, number
    for daughter, above in parents.items():
        if daughter in first:
            links |= {(last[mother], first[daughter]) for mother in above if mother in last}
    return links


def _with_errors(plane: NDArray[np.integer], rng: np.random.Generator, rates: ErrorRates) -> NDArray[np.int32]:
    """Give the objects of one plane numbers of their own, with errors."""
    # What is in two places on a plane is two objects to a model that sees no other plane.
    found = np.asarray(label(plane, connectivity=2, background=0), np.int32)  # type: ignore[no-untyped-call]  # of scikit-image
    for number in range(1, int(found.max()) + 1):
        mask = found == number
        chance = rng.random()
        if not mask.any():
            continue
        if chance < rates.missing:
            found[mask] = 0
        elif chance < rates.missing + rates.merged:
            around = found[ndimage.binary_dilation(mask) & ~mask]
            touching = np.unique(around[around > 0])
            if len(touching):
                found[found == rng.choice(touching)] = number
        elif chance < rates.missing + rates.merged + rates.cut and np.count_nonzero(mask) > _LEAST_CUT:
            ys, xs = np.nonzero(mask)
            angle = rng.uniform(0, np.pi)
            far = (ys - ys.mean()) * np.sin(angle) + (xs - xs.mean()) * np.cos(angle) > 0
            found[ys[far], xs[far]] = found.max() + 1
    # No number may tell which object it was.
    numbers = np.concatenate([[0], 1 + rng.permutation(int(found.max()))]).astype(np.int32)
    return numbers[found]
