"""YOLO's polygons: one text file for each image, a line for each object: its class, then x and y of every corner.

Corners are shares of the width and height of the image, which has to be there to read them; names of classes stand in
``classes.txt`` in the same folder, a line each. A line holds one outline, so that parts and holes are joined to it by
lines of no width, there and back: whoever fills by the even-odd rule gets the same pixels, but programs that thin
outlines out, or fill them otherwise, lose holes and may join parts. Scores and labels are not written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from napari_sam.datasets.documents import Intake, write_text
from napari_sam.datasets.image_files import IMAGE_SUFFIXES, image_beside, image_size
from napari_sam.datasets.outlines import fill, polygons_of, require_ring
from napari_sam.datasets.records import AnnotatedImage, MaskObject
from napari_sam.errors import InputError
from napari_sam.files import open_plain, printable
from napari_sam.io.memory import require_room
from napari_sam.io.reading import reading, require_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

CLASSES = "classes.txt"
_UNNAMED = "object"
_PARSED = 16  # bytes of Python's texts for a byte of the file
_LONGEST_NAME = 1000


def write_yolo(path: Path, images: Sequence[AnnotatedImage]) -> None:
    """Write one image's masks; classes that the folder has not yet get the next numbers.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    (image,) = images
    known = class_names(path.parent)
    classes = {name: number for number, name in enumerate(known)}
    lines = []
    for one in image.objects:
        name = printable(one.category or _UNNAMED, _LONGEST_NAME)
        number = classes.setdefault(name, len(classes))
        corners = _joined([ring for rings in polygons_of(one.mask) for ring in rings]) / image.shape[::-1]
        # So many digits find their pixel on the largest image.
        lines.append(f"{number} {' '.join(f'{one:.9g}' for one in corners.ravel())}\n")
    write_text(path, "".join(lines))
    if len(classes) > len(known):
        write_text(path.parent / CLASSES, "".join(f"{name}\n" for name in classes))


def class_names(folder: Path) -> list[str]:
    """Return the names of the classes of a folder, in the order of their numbers; none where they are not told.

    Raises
    ------
    InputError
        If they cannot be read.
    """
    path = folder / CLASSES
    return [printable(line, _LONGEST_NAME) for line in _lines(path)] if path.exists() else []


def _lines(path: Path) -> list[str]:
    require_file(path)
    with reading(path), open_plain(path) as file:
        require_room(path, path.stat().st_size * _PARSED)
        return file.read().decode("utf-8").splitlines()


def _joined(rings: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Join outlines to the first one, each where it is nearest; (n, 2), not closed."""
    first = rings[0][:-1]
    nearest = cKDTree(first)
    detours: dict[int, list[NDArray[np.int64]]] = {}
    for ring in rings[1:]:
        corners = ring[:-1]
        distances, places = nearest.query(corners)
        start = int(np.argmin(distances))
        at = int(places[start])
        # Round the outline, back to where it began, and back again to where the first one was left.
        around = [corners[start:], corners[: start + 1], first[at : at + 1]]
        detours.setdefault(at, []).extend(around)
    pieces, done = [], 0
    for at in sorted(detours):
        pieces += [first[done : at + 1], *detours[at]]
        done = at + 1
    return np.concatenate([*pieces, first[done:]])


def read_yolo(path: Path, faults: list[str] | None = None) -> list[AnnotatedImage]:
    """Read one image's masks.

    Parameters
    ----------
    path : Path
        Its image stands beside it, or in ``images`` beside its folder.
    faults : list of str, optional
        See `napari_sam.datasets.documents.Intake`.

    Raises
    ------
    InputError
        If it is not YOLO's, or damaged, or has no image.
    """
    intake = Intake(path, faults)
    with intake.whole():
        lines, names = _lines(path), class_names(path.parent)
        image = image_beside(path)
        if image is None:
            raise InputError(
                f"The image of {path} is missing, whose size is needed. Put it beside it, or in the folder images "
                f"beside {path.parent.name}, called {path.stem}{IMAGE_SUFFIXES[0]} or another kind of image."
            )
        shape = image_size(image)
        objects: list[MaskObject] = []
        for place, line in enumerate(lines, 1):
            with intake.part(f"line {place}"):
                if line.strip():
                    objects.append(_object(line, shape, names, intake))
        return [AnnotatedImage(image.name, shape, tuple(objects), 0, intake.notes)]
    return []


def _object(line: str, shape: tuple[int, int], names: list[str], intake: Intake) -> MaskObject:
    first, *rest = line.split()
    if not (first.isdecimal() and len(first) < 10):
        raise InputError(f"{printable(first)!r} is not the number of a class.")
    if len(rest) == 4:
        raise InputError("it is a box, not a polygon. Export the set as one for segmentation.")
    try:
        flat: Any = np.array(rest, dtype=np.float64)
    except ValueError:
        raise InputError("its coordinates are not numbers.") from None
    if len(flat) % 2:
        raise InputError("its last corner has no y.")
    if not (np.abs(flat) <= 2).all():  # NaN compares as false
        raise InputError("its coordinates are not shares of the image, 0 to 1.")
    mask = fill([[require_ring(flat.reshape(-1, 2) * shape[::-1])]], shape, intake)
    number = int(first)
    return MaskObject(mask, category=names[number] if number < len(names) else f"class {number}")
