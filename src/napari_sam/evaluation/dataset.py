"""What is evaluated on: images with their objects, out of a folder or a zip archive."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

import numpy as np
from scipy import ndimage

from napari_sam.errors import InputError
from napari_sam.evaluation.archive import open_files
from napari_sam.io.labels import LABEL_SUFFIXES, read_labels
from napari_sam.io.planes import read_plane
from napari_sam.planes.plane import Plane
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_sam.evaluation.archive import Files
    from napari_sam.progress import Progress

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")

_PERCENTILES = (0.1, 99.9)
_MOST_KINDS = 12
_COLOURED = 4.0  # mean difference between channels, grey levels
_DARK_GROUND = 110.0  # mean grey level


T = TypeVar("T", bound="Named")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """An image with its objects.

    Attributes
    ----------
    name : str
        The file's name, without its ending.
    kind : str
        The type of image, such as ``"fluorescence 256x256"``; one row of a table of results.
    image : numpy.ndarray, shape (H, W), (H, W, 3) or (H, W, 4)
        Grey or RGB(A), any real dtype. Training takes (H, W, 3) uint8 only.
    labels : numpy.ndarray, shape (H, W), integer
        0 for background.
    """

    name: str
    kind: str
    image: NDArray[Any]
    labels: NDArray[np.integer[Any]]

    @property
    def plane(self) -> Plane:
        """The image with the window that a person would set.

        8-bit and RGB images are taken as they are. Others are shown from the 0.1th to the 99.9th percentile, because
        one hot pixel in a 16-bit image leaves everything else black.
        """
        return Plane(self.image, shown_window(self.image))


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """A labelled image that was looked at, but is not held in memory.

    Attributes
    ----------
    name, kind : str
        See `LabelledImage`.
    image, labels : str
        Its files.
    """

    name: str
    kind: str
    image: str
    labels: str


@dataclass(frozen=True, slots=True)
class Dataset(Sequence[LabelledImage]):
    """Labelled images, each read when it is asked for.

    Attributes
    ----------
    files : Files
        Where they are.
    entries : tuple of DatasetEntry
    notes : tuple of str
        What a person should know about the set.
    """

    files: Files
    entries: tuple[DatasetEntry, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> LabelledImage: ...

    @overload
    def __getitem__(self, index: slice) -> Dataset: ...

    def __getitem__(self, index: int | slice) -> LabelledImage | Dataset:
        if isinstance(index, slice):
            return self.only(self.entries[index])
        entry = self.entries[index]
        return LabelledImage(entry.name, entry.kind, *_read(self.files, entry.image, entry.labels))

    def only(self, entries: Iterable[DatasetEntry]) -> Dataset:
        """Return some of the images, in this order."""
        return replace(self, entries=tuple(entries))

    def sample(self, count: int) -> Dataset:
        """Choose `count` images; see `spread`."""
        return self.only(spread(self.entries, count))


class Named(Protocol):
    """What images are chosen by: a `LabelledImage`, or a `DatasetEntry`."""

    @property
    def name(self) -> str:
        """The file's name, without its ending."""

    @property
    def kind(self) -> str:
        """The type of image."""


def spread(images: Iterable[T], count: int) -> list[T]:
    """Choose `count` images, as evenly over their types as can be, and always the same ones.

    Of each type those come first whose names have the smallest SHA-256.

    Returns
    -------
    list
        Sorted by type.
    """
    kinds: dict[str, list[T]] = defaultdict(list)
    # By a digest: as good as drawn at random, and the same on every machine.
    for image in sorted(images, key=lambda image: hashlib.sha256(image.name.encode()).hexdigest()):
        kinds[image.kind].append(image)
    # One of each type in turn, as long as a type has some.
    turns = zip_longest(*(kinds[kind] for kind in sorted(kinds)))
    chosen = [image for image in chain.from_iterable(turns) if image is not None][:count]
    return sorted(chosen, key=lambda image: image.kind)


def read_dataset(path: Path, progress: Progress = no_progress) -> Dataset:
    """Look through a set of labelled images.

    Every image is read once, so that a file that cannot be used is refused at once and not after an hour of work.

    Parameters
    ----------
    path : Path
        A folder or a zip archive. ``images/`` holds PNG, TIFF or JPEG; ``labels/`` PNG or TIFF of whole numbers, 0 for
        background, with the same names. A sub-folder of ``images/`` (and of ``labels/``) is a type of image; without
        one, the type is told by `image_kind`.
    progress : Progress
        Called after every image.

    Returns
    -------
    Dataset
        Sorted by name.

    Raises
    ------
    InputError
        If there is no image with labels, or a file cannot be used.
    """
    files = open_files(path)
    images, labels = _stems(files, "images", IMAGE_SUFFIXES), _stems(files, "labels", LABEL_SUFFIXES)
    paired = sorted(images.keys() & labels.keys())
    if not paired:
        raise InputError(
            f"{path} has no image and labels of one name ({len(images)} in images/, {len(labels)} in labels/). "
            "Call the labels of images/a.tif labels/a.tif or labels/a.png."
        )
    entries, heaps = [], 0
    for done, stem in enumerate(paired, 1):
        image, objects = _read(files, images[stem], labels[stem])
        folder = stem.partition("/")[0] if "/" in stem else ""
        # "all" is the row that sums the others up.
        kind = {"": image_kind(Plane(image, shown_window(image)).rendered), "all": "folder all"}.get(folder, folder)
        entries.append(DatasetEntry(stem, kind, images[stem], labels[stem]))
        heaps += _is_heap(objects)
        progress(done / len(paired))
    notes = [
        _note("Images without labels, left out", images.keys() - labels.keys()),
        _note("Labels without an image, left out", labels.keys() - images.keys()),
        _note("Files that are not PNG, TIFF or JPEG, left out", _others(files)),
    ]
    if heaps == len(paired):
        notes.append(
            "Every label image has one label, in several pieces: it counts as one object. If each piece is an object, "
            "number them first, for example with skimage.measure.label."
        )
    return Dataset(files, tuple(_fewer_kinds(entries)), tuple(note for note in notes if note))


def image_kind(image: NDArray[np.uint8]) -> str:
    """Name the type of an (H, W, 3) uint8 image: how it was stained or lit, by simple statistics, and its size."""
    # Differences of uint8 would wrap around.
    channels = image.astype(np.int16)
    coloured = float(np.mean(channels.max(2) - channels.min(2))) > _COLOURED
    lit = "fluorescence" if channels.mean() < _DARK_GROUND else "brightfield"
    return f"{'stained' if coloured else lit} {image.shape[0]}x{image.shape[1]}"


def shown_window(image: NDArray[Any]) -> tuple[float, float] | None:
    """Return the grey values that a person would set black and white; None where the whole range is shown."""
    if image.ndim != 2 or image.dtype.kind not in "uif" or image.dtype == np.uint8:
        return None
    values = image[np.isfinite(image)]
    low, high = np.percentile(values.astype(np.float64), _PERCENTILES) if values.size else (0.0, 0.0)
    return (float(low), float(high)) if low < high else None


def _fewer_kinds(entries: list[DatasetEntry]) -> list[DatasetEntry]:
    """Leave sizes out of the types that were told by statistics if nearly every image is of a size of its own."""
    told = {entry.kind for entry in entries if "/" not in entry.name}
    if len(told) <= _MOST_KINDS:
        return entries
    return [e if "/" in e.name else replace(e, kind=e.kind.partition(" ")[0]) for e in entries]


def _stems(files: Files, part: str, suffixes: tuple[str, ...]) -> dict[str, str]:
    """Files of ``images/`` or ``labels/``, by their names without ending."""
    found: dict[str, str] = {}
    for name in files.names:
        file = PurePosixPath(name)
        if file.parts[0] != part or file.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if file.suffix.lower() not in suffixes:
            raise InputError(f"{files.where(name)} cannot hold labels: JPEG changes numbers. Save them as PNG or TIFF.")
        stem = str(file.relative_to(part).with_suffix(""))
        # An OME-TIFF goes with labels of the plain name.
        stem = stem[:-4] if stem.lower().endswith(".ome") else stem
        if stem in found:
            raise InputError(f"{files.where(found[stem])} and {files.where(name)} share one name. Rename one of them.")
        found[stem] = name
    return found


def _others(files: Files) -> set[str]:
    return {name for name in files.names if PurePosixPath(name).suffix.lower() not in IMAGE_SUFFIXES}


def _note(words: str, names: set[str]) -> str:
    if not names:
        return ""
    shown = sorted(names)
    return f"{words} ({len(shown)}): {', '.join(shown[:5])}{' and others' if len(shown) > 5 else ''}."


def _read(files: Files, image: str, labels: str) -> tuple[NDArray[Any], NDArray[np.integer[Any]]]:
    """Read an image and its labels, and see whether they fit."""
    pixels = files.read(image, read_plane)
    try:
        shape = Plane(pixels).shape
    except InputError as error:
        raise InputError(f"{files.where(image)}: {error}") from error
    objects = files.read(labels, read_labels)
    if objects.shape != shape:
        raise InputError(
            f"{files.where(labels)} is {objects.shape[0]} x {objects.shape[1]} px, its image {shape[0]} x {shape[1]} "
            "px. Give labels of the same size, or take the two files out."
        )
    return pixels, objects


def _is_heap(labels: NDArray[np.integer[Any]]) -> bool:
    """Whether a label image has one label, in more than one piece."""
    # Pixels that meet at a corner are one piece.
    return len(np.unique(labels[labels != 0])) == 1 and ndimage.label(labels, np.ones((3, 3)))[1] > 1
