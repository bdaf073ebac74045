"""What napari opens and saves of masks: labels layers out of the files of other programs, and into them.

napari calls these functions by their names in ``napari.yaml``; layers are its plain tuples of data, options and type.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.datasets.documents import read_json
from napari_sam.datasets.formats.coco import write_coco
from napari_sam.datasets.formats.geojson import write_geojson
from napari_sam.datasets.formats.imagej import write_rois
from napari_sam.datasets.formats.sa1b import is_sa1b
from napari_sam.datasets.image_files import image_beside
from napari_sam.datasets.records import AnnotatedImage, from_labels, numbers_of, to_labels
from napari_sam.datasets.table import recognise
from napari_sam.errors import InputError, NapariSamError
from napari_sam.files import printable
from napari_sam.io.layers import finest, read_layers
from napari_sam.io.memory import require_room
from napari_sam.io.stacks import open_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_sam.datasets.records import MaskObject

    LayerData = tuple[Any, dict[str, Any], str]

_SUFFIXES = (".json", ".geojson", ".zip")
_MOST_IMAGES = 50
"""Layers of more images than that are no help to anybody."""
_WRITERS = {".json": write_coco, ".geojson": write_geojson, ".zip": write_rois}


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """Give what reads a path, where it is a file of masks or a folder in SA-1B's form; else None."""
    if not isinstance(path, str):
        return None
    place = Path(path)
    # Whatever is wrong with a file that is not ours is for others to say.
    with suppress(InputError, OSError):
        if place.is_dir():
            return read_folder if any(is_sa1b(read_json(one)) for one in _masks_of_images(place)[:1]) else None
        if place.suffix.lower() in _SUFFIXES and recognise(place) is not None:
            return read_file
    return None


def read_file(path: str) -> list[LayerData]:
    """Read a file of masks as labels layers, one for each image or stack, placed as its image beside the file.

    Raises
    ------
    InputError
        If it cannot be read, or holds masks of very many images.
    """
    place = Path(path)
    kind = recognise(place)
    if kind is None:
        raise InputError(f"{place} is of no known format of masks.")
    stacks: dict[str, list[AnnotatedImage]] = {}
    for image in kind.read(place):
        stacks.setdefault(image.name, []).append(image)
    _require_few(place, len(stacks))
    return [_labels_layer(planes, image_beside(place, name)) for name, planes in stacks.items()]


def read_folder(path: str) -> list[LayerData]:
    """Read a folder in SA-1B's form: each image that has masks, and its masks as labels.

    Raises
    ------
    InputError
        If something in it cannot be read, or it holds very many images.
    """
    files = _masks_of_images(Path(path))
    _require_few(Path(path), len(files))
    layers: list[LayerData] = []
    for file in files:
        if is_sa1b(read_json(file)) and (kind := recognise(file)) is not None:
            (image,) = kind.read(file)
            picture = image_beside(file, image.name)
            layers += [] if picture is None else read_layers(str(picture))
            layers.append(_labels_layer([image], picture))
    return layers


def _masks_of_images(folder: Path) -> list[Path]:
    """Return the JSON files beside an image of their name."""
    return [path for path in sorted(folder.glob("*.json")) if image_beside(path) is not None]


def _require_few(path: Path, count: int) -> None:
    if count > _MOST_IMAGES:
        raise InputError(
            f"{path} holds masks of {count} images; napari opens {_MOST_IMAGES} at most. Open the files of some of "
            "them, or copy those to a folder of their own."
        )


def _labels_layer(planes: list[AnnotatedImage], picture: Path | None) -> LayerData:
    """Lay the masks of an image, or of the planes of a stack, on a labels layer."""
    first, count = planes[0], 1 + max(image.plane for image in planes)
    if any(image.shape != first.shape for image in planes):
        raise InputError(f"The planes of {first.name} are of several sizes. Save each as a file of its own.")
    require_room(first.name, count * first.shape[0] * first.shape[1] * np.dtype(np.int32).itemsize, "masks")
    labels = np.zeros((count, *first.shape), dtype=np.int32)
    table: dict[int, MaskObject] = {}
    for image in planes:
        labels[image.plane] = to_labels(image)
        table |= dict(zip(numbers_of(image), image.objects, strict=True))
    data = labels if count > 1 else labels[0]
    options: dict[str, Any] = {
        "name": f"{first.name} masks",
        "metadata": {"image": first.name, "notes": list(first.notes)},
        "features": _features(table),
    }
    return data, options | _placement(picture, data.ndim), "labels"


def _features(table: Mapping[int, MaskObject]) -> dict[str, list[Any]]:
    """Give what is known of each label, as napari shows it under the cursor."""
    # napari wants a row for the background.
    columns: dict[str, list[Any]] = {"index": [0, *table]}
    if any(one.category is not None for one in table.values()):
        columns["category"] = ["", *(one.category or "" for one in table.values())]
    if any(one.score is not None for one in table.values()):
        columns["score"] = [np.nan, *(np.nan if one.score is None else one.score for one in table.values())]
    return columns


def _placement(picture: Path | None, axes: int) -> dict[str, Any]:
    """Give scale and units of an image of as many axes; without, the layers would not lie upon each other."""
    with suppress(InputError):
        if picture is not None:
            with open_stack(picture) as stack:
                if len(stack.axes) == axes:
                    return {"scale": stack.spacing, "units": stack.units, "axis_labels": tuple(stack.axes)}
    return {}


def write_masks(path: str, data: Any, options: Mapping[str, Any]) -> list[str]:
    """Write a labels layer of an image or a stack: .json as COCO, .geojson for QuPath, .zip as ROIs of ImageJ.

    Parameters
    ----------
    path : str
    data : array-like of int, shape (H, W) or (n, H, W), or list of those
        Of several resolutions, the finest is written.
    options : mapping
        Of the layer, as napari gives them; the columns "category" and "score" of its features are written, too.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    NapariSamError
        If it cannot be written.
    """
    labels = finest(data, options)
    try:
        if (axes := len(labels.shape)) not in (2, 3):
            raise InputError(f"The layer has {axes} axes; masks are written of images and stacks. Save a part of it.")
        place = Path(path)
        _WRITERS[place.suffix.lower()](place, _annotated(labels, options))
    except InputError as error:
        # napari takes a ValueError, which an InputError is, for there being no writer, and drops its words.
        raise NapariSamError(str(error)) from error
    return [path]


def _annotated(labels: Any, options: Mapping[str, Any]) -> list[AnnotatedImage]:
    """Take the objects of all planes, with what the features say of them."""
    name = str((options.get("metadata") or {}).get("image") or options.get("name") or "labels")
    categories, scores = (_column(options, title) for title in ("category", "score"))
    planes = [labels] if len(labels.shape) == 2 else (labels[at] for at in range(labels.shape[0]))
    images = []
    for at, plane in enumerate(planes):
        image = from_labels(printable(name, 1000), np.asarray(plane), plane=at)
        known = [
            replace(
                one,
                category=str(categories.get(one.number) or "") or None,
                score=float(scores[one.number]) if np.isfinite(scores.get(one.number, np.nan)) else None,
            )
            for one in image.objects
        ]
        images.append(replace(image, objects=tuple(known)))
    return images


def _column(options: Mapping[str, Any], title: str) -> dict[Any, Any]:
    """Return a column of the features of a layer by label."""
    features = options.get("features")
    if features is None or "index" not in features or title not in features:
        return {}
    return dict(zip(features["index"], features[title], strict=True))
