"""From what was found in tiles to the labels of an image: planes merged, then linked along an axis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.automatic.linking import StackGraph, find_gaps, link_frames, link_planes, write_linked
from napari_sam.automatic.tiles import merge_tiles
from napari_sam.batch.matching.report import MatchReport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.automatic.tiles import MergedObject
    from napari_sam.batch.finding import FinderDescription
    from napari_sam.batch.plan import PlannedImage
    from napari_sam.batch.tasks import PlaneReference
    from napari_sam.progress import Progress

_CHUNK = 1024
_MERGED = 0.6
"""Share of the work that is done when the planes are merged, where they are linked afterwards."""


@dataclass(eq=False)
class ImageLabels:
    """Labels of an image, on the disk.

    Attributes
    ----------
    image : PlannedImage
    labels : zarr.Array, uint32
        Of the image's shape.
    objects : int
        How many; they are numbered from 1.
    known : dict of int to MergedObject, by the index of a plane
        Of the objects on it, those aside that were filled in between two planes.
    parents : dict of int to list of int
        Along time, the mother of each object that came of a division.
    matching : MatchReport or None
        How well the objects fit what was looked for; None where everything was.
    """

    image: PlannedImage
    labels: Any
    objects: int = 0
    known: dict[tuple[int, ...], dict[int, MergedObject]] = field(default_factory=dict)
    parents: dict[int, list[int]] = field(default_factory=dict)
    matching: MatchReport | None = None


def assemble(image: PlannedImage, about: FinderDescription, progress: Progress) -> ImageLabels:
    """Make the labels of an image of which all tiles are done.

    The result depends on what was found, and on nothing else: not on who found it, or in which order.

    Parameters
    ----------
    image : PlannedImage
    about : FinderDescription
        What the objects were found with.
    progress : Progress
        Called with the share of the work that is done; may raise `Cancelled`.

    Raises
    ------
    InputError
        If a tile is missing or damaged.
    """
    share = 1.0 if image.axis is None else _MERGED
    merged = _merged(image, about, lambda part: progress(share * part))
    found = merged if image.axis is None else _linked(merged, lambda part: progress(share + (1 - share) * part))
    if about.query:
        records = (image.records(plane) for plane in image.planes)
        found.matching = MatchReport.of(found.labels, found.known, records, about.settings.least_score, about.classes)
    return found


def _merged(image: PlannedImage, about: FinderDescription, progress: Progress) -> ImageLabels:
    """Make the labels of each plane by itself."""
    merged, settings = ImageLabels(image, _store(image, image.folder / "merged.zarr")), about.settings
    for number, plane in enumerate(image.planes):

        def within(part: float, done: int = number) -> None:
            progress((done + part) / len(image.planes))

        # Without an axis, planes have nothing to do with each other, and an object is on one of them alone.
        first = merged.objects + 1 if image.axis is None else 1
        found = merge_tiles(
            image.records(plane),
            _PlaneLabels(merged.labels, plane.index),
            overlap=settings.most_common,
            least_area=settings.least_area,
            least_score=settings.least_score,
            least_match=about.least_match,
            first=first,
            progress=within,
        )
        merged.known[plane.index] = dict(enumerate(found, first))
        merged.objects += len(found)
    return merged


def _store(image: PlannedImage, path: Path) -> Any:
    import zarr

    chunks = (*(1 for _ in image.shape[:-2]), *(min(_CHUNK, size) for size in image.shape[-2:]))
    return zarr.create_array(str(path), shape=image.shape, chunks=chunks, dtype=np.uint32, fill_value=0, overwrite=True)


def _linked(merged: ImageLabels, progress: Progress) -> ImageLabels:
    """Give the objects of planes their numbers in the stack, one row of planes after the other."""
    image = merged.image
    linked = ImageLabels(image, _store(image, image.folder / "linked.zarr"))
    rows = image.rows
    for number, row in enumerate(rows):

        def within(part: float, done: int = number) -> None:
            progress((done + part) / len(rows))

        planes = _Row(merged.labels, row)
        parents: dict[int, list[int]] = {}
        if image.axis is not None and image.axes[image.axis] == "t":
            tracks = link_frames(planes, progress=lambda part: within(part / 2))
            mapping, parents, gaps = tracks.mapping, tracks.parents, []
        else:
            graph = StackGraph.of(planes, progress=lambda part: within(part / 2))
            mapping = link_planes(graph)
            gaps = find_gaps(graph, mapping)
        before = linked.objects
        mapping = [{label: before + new for label, new in names.items()} for names in mapping]
        gaps = [type(gap)(before + gap.number, gap.before, gap.after, gap.box) for gap in gaps]
        write_linked(planes, mapping, _Row(linked.labels, row), gaps, lambda part: within((1 + part) / 2))
        linked.parents |= {before + one: [before + other for other in others] for one, others in parents.items()}
        linked.objects = max((new for names in mapping for new in names.values()), default=before)
        for plane, names in zip(row, mapping, strict=True):
            linked.known[plane.index] = _renamed(merged.known[plane.index], names)
    return linked


def _renamed(known: dict[int, MergedObject], names: dict[int, int]) -> dict[int, MergedObject]:
    """Give objects their numbers in the stack; of two parts of one object on one plane the better one counts."""
    found: dict[int, MergedObject] = {}
    for label, one in known.items():
        number = names.get(label)
        if number is not None and (number not in found or one.score > found[number].score):
            found[number] = one
    return found


class _PlaneLabels:
    """One plane of the labels of a stack, for `merge_tiles`."""

    def __init__(self, labels: Any, index: tuple[int, ...]) -> None:
        self._labels, self._index = labels, index
        self.chunks = labels.chunks[-2:]

    def __getitem__(self, key: tuple[slice, slice], /) -> Any:
        return self._labels[(*self._index, *key)]

    def __setitem__(self, key: tuple[slice, slice], value: Any, /) -> None:
        self._labels[(*self._index, *key)] = value


class _Row:
    """Planes of the labels of a stack that are linked with each other."""

    def __init__(self, labels: Any, planes: Sequence[PlaneReference]) -> None:
        self._labels = labels
        self._indices = [plane.index for plane in planes]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: int, /) -> NDArray[np.int64]:
        plane: NDArray[np.int64] = np.asarray(self._labels[self._indices[place]])
        return plane

    def __setitem__(self, place: int, plane: Any, /) -> None:
        self._labels[self._indices[place]] = plane
