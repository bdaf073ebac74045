"""SA-1B's JSON: one file for each image, with a record of the image and its masks (Kirillov et al. 2023, appendix E).

A category and a label, which SA-1B has not, are written beside its own keys where an object has them.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_sam.datasets.documents import (
    Intake,
    image_shape,
    items,
    numbers,
    read_json,
    record,
    share,
    text,
    whole,
    write_json,
)
from napari_sam.datasets.formats.boxes import box_record, tell_differences
from napari_sam.datasets.records import LARGEST_NUMBER, AnnotatedImage, MaskObject
from napari_sam.datasets.rle import boxed, compressed
from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NUMBERED = re.compile(r"sa_(\d{1,15})\b")


def is_sa1b(document: Any) -> bool:
    """Tell SA-1B's JSON from another."""
    return (
        isinstance(document, dict)
        and isinstance(document.get("image"), dict)
        and isinstance(document.get("annotations"), list)
    )


def write_sa1b(path: Path, images: Sequence[AnnotatedImage]) -> None:
    """Write one image's masks.

    Parameters
    ----------
    path : Path
    images : sequence of one AnnotatedImage
        What has no score or stability is written with 1, because readers of SA-1B sort and filter by them.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    (image,) = images
    height, width = image.shape
    about = {"image_id": _image_id(image.name), "width": width, "height": height, "file_name": image.name}
    annotations = [_annotation(number, one) for number, one in enumerate(image.objects, 1)]
    write_json(path, {"image": about, "annotations": annotations})


def read_sa1b(path: Path, faults: list[str] | None = None) -> list[AnnotatedImage]:
    """Read one image's masks.

    Parameters
    ----------
    path : Path
    faults : list of str, optional
        See `napari_sam.datasets.documents.Intake`.

    Raises
    ------
    InputError
        If it is not SA-1B's JSON, or damaged.
    """
    intake = Intake(path, faults)
    with intake.whole():
        document = read_json(path)
        if not is_sa1b(document):
            raise InputError(f"{path} is not SA-1B's JSON: it has no image record with annotations.")
        images: list[AnnotatedImage] = []
        with intake.part("image"):
            about = document["image"]
            images.append(AnnotatedImage(text(about.get("file_name", path.stem), "file_name"), image_shape(about), ()))
        read = [replace(one, objects=_objects(document["annotations"], one.shape, intake)) for one in images]
        return [replace(one, notes=intake.notes) for one in read]
    return []


def _objects(annotations: list[Any], shape: tuple[int, int], intake: Intake) -> tuple[MaskObject, ...]:
    objects = []
    for place, annotation in enumerate(annotations, 1):
        with intake.part(f"annotation {place}"):
            objects.append(_object(record(annotation, "annotation"), shape, intake, place))
    return tuple(objects)


def _image_id(name: str) -> int:
    """Give an image its number: by its name in SA-1B, else by a check sum of the name, the same on every machine."""
    match = _NUMBERED.match(name)
    return int(match[1]) if match else zlib.crc32(name.encode("utf-8"))


def _annotation(place: int, one: MaskObject) -> dict[str, Any]:
    height, width = one.mask.plane
    (top, left), (bottom, right) = one.crop or ((0, 0), (height, width))
    annotation = {
        "id": place,
        "segmentation": compressed(one.mask),
        "bbox": box_record(one.mask),
        "area": one.mask.area,
        "predicted_iou": 1.0 if one.score is None else float(one.score),
        "stability_score": 1.0 if one.stability is None else float(one.stability),
        "point_coords": [] if one.point is None else [[float(one.point[1]), float(one.point[0])]],
        "crop_box": [float(side) for side in (left, top, right - left, bottom - top)],
    }
    known = {"category": one.category, "label": one.number}
    return annotation | {key: value for key, value in known.items() if value is not None}


def _object(annotation: dict[str, Any], shape: tuple[int, int], intake: Intake, place: int) -> MaskObject:
    mask = boxed(annotation.get("segmentation"), shape, intake)
    tell_differences(annotation, mask, intake, place)
    points = items(annotation.get("point_coords") or [], "point_coords")
    point = None
    if points:
        # Of several points, which other programs may write, the first is kept.
        x, y = numbers(points[0], "point_coords", 2)
        point = (y, x)
    crop = None
    if annotation.get("crop_box") is not None:
        x, y, width, height = numbers(annotation["crop_box"], "crop_box", 4)
        crop = ((y, x), (y + height, x + width))
    category, label = annotation.get("category"), annotation.get("label")
    return MaskObject(
        mask,
        None if label is None else whole(label, "label", 1, LARGEST_NUMBER),
        None if category is None else text(category, "category"),
        share(annotation.get("predicted_iou"), "predicted_iou"),
        share(annotation.get("stability_score"), "stability_score"),
        point,
        None if crop == ((0, 0), shape) else crop,
    )
