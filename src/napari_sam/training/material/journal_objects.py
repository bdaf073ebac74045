"""Objects of an image that the journal knows, as labels of its planes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.errors import InputError
from napari_sam.files import home
from napari_sam.io.stacks import open_stack
from napari_sam.journal.catalog import find_targets, read_entries, read_layer
from napari_sam.journal.composing import compose
from napari_sam.journal.database import SUFFIX
from napari_sam.journal.pixels import pixels_digest
from napari_sam.journal.restoring import empty_labels
from napari_sam.planes.source import PlaneIndex
from napari_sam.training.material.labelled_stack import LabelledPlane, LabelledStack, chosen_window, plane_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.io.stack import ImageStack
    from napari_sam.journal.objects import JournalEntry
    from napari_sam.progress import Progress
    from napari_sam.training.material.labelled_stack import Limits
    from napari_sam.training.material.sources import JournalObjects

    # The axes of a plane, and its index along the others.
    Place = tuple[tuple[int, int], tuple[int | None, ...]]


@contextmanager
def open_journal_objects(source: JournalObjects, progress: Progress) -> Iterator[LabelledStack]:
    """Open an image with the objects that were accepted on it, along the axes that they were drawn along.

    A plane is shown with the contrast limits and the gamma that its last object was accepted with. Where several images
    were blended on the screen, this image alone is shown.

    Yields
    ------
    LabelledStack
        To be read while it is open.

    Raises
    ------
    InputError
        If the image cannot be read, or the journal knows no objects of it.
    """
    database = source.database or home() / "journal" / f"journal{SUFFIX}"
    with open_stack(source.image) as image:
        digest = pixels_digest(image.data, len(image.axes), progress)
        entries = _entries(source, database, image, digest)
        composer = _Composer(entries, database)
        default = chosen_window(image.data, len(image.axes), {})
        planes = []
        for place in _places_with_objects(entries):
            axes, index = place
            shape = image.shape[axes[0]], image.shape[axes[1]]
            view = PlaneIndex(axes, index, shape, image.plane_spacing(*axes))
            limits, gamma = _look(entries, place)
            planes.append(
                LabelledPlane(
                    plane_name(source.image.name, index, image.axes),
                    image.data,
                    view,
                    composer.reader(place, shape),
                    default if limits is None or image.rgb else _constant(limits),
                    gamma,
                )
            )
        yield LabelledStack(source.image.name, digest, planes)


def _entries(source: JournalObjects, database: Path, image: ImageStack, digest: str) -> list[JournalEntry]:
    """Read what was written into the labels layer that is meant."""
    unknown = InputError(
        f"The journal knows no accepted objects of {source.image}. Accept some in the window, or give a file of labels."
    )
    if not database.is_file():
        raise unknown
    shape = [int(side) for side in image.data.shape]
    targets = find_targets(database, digest, str(source.image.absolute()), shape)
    if source.session is not None:
        written = {entry.target.layer_id for entry in read_entries(database, source.session)[0]}
        targets = [target for target in targets if target.layer_id in written]
    if source.layer is not None:
        named = [target for target in targets if source.layer in (target.layer_id, target.layer)]
        if not named:
            there = ", ".join(dict.fromkeys(f'"{target.layer}"' for target in targets)) or "none"
            raise InputError(
                f"The journal knows no labels layer {source.layer!r} of {source.image}; those that it knows: {there}. "
                "Choose one of these."
            )
        targets = named
    for target in targets:
        entries, _damaged = read_layer(database, target.layer_id, source.session)
        # Of images that changed their shape, the last one counts.
        entries = [entry for entry in entries if entry.target.shape == image.shape]
        # A layer in which all was undone hides none that was worked on before.
        if _places_with_objects(entries):
            return entries
    raise unknown


def _places_with_objects(entries: Sequence[JournalEntry]) -> list[Place]:
    """Find the planes on which an object was drawn, and not taken off again, in their order."""
    last = {(entry.axes, entry.index, entry.label): entry.erased for entry in entries}
    found = dict.fromkeys((axes, index) for (axes, index, _label), erased in last.items() if not erased)
    # Those of one direction together, and in it one after the other.
    return sorted(found, key=lambda place: (place[0], [-1 if at is None else at for at in place[1]]))


def _look(entries: Sequence[JournalEntry], place: Place) -> tuple[Limits | None, float]:
    """Return the window and the gamma that a plane was seen with, or else any other plane of the image."""
    here = [entry for entry in entries if (entry.axes, entry.index) == place]
    for entry in (*reversed(here), *reversed(entries)):
        if limits := entry.asked.get("contrast_limits"):
            low, high = (float(limit) for limit in limits)
            return (low, high), float(entry.asked.get("gamma", 1.0))
    return None, 1.0


def _constant(limits: Limits) -> Callable[[], Limits]:
    return lambda: limits


class _Composer:
    """Lays objects over each other, as they were written into their layer.

    Parameters
    ----------
    entries : sequence of JournalEntry
        Of one layer, oldest first.
    database : Path
        Named in errors.
    """

    def __init__(self, entries: Sequence[JournalEntry], database: Path) -> None:
        self._entries = entries
        self._database = database
        self._volume: NDArray[np.uint32] | None = None
        # Planes side by side do not know of each other. Where objects lie across them, all have to be written.
        self._apart = len({entry.axes for entry in entries}) == 1 and all(entry.exact for entry in entries)

    def reader(self, place: Place, shape: tuple[int, int]) -> Callable[[], NDArray[Any]]:
        """Return what reads the labels of a plane, (H, W)."""

        def read() -> NDArray[Any]:
            here = [entry for entry in self._entries if (entry.axes, entry.index) == place]
            if self._apart:
                return _paint(here, shape)
            plane = self._all()[tuple(slice(None) if at is None else at for at in place[1])]
            # Of what was drawn across, a plane has slices, which nobody drew on it.
            drawn = {entry.label for entry in here} | {label for entry in here for label, _ in entry.changes or ()}
            return np.where(np.isin(plane, sorted(drawn)), plane, 0)

        return read

    def _all(self) -> NDArray[np.uint32]:
        if self._volume is None:
            # Pages of zeros take no memory until they are written to.
            volume = empty_labels(self._entries, self._database)
            for canvas in compose(self._entries).planes(volume.__getitem__):
                for region, pixels in canvas.regions():
                    volume[region] = pixels
            self._volume = volume
        return self._volume


def _paint(entries: Sequence[JournalEntry], shape: tuple[int, int]) -> NDArray[np.uint32]:
    """Lay the objects of one plane over each other."""
    labels = np.zeros(shape, dtype=np.uint32)
    rows, columns = entries[0].axes

    def flat(region: tuple[int | slice, ...]) -> tuple[int | slice, int | slice]:
        return region[rows], region[columns]

    for canvas in compose(entries).planes(lambda region: labels[flat(region)]):
        for region, pixels in canvas.regions():
            labels[flat(region)] = pixels
    return labels
