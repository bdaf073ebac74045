"""GeoJSON as QuPath reads and writes it: an object is a feature with a polygon, or several, along the edges of pixels.

Planes of a stack are told by ``plane`` in the geometry, as QuPath has it. Name and size of the image stand in the
member ``image`` of the collection, which QuPath passes over; without it, the image beside the file, or what the
polygons cover, gives the size.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.datasets.documents import (
    Intake,
    finite,
    items,
    read_json,
    record,
    text,
    whole,
    write_json,
)
from napari_sam.datasets.image_files import size_beside
from napari_sam.datasets.outlines import extent, fill, polygons_of, require_ring
from napari_sam.datasets.records import LARGEST_NUMBER, AnnotatedImage, MaskObject
from napari_sam.datasets.stack_record import StackRecord
from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sam.polygons import Ring

_SCORE, _STABILITY = "Score", "Stability"
_AREAS = ("Polygon", "MultiPolygon")
# Okabe and Ito 2008: told apart by everybody.
_COLOURS = (
    (0, 158, 115),
    (213, 94, 0),
    (86, 180, 233),
    (230, 159, 0),
    (204, 121, 167),
    (0, 114, 178),
    (240, 228, 66),
)


def is_geojson(document: Any) -> bool:
    """Tell GeoJSON from other JSON."""
    if isinstance(document, list):  # as older versions of QuPath write it
        return bool(document) and is_geojson(document[0])
    return isinstance(document, dict) and document.get("type") in ("FeatureCollection", "Feature")


def write_geojson(path: Path, images: Sequence[AnnotatedImage]) -> None:
    """Write the masks of an image, or of the planes of a stack.

    Parameters
    ----------
    path : Path
    images : sequence of AnnotatedImage
        What a model found is a detection in QuPath, what has no score an annotation.

    Raises
    ------
    InputError
        If it cannot be written, or the images are no planes of one stack.
    """
    about = StackRecord.of(images)
    categories: dict[str, int] = {}
    features = [_feature(one, image.plane, categories) for image in images for one in image.objects]
    write_json(path, {"type": "FeatureCollection", "image": about.to_json(), "features": features})


def _feature(one: MaskObject, plane: int, categories: dict[str, int]) -> dict[str, Any]:
    polygons = [[ring.tolist() for ring in rings] for rings in polygons_of(one.mask)]
    geometry: dict[str, Any] = {"type": "MultiPolygon", "coordinates": polygons}
    if len(polygons) == 1:
        geometry = {"type": "Polygon", "coordinates": polygons[0]}
    if plane:
        geometry["plane"] = {"c": -1, "z": plane, "t": 0}
    properties: dict[str, Any] = {"objectType": "annotation" if one.score is None else "detection"}
    if one.number is not None:
        properties["name"] = str(one.number)
    if one.category is not None:
        colour = _COLOURS[categories.setdefault(one.category, len(categories)) % len(_COLOURS)]
        properties["classification"] = {"name": one.category, "color": list(colour)}
    known = {_SCORE: one.score, _STABILITY: one.stability}
    if measured := {key: float(value) for key, value in known.items() if value is not None}:
        properties["measurements"] = measured
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def read_geojson(path: Path, faults: list[str] | None = None) -> list[AnnotatedImage]:
    """Read the masks of an image, or of the planes of a stack.

    Parameters
    ----------
    path : Path
    faults : list of str, optional
        See `napari_sam.datasets.documents.Intake`.

    Raises
    ------
    InputError
        If it is not GeoJSON, or damaged.
    """
    intake = Intake(path, faults)
    with intake.whole():
        document = read_json(path)
        if not is_geojson(document):
            raise InputError(f"{path} is not GeoJSON: it has no features.")
        return _images(document, intake)
    return []


def _images(document: Any, intake: Intake) -> list[AnnotatedImage]:
    stack, features = None, document
    if isinstance(document, dict):
        features = items(document.get("features", [document]), "features")
        # Another program may mean something else by it.
        if isinstance(document.get("image"), dict):
            with intake.part("image"):
                stack = StackRecord.read(document["image"])
    found: list[tuple[int, int, list[list[Ring]], dict[str, Any]]] = []
    for place, feature in enumerate(features, 1):
        with intake.part(f"feature {place}"):
            about = record(feature, "feature")
            geometry = record(about.get("geometry"), "geometry")
            if geometry.get("type") not in _AREAS:
                intake.leave_out("points or lines")
                continue
            plane = whole(record(geometry.get("plane", {}), "plane").get("z", 0), "z", 0, LARGEST_NUMBER)
            found.append((place, plane, _rings(geometry), record(about.get("properties") or {}, "properties")))
    if stack is None:
        shape = size_beside(intake.path) or extent([rings for *_, polygons, _ in found for rings in polygons])
        stack = StackRecord(intake.path.stem, shape)
    planes: dict[int, list[MaskObject]] = defaultdict(list)
    for place, plane, polygons, properties in found:
        with intake.part(f"feature {place}"):
            planes[plane].append(_object(polygons, stack.shape, properties, intake))
    return stack.images(planes, intake.notes)


def _rings(geometry: dict[str, Any]) -> list[list[Ring]]:
    """Read the outlines of a polygon, or several."""
    coordinates = items(geometry.get("coordinates"), "coordinates")
    polygons = [coordinates] if geometry["type"] == "Polygon" else coordinates
    read = []
    for polygon in polygons:
        rings = [_ring(ring) for ring in items(polygon, "coordinates")]
        if rings:
            read.append(rings)
    return read


def _ring(ring: Any) -> Ring:
    try:
        corners = np.array(items(ring, "coordinates"))
    except ValueError:
        raise InputError("corners of an outline have different numbers of coordinates.") from None
    # More than two numbers a corner, heights say, are allowed.
    return require_ring(corners[:, :2] if corners.ndim == 2 else corners)


def _object(
    polygons: list[list[Ring]], shape: tuple[int, int], properties: dict[str, Any], intake: Intake
) -> MaskObject:
    mask = fill(polygons, shape, intake)
    measured = _measurements(properties.get("measurements"))
    classification = properties.get("classification")
    category = None if classification is None else record(classification, "classification").get("name")
    number = str(properties.get("name", ""))
    labelled = number.isdecimal() and len(number) < 11 and 0 < int(number) <= LARGEST_NUMBER
    return MaskObject(
        mask,
        int(number) if labelled else None,
        None if category is None else text(category, "classification"),
        measured.get(_SCORE),
        measured.get(_STABILITY),
    )


def _measurements(given: Any) -> dict[str, float]:
    """Read measurements by their names; QuPath has written them in two ways."""
    if isinstance(given, list):
        pairs = [(one.get("name"), one.get("value")) for one in given if isinstance(one, dict)]
    else:
        pairs = list(record(given or {}, "measurements").items())
    # Others are measured in any way, and may be what is no number.
    return {name: finite(value, name) for name, value in pairs if name in (_SCORE, _STABILITY)}
