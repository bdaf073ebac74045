"""COCO's instances: masks of several images in one JSON file, with categories (https://cocodataset.org/#format-data).

Masks are written as RLE, which keeps every pixel, holes and parts too; polygons are read as pycocotools fills them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.datasets.documents import (
    Intake,
    finite,
    image_shape,
    items,
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
    from collections.abc import Iterable
    from pathlib import Path

UNNAMED = "object"
"""The category of objects that have none, because every annotation of COCO's has one."""
# pycocotools walks along polygons in steps of a fifth of a pixel, and keeps some integers of each.
_WALK = 5 * 32


def is_coco(document: Any) -> bool:
    """Tell COCO's instances from other JSON."""
    return isinstance(document, dict) and all(isinstance(document.get(key), list) for key in ("images", "annotations"))


def write_coco(path: Path, images: Iterable[AnnotatedImage]) -> None:
    """Write the masks of all images; they are encoded as they come, and not kept.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    records: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    for image_id, image in enumerate(images, 1):
        about = {"id": image_id, "file_name": image.name, "width": image.shape[1], "height": image.shape[0]}
        records.append(about | ({"frame_id": image.plane} if image.plane else {}))
        for one in image.objects:
            category = categories.setdefault(one.category or UNNAMED, len(categories) + 1)
            about_it = {"id": len(annotations) + 1, "image_id": image_id, "category_id": category}
            annotations.append(about_it | _shape_of(one) | _extras(one))
    named = [{"id": number, "name": name} for name, number in categories.items()]
    write_json(path, {"images": records, "annotations": annotations, "categories": named})


def _shape_of(one: MaskObject) -> dict[str, Any]:
    return {
        "segmentation": compressed(one.mask),
        "bbox": box_record(one.mask),
        "area": one.mask.area,
        "iscrowd": 0,
    }


def _extras(one: MaskObject) -> dict[str, Any]:
    """Give what is known beyond COCO's own keys; the label goes by the name that sets of videos use."""
    known = {"score": one.score, "stability_score": one.stability, "track_id": one.number}
    return {key: value for key, value in known.items() if value is not None}


def read_coco(path: Path, faults: list[str] | None = None) -> list[AnnotatedImage]:
    """Read the masks of all images.

    Parameters
    ----------
    path : Path
    faults : list of str, optional
        See `napari_sam.datasets.documents.Intake`.

    Raises
    ------
    InputError
        If it is not COCO's JSON, or damaged.
    """
    intake = Intake(path, faults)
    with intake.whole():
        document = read_json(path)
        if not is_coco(document):
            raise InputError(f"{path} is not COCO's JSON: it has no lists of images and annotations.")
        return _images(document, intake)
    return []


def _images(document: dict[str, Any], intake: Intake) -> list[AnnotatedImage]:
    categories = _categories(document, intake)
    images: dict[int, AnnotatedImage] = {}
    for place, image in enumerate(document["images"], 1):
        with intake.part(f"image {place}"):
            about = record(image, "image")
            image_id = whole(about.get("id"), "id")
            if image_id in images:
                raise InputError(f"id {image_id} is that of another image, too.")
            frame = whole(about.get("frame_id", 0), "frame_id", 0, LARGEST_NUMBER)
            images[image_id] = AnnotatedImage(text(about.get("file_name"), "file_name"), image_shape(about), (), frame)
    objects: dict[int, list[MaskObject]] = defaultdict(list)
    for place, annotation in enumerate(document["annotations"], 1):
        with intake.part(f"annotation {place}"):
            about = record(annotation, "annotation")
            image_id = whole(about.get("image_id"), "image_id")
            if image_id not in images:
                raise InputError(f"its image {image_id} is not in the file.")
            objects[image_id].append(_object(about, images[image_id].shape, categories, intake, place))
    return [replace(image, objects=tuple(objects[image_id]), notes=intake.notes) for image_id, image in images.items()]


def _categories(document: dict[str, Any], intake: Intake) -> dict[int, str]:
    """Read the names of categories by their numbers."""
    categories = {}
    with intake.part("categories"):
        for category in items(document.get("categories") or [], "categories"):
            about = record(category, "category")
            categories[whole(about.get("id"), "id")] = text(about.get("name"), "name")
    return categories


def _object(
    annotation: dict[str, Any], shape: tuple[int, int], categories: dict[int, str], intake: Intake, place: int
) -> MaskObject:
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, list):
        mask = boxed(_filled(segmentation, shape, intake), shape, intake)
    else:
        mask = boxed(segmentation, shape, intake)
        # Not of polygons, whose area is often that of their outlines.
        tell_differences(annotation, mask, intake, place)
    category, label = annotation.get("category_id"), annotation.get("track_id")
    if category is not None and whole(category, "category_id") not in categories:
        raise InputError(f"its category {category} is not in the file.")
    return MaskObject(
        mask,
        None if label is None else whole(label, "track_id", 1, LARGEST_NUMBER),
        None if category is None else categories[int(category)],
        share(annotation.get("score"), "score"),
        share(annotation.get("stability_score"), "stability_score"),
    )


def _filled(polygons: list[Any], shape: tuple[int, int], intake: Intake) -> dict[str, Any]:
    """Fill polygons, flat lists of x and y, as pycocotools does, and return their runs."""
    from pycocotools import mask as coco

    height, width = shape
    outlines = []
    for polygon in polygons:
        flat = [finite(one, "segmentation") for one in items(polygon, "segmentation")]
        if len(flat) < 6 or len(flat) % 2:
            raise InputError("a polygon of its segmentation has not three corners or more.")
        corners = np.reshape(flat, (-1, 2))
        # What lies far outside makes pycocotools walk there.
        if (np.abs(corners - (width / 2, height / 2)) > 1.5 * np.array([width, height])).any():
            raise InputError("a polygon of its segmentation lies outside the image.")
        intake.allow(int(np.abs(np.diff(corners, axis=0, append=corners[:1])).max(axis=1).sum() + len(corners)) * _WALK)
        outlines.append(flat)
    if not outlines:
        raise InputError("its segmentation has no polygons.")
    runs = coco.merge(coco.frPyObjects(outlines, height, width))
    return {"size": [height, width], "counts": runs["counts"].decode("ascii")}
