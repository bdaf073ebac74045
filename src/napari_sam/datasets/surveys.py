"""What stands in a dataset: files with masks, what is wrong with them, and how many objects there are of each kind."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.datasets.image_files import IMAGE_SUFFIXES, image_beside, image_size
from napari_sam.datasets.table import recognise
from napari_sam.errors import InputError
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam.datasets.records import AnnotatedImage
    from napari_sam.progress import Progress

NO_CATEGORY = ""
"""Stands for objects without a category."""


@dataclass(frozen=True, slots=True)
class FileSurvey:
    """What was found in one file with masks.

    Attributes
    ----------
    path : Path
    kind : str
        Name of its format; empty where it cannot be told.
    images : int
        Images, or planes of a stack.
    areas : mapping of str to list of int
        Pixels of every object, by category; see `NO_CATEGORY`.
    faults, notes : tuple of str
        What is wrong with it; what was left out.
    used : frozenset of Path
        The images that were found.
    """

    path: Path
    kind: str
    images: int = 0
    areas: dict[str, list[int]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    used: frozenset[Path] = frozenset()

    @property
    def objects(self) -> int:
        """How many there are."""
        return sum(map(len, self.areas.values()))


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """Objects of one category.

    Attributes
    ----------
    category : str
        See `NO_CATEGORY`.
    objects : int
    smallest, median, largest : float
        Area, pixels.
    """

    category: str
    objects: int
    smallest: float
    median: float
    largest: float


def survey(path: Path, progress: Progress = no_progress) -> Iterator[FileSurvey]:
    """Read all files with masks of a dataset, one after the other.

    Parameters
    ----------
    path : Path
        A folder, or one file with masks.
    progress : Progress
        Called after every file.

    Yields
    ------
    FileSurvey
        By name.

    Raises
    ------
    InputError
        If there is nothing, or no file with masks.
    """
    files = [path] if path.is_file() else list(_files(path))
    found = False
    for done, file in enumerate(files, 1):
        # A file that a person names is one with masks, whatever is in it.
        if (one := _survey(file)) is not None or path.is_file():
            found = True
            yield one or FileSurvey(file, "", faults=(f"{file} is of no known format of masks.",))
        progress(done / len(files))
    if not found:
        raise InputError(
            f"{path} holds no masks. A dataset is a folder with SA-1B or COCO JSON, or with GeoJSON, ROIs of ImageJ, "
            "YOLO polygons or labels in its folder labels."
        )


def images_in(path: Path) -> set[Path]:
    """Find the images of a dataset; labels are none."""
    if path.is_file():
        return set()
    return {file for file in _files(path) if file.suffix.lower() in IMAGE_SUFFIXES and file.parent.name != "labels"}


def count_categories(surveys: list[FileSurvey]) -> list[CategoryCount]:
    """Count objects and measure their areas by category, the most frequent first."""
    areas: dict[str, list[int]] = {}
    for one in surveys:
        for category, found in one.areas.items():
            areas.setdefault(category, []).extend(found)
    counts = [
        CategoryCount(category, len(found), float(min(found)), float(np.median(found)), float(max(found)))
        for category, found in areas.items()
    ]
    return sorted(counts, key=lambda count: (-count.objects, count.category))


def _files(folder: Path) -> Iterator[Path]:
    """Give the files of a folder and those below, by name, without those that systems hide; links are not followed."""
    if not folder.is_dir():
        raise InputError(f"There is no file or folder {folder}.")
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _survey(path: Path) -> FileSurvey | None:
    """Read a file; None where it has nothing to do with masks."""
    try:
        kind = recognise(path)
    except InputError as error:
        return FileSurvey(path, "", faults=(str(error),))
    if kind is None:
        return None
    faults: list[str] = []
    images = kind.read(path, faults)
    areas: dict[str, list[int]] = {}
    for image in images:
        for one in image.objects:
            areas.setdefault(one.category or NO_CATEGORY, []).append(one.mask.area)
    used = _check_images(path, images, faults)
    notes = dict.fromkeys(f"{path}: {note}" for image in images for note in image.notes)
    return FileSurvey(path, kind.name, len(images), areas, tuple(faults), tuple(notes), frozenset(used))


def _check_images(path: Path, images: list[AnnotatedImage], faults: list[str]) -> set[Path]:
    """Find the images, and tell of those that are missing or of another size."""
    used, missing = set(), []
    for image in images:
        found = image_beside(path, image.name)
        if found is None:
            missing.append(image.name)
            continue
        used.add(found)
        try:
            size = image_size(found)
        except InputError as error:
            faults.append(str(error))
            continue
        if size != image.shape:
            faults.append(
                f"{path}: {found.name} is {size[0]} x {size[1]} px, its masks are for {image.shape[0]} x "
                f"{image.shape[1]} px."
            )
    if missing:
        several = f"{len(missing)} of {len(images)} images are missing, such as {missing[0]}"
        faults.append(f"{path}: {several if len(images) > 1 else f'its image {missing[0]} is missing'}.")
    return used
