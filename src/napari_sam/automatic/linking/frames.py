"""Objects of a time series: which one is which in the next frame, and which have divided.

Every frame, the tracks so far and the objects of the frame are paired at the least cost in all; no object is ever in
two tracks. A track that was not seen for a frame waits for its object. An object that comes from nowhere, next to a
track that has shrunk, is a daughter of it; divisions of which one half is gone in the next frame are taken back in the
end, because a model cut that object in two.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from napari_sam.automatic.linking.assignment import assign
from napari_sam.automatic.linking.overlaps import Overlaps, PlaneObjects
from napari_sam.errors import InputError
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam.automatic.linking.overlaps import LabelPlanes
    from napari_sam.progress import Progress

_WAIT = 0.1
"""Cost of each frame in which a track was not seen."""
_SIZE = 0.2
"""Cost of a change of the area by a factor of e."""
_ALONE = 1.0
"""Cost of a track that is not seen in a frame."""
_DAUGHTER = 0.8
"""A daughter is smaller than this share of its mother."""
_DAUGHTERS = (0.5, 1.4)
"""Two daughters together have at least and at most this share of their mother's area."""
_LIKE = 0.4
"""The smaller daughter has at least this share of the area of the larger one."""
_OFF = 0.5
"""The middle of two daughters is no farther from where their mother was, diameters of the mother."""


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """How objects of frames become tracks.

    Attributes
    ----------
    move : float
        How far an object moves at most from one frame to the next, in diameters of a disc of its area; farther only
        where it still lies on itself.
    gap : int
        Frames in which an object may be missing.
    divisions : bool
        Whether objects may divide.
    """

    move: float = 1.0
    gap: int = 1
    divisions: bool = True

    def __post_init__(self) -> None:
        if not self.move > 0 or self.gap < 0:
            raise InputError(f"Objects move a positive distance, over gaps of 0 or more; got {self.move}, {self.gap}.")


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Objects of a time series with numbers that they keep.

    Attributes
    ----------
    mapping : list of dict from int to int
        For each frame, the number of the track of each label of the frame; tracks are numbered 1, 2, ... in the order
        in which they begin.
    parents : dict from int to list of int
        The mother of each daughter, as the graph of napari's Tracks layer: one mother, never two.
    """

    mapping: list[dict[int, int]]
    parents: dict[int, list[int]]


@dataclass(slots=True)
class _Seen:
    """Where a track was seen last."""

    frame: int
    place: int


def link_frames(frames: LabelPlanes, settings: TrackSettings | None = None, progress: Progress = no_progress) -> Tracks:
    """Follow objects through a time series.

    Parameters
    ----------
    frames : LabelPlanes
        Read once, in their order; the last ones alone are in memory.
    settings : TrackSettings, optional
    progress : Progress
        Called with the share of the frames that were linked; may raise `Cancelled`.

    Returns
    -------
    Tracks
    """
    settings = settings or TrackSettings()
    last: dict[int, PlaneObjects] = {}
    seen: dict[int, _Seen] = {}
    mapping: list[dict[int, int]] = []
    parents: dict[int, int] = {}
    count = 0
    for index in range(len(frames)):
        progress(index / len(frames))
        objects = PlaneObjects.of(frames[index])
        seen = {track: at for track, at in seen.items() if at.frame in last}
        names = _continued(seen, last, objects, index, settings)
        mothers = {}
        if index and settings.divisions:
            just = {track: at.place for track, at in seen.items() if at.frame == index - 1}
            mothers = _mothers(names, just, last[index - 1], objects)
        for place in range(len(objects)):
            if place in mothers or place not in names:
                count += 1
                names[place] = count
            if place in mothers:
                parents[count] = mothers[place]
                seen.pop(mothers[place], None)
        seen |= {track: _Seen(index, place) for place, track in names.items()}
        mapping.append({int(objects.labels[place]): names[place] for place in range(len(objects))})
        last = {frame: kept for frame, kept in last.items() if frame >= index - settings.gap} | {index: objects}
    progress(1.0)
    return _tidied(mapping, parents)


def _continued(
    seen: dict[int, _Seen],
    last: dict[int, PlaneObjects],
    objects: PlaneObjects,
    index: int,
    settings: TrackSettings,
) -> dict[int, int]:
    """Find the tracks that go on in a frame: the track of each object, by its place, that has one."""
    tracks, places, costs = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    tree = cKDTree(objects.centre) if len(objects) else None
    for frame, before in last.items():
        numbers = np.full(len(before), -1, np.int64)
        for number, at in seen.items():
            if at.frame == frame:
                numbers[at.place] = number
        waited = index - frame
        one, two, iou = _near(before, objects, tree, settings.move * waited**0.5)
        kept = numbers[one] >= 0
        one, two, iou = one[kept], two[kept], iou[kept]
        moved = np.linalg.norm(before.centre[one] - objects.centre[two], axis=1) / _diameters(before)[one]
        grown = np.abs(np.log(objects.area[two] / before.area[one]))
        tracks.append(numbers[one])
        places.append(two)
        costs.append(
            (1 - iou) / 2 + np.minimum(moved / settings.move, 1) / 2 * (1 - iou) + _SIZE * grown + _WAIT * (waited - 1)
        )
    track, place = np.concatenate(tracks), np.concatenate(places)
    chosen = assign(track, place, np.concatenate(costs), _ALONE)
    return dict(zip(place[chosen].tolist(), track[chosen].tolist(), strict=True))


def _near(
    before: PlaneObjects, objects: PlaneObjects, tree: cKDTree | None, move: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pair objects of two frames that lie on each other, or near enough; return their IoU, too."""
    common = Overlaps.of(before, objects)
    found = dict(zip(zip(common.one.tolist(), common.two.tolist(), strict=True), common.iou.tolist(), strict=True))
    if tree is not None and len(before):
        for one, reached in enumerate(tree.query_ball_point(before.centre, move * _diameters(before))):
            for two in reached:
                found.setdefault((one, two), 0.0)
    pairs = np.array(sorted(found), np.int64).reshape(len(found), 2)
    return pairs[:, 0], pairs[:, 1], np.array([found[one, two] for one, two in pairs.tolist()], np.float64)


def _mothers(
    names: dict[int, int], just: dict[int, int], before: PlaneObjects, objects: PlaneObjects
) -> dict[int, int]:
    """Find the objects that are daughters: by their places, the tracks that divided.

    A mother goes on as one of its daughters in `names`; `just` has the place of each track in the frame before.
    """
    fresh = [place for place in range(len(objects)) if place not in names]
    shrunk = [
        place
        for place, track in names.items()
        if track in just and objects.area[place] < _DAUGHTER * before.area[just[track]]
    ]
    if not fresh or not shrunk:
        return {}
    new, known = (at.ravel() for at in np.meshgrid(fresh, shrunk, indexing="ij"))
    mother = np.array([just[names[place]] for place in known.tolist()], np.int64)
    areas = np.stack([objects.area[new], objects.area[known]], axis=1)
    both = areas.sum(axis=1)
    middle = (objects.centre[new] * areas[:, :1] + objects.centre[known] * areas[:, 1:]) / both[:, None]
    off = np.linalg.norm(middle - before.centre[mother], axis=1) / _diameters(before)[mother]
    share = both / before.area[mother]
    able = (share >= _DAUGHTERS[0]) & (share <= _DAUGHTERS[1]) & (areas.min(axis=1) >= _LIKE * areas.max(axis=1))
    chosen = assign(new, known, np.where(able, off, np.inf), _OFF)
    return {
        place: names[sister]
        for daughter, sister in zip(new[chosen].tolist(), known[chosen].tolist(), strict=True)
        for place in (daughter, sister)
    }


def _diameters(objects: PlaneObjects) -> NDArray[np.float64]:
    """Diameters of discs of the areas of objects, data pixels."""
    found: NDArray[np.float64] = 2 * np.sqrt(objects.area / np.pi)
    return found


def _tidied(mapping: list[dict[int, int]], parents: dict[int, int]) -> Tracks:
    """Take back divisions of which a half is gone at once, and number the tracks that are left."""
    frames: dict[int, list[int]] = defaultdict(list)
    for index, names in enumerate(mapping):
        for track in names.values():
            frames[track].append(index)
    daughters: dict[int, list[int]] = defaultdict(list)
    for daughter, mother in parents.items():
        daughters[mother].append(daughter)
    same: dict[int, int] = {}
    for mother, (one, other) in daughters.items():
        brief, lasting = sorted((one, other), key=lambda track: (len(frames[track]), -track))
        # At the end of the series nobody knows whether it would have been there in the next frame.
        if len(frames[brief]) == 1 and frames[brief][0] < len(mapping) - 1 and brief not in daughters:
            same[lasting] = mother
            del parents[brief], parents[lasting]
    numbers: dict[int, int] = {}

    def number(track: int) -> int:
        while track in same:
            track = same[track]
        return numbers.setdefault(track, len(numbers) + 1)

    renamed = [{label: number(track) for label, track in names.items()} for names in mapping]
    return Tracks(renamed, {number(daughter): [number(mother)] for daughter, mother in parents.items()})
