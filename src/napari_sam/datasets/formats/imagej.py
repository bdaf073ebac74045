"""ImageJ's ROIs in a zip archive, as its ROI Manager opens and saves them; one ROI for each object.

An object in one part without holes is a traced ROI, any other a composite one. Category, score and label stand in the
properties of the ROI, the size of the image in the comment of the archive; of other archives, the image beside the
file, or what the ROIs cover, gives the size.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from napari_sam.datasets.documents import Intake, finite
from napari_sam.datasets.image_files import size_beside
from napari_sam.datasets.outlines import extent, fill, polygons_of, require_ring
from napari_sam.datasets.records import LARGEST_NUMBER, AnnotatedImage, MaskObject, numbers_of
from napari_sam.datasets.stack_record import StackRecord
from napari_sam.errors import InputError
from napari_sam.files import printable
from napari_sam.io.formats.archives import open_archive, read_member
from napari_sam.io.reading import reading, require_file
from napari_sam.io.writing import replacing_result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from roifile import ImagejRoi

    from napari_sam.polygons import Ring

# Corners have 16 bits, of which ImageJ takes the last 5000 numbers for negative ones.
_LARGEST_SIDE = (1 << 16) - 5000
_MOST_GROUPS = 255
_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0  # of java.awt.geom.PathIterator
# Bytes of Python's numbers for a byte of a composite ROI, which roifile takes apart as lists.
_UNPACKED = 32
_OVAL_CORNERS = 4096


def is_roi_archive(path: Path) -> bool:
    """Tell an archive of ROIs from another, without unpacking it."""
    with suppress(Exception), open_archive(path) as archive:
        return any(name.lower().endswith(".roi") for name in archive.namelist()) or _about(archive) is not None
    return False


def write_rois(path: Path, images: Sequence[AnnotatedImage]) -> None:
    """Write the masks of an image, or of the planes of a stack.

    Raises
    ------
    InputError
        If it cannot be written, the images are no planes of one stack, or larger than ImageJ's coordinates.
    """
    about = StackRecord.of(images)
    if max(about.shape) > _LARGEST_SIDE:
        raise InputError(f"ImageJ's ROIs lie on images of up to {_LARGEST_SIDE} px a side. Choose another format.")
    groups: dict[str, int] = {}
    with replacing_result(path) as temporary, ZipFile(temporary, "x", ZIP_DEFLATED) as archive:
        archive.comment = json.dumps(about.to_json()).encode("ascii")
        for image in images:
            for number, one in zip(numbers_of(image), image.objects, strict=True):
                title = f"{image.plane + 1:04d}-{number:04d}"
                roi = _roi(one, title, image.plane + 1 if about.planes > 1 else 0, groups)
                archive.writestr(f"{title}.roi", roi.tobytes())


def _roi(one: MaskObject, title: str, position: int, groups: dict[str, int]) -> ImagejRoi:
    from roifile import ROI_TYPE, ImagejRoi

    polygons = polygons_of(one.mask)
    low = np.min([rings[0].min(axis=0) for rings in polygons], axis=0)
    high = np.max([rings[0].max(axis=0) for rings in polygons], axis=0)
    roi = ImagejRoi(name=title, props=_properties(one), position=position)
    roi.left, roi.top, roi.right, roi.bottom = (int(side) for side in (*low, *high))
    if one.category is not None:
        roi.group = min(groups.setdefault(one.category, len(groups) + 1), _MOST_GROUPS)
    if len(polygons) == 1 and len(polygons[0]) == 1:
        # ImageJ closes outlines itself.
        corners = (polygons[0][0][:-1] - low).astype(np.int32)
        roi.roitype, roi.n_coordinates, roi.integer_coordinates = ROI_TYPE.TRACED, len(corners), corners
    else:
        path = np.concatenate([_path(ring) for rings in polygons for ring in rings])
        roi.roitype, roi.shape_roi_size, roi.multi_coordinates = ROI_TYPE.RECT, len(path), path
    return roi


def _path(ring: Any) -> Any:
    """Write an outline as ImageJ keeps composite ones: a command and where it leads, in turns."""
    steps = np.full((len(ring) - 1, 3), _LINE, dtype=np.float32)
    steps[0, 0] = _MOVE
    steps[:, 1:] = ring[:-1]
    return np.append(steps.ravel(), np.float32(_CLOSE))


def _properties(one: MaskObject) -> str:
    known = {"category": one.category, "label": one.number, "score": one.score, "stability": one.stability}
    lines = [f"{key}: {printable(str(value), 1000)}\n" for key, value in known.items() if value is not None]
    # roifile counts letters, the file units of UTF-16.
    return "".join(letter if ord(letter) < 1 << 16 else "?" for letter in "".join(lines))


def read_rois(path: Path, faults: list[str] | None = None) -> list[AnnotatedImage]:
    """Read the masks of an image, or of the planes of a stack; ROIs that are no areas are left out.

    Parameters
    ----------
    path : Path
    faults : list of str, optional
        See `napari_sam.datasets.documents.Intake`.

    Raises
    ------
    InputError
        If it is no archive of ROIs, or damaged.
    """
    intake = Intake(path, faults)
    with intake.whole():
        require_file(path)
        with reading(path), open_archive(path) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(".roi")]
            about = _about(archive)
            if not names and about is None:
                raise InputError(f"{path} holds no ROIs of ImageJ.")
            return _images(archive, names, about, intake)
    return []


def _about(archive: ZipFile) -> dict[str, Any] | None:
    """Return what the comment of the archive says of the image."""
    with suppress(ValueError, RecursionError):
        about = json.loads(archive.comment)
        if isinstance(about, dict) and {"name", "width", "height"} <= about.keys():
            return about
    return None


def _images(archive: ZipFile, names: list[str], about: dict[str, Any] | None, intake: Intake) -> list[AnnotatedImage]:
    found: list[tuple[str, list[Ring], ImagejRoi]] = []
    for name in names:
        what = printable(name)
        with intake.part(what):
            roi = _read(archive, name, intake)
            if (rings := _rings(roi)) is None:
                intake.leave_out("ROIs that are points, lines or texts")
            else:
                found.append((what, rings, roi))
    stack = None
    if about is not None:
        with intake.part("comment"):
            stack = StackRecord.read(about)
    if stack is None:
        shape = size_beside(intake.path) or extent([rings for _, rings, _ in found])
        stack = StackRecord(intake.path.stem, shape)
    planes: dict[int, list[MaskObject]] = defaultdict(list)
    for what, rings, roi in found:
        with intake.part(what):
            plane = max(roi.position or roi.z_position or roi.t_position, 1) - 1
            planes[plane].append(_object(rings, stack.shape, roi, intake))
    return stack.images(planes, intake.notes)


def _read(archive: ZipFile, name: str, intake: Intake) -> ImagejRoi:
    from roifile import ImagejRoi

    intake.allow(archive.getinfo(name).file_size * _UNPACKED)
    return ImagejRoi.frombytes(read_member(archive, name, "it"))


def _rings(roi: ImagejRoi) -> list[Ring] | None:
    """Return the outlines of a ROI; None where it has no area."""
    from roifile import ROI_SUBTYPE, ROI_TYPE

    if roi.subtype in (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.IMAGE, ROI_SUBTYPE.ARROW):
        return None
    if roi.roitype not in (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED, ROI_TYPE.RECT, ROI_TYPE.OVAL):
        return None
    if roi.roitype in (ROI_TYPE.RECT, ROI_TYPE.OVAL) and not roi.composite:
        box = np.array([(roi.left, roi.top), (roi.right, roi.bottom)], dtype=np.float64)
        if roi.subpixelrect:
            box = np.array([(roi.xd, roi.yd), (roi.xd + roi.widthd, roi.yd + roi.heightd)])
        # Shares of the box, (x, y).
        corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
        if roi.roitype == ROI_TYPE.OVAL:
            angles = np.linspace(0, 2 * np.pi, _OVAL_CORNERS, endpoint=False)
            corners = (1 + np.stack([np.cos(angles), np.sin(angles)], axis=1)) / 2
        return [require_ring(box[0] + corners * (box[1] - box[0]))]
    return [require_ring(ring) for ring in roi.coordinates(multi=True)]


def _object(rings: list[Ring], shape: tuple[int, int], roi: ImagejRoi, intake: Intake) -> MaskObject:
    mask = fill([rings], shape, intake)
    known = roi.properties
    category = known.get("category", f"group {roi.group}" if roi.group else None)
    label = known.get("label")
    labelled = isinstance(label, int) and 0 < label <= LARGEST_NUMBER
    score, stability = (None if known.get(key) is None else finite(known[key], key) for key in ("score", "stability"))
    # What looks like a number in properties comes back as one.
    name = None if category is None else printable(str(category), 1000)
    return MaskObject(mask, label if labelled else None, name, score, stability)
