"""Examples out of a file of labels or masks, and the planes that they lie on."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.datasets.records import AnnotatedImage, MaskObject, from_labels
from napari_sam.datasets.table import recognise
from napari_sam.errors import InputError
from napari_sam.io.labels import read_labels
from napari_sam.io.outputs import same_place
from napari_sam.io.reading import require_path
from napari_sam.io.stacks import open_stack
from napari_sam.masks import BoxedMask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_sam.batch.plan import PlannedImage

_MASK_FILES = (".json", ".geojson", ".zip")
_SIZED = ("coco", "sa1b")
"""Formats that know the size of their image; in others it may be a guess."""


@dataclass(frozen=True, slots=True, eq=False)
class ExamplePlane:
    """Examples on one plane of an image.

    Attributes
    ----------
    index : tuple of int
        The plane.
    positive, negative : tuple of BoxedMask
        Objects that are looked for, and objects that are not.
    """

    index: tuple[int, ...]
    positive: tuple[BoxedMask, ...] = ()
    negative: tuple[BoxedMask, ...] = ()


def read_examples(
    image: PlannedImage,
    labels: Path,
    *,
    ids: Sequence[int] = (),
    negative_ids: Sequence[int] = (),
    negative_labels: Path | None = None,
) -> list[ExamplePlane]:
    """Read examples.

    Parameters
    ----------
    image : PlannedImage
        What they lie on.
    labels : Path
        Labels of the image, or masks in another format.
    ids, negative_ids : sequence of int
        The labels that are examples, and those that are examples of what is not wanted. Default of the first: all
        others.
    negative_labels : Path, optional
        A file of which all labels are examples of what is not wanted.

    Raises
    ------
    InputError
        If a file cannot be read, does not fit the image, or holds no example or not the labels that are named.
    """
    found = _objects(labels, image)
    numbers = {one.number for objects in found.values() for one in objects}
    if not numbers:
        raise InputError(f"{labels} holds no objects: label at least one that is an example of what you look for.")
    if missing := [number for number in (*ids, *negative_ids) if number not in numbers]:
        some = ", ".join(str(number) for number in sorted(number or 0 for number in numbers)[:10])
        raise InputError(f"{labels} has no object {missing[0]}. It has {some}{', ...' if len(numbers) > 10 else ''}.")
    if both := set(ids) & set(negative_ids):
        raise InputError(f"Object {min(both)} cannot be an example of what is wanted and of what is not.")
    positive, negative = defaultdict[tuple[int, ...], list[BoxedMask]](list), defaultdict(list)
    for index, objects in found.items():
        for one in objects:
            if one.number in negative_ids:
                negative[index].append(one.mask)
            elif one.number in ids or not ids:
                positive[index].append(one.mask)
    for index, objects in _objects(negative_labels, image).items() if negative_labels is not None else ():
        negative[index] += [one.mask for one in objects]
    if not positive:
        raise InputError(f"No object of {labels} is left as an example of what you look for.")
    if negative_labels is not None and not any(negative.values()):
        raise InputError(f"{negative_labels} holds no objects.")
    return [
        ExamplePlane(index, tuple(positive[index]), tuple(negative[index])) for index in sorted({*positive, *negative})
    ]


def _objects(path: Path, image: PlannedImage) -> dict[tuple[int, ...], list[MaskObject]]:
    """Read the objects of a file, by the plane of the image that they lie on."""
    require_path(path)
    if same_place(path, image.path):
        raise InputError(f"{path} is the image itself. Give the labels of a few objects on it.")
    shape = image.shape[-2], image.shape[-1]
    known = {plane.index for plane in image.planes}
    found = {}
    for index, objects in _read(path, image):
        if not objects:
            continue
        if index not in known:
            where = ", ".join(f"{name} = {at}" for name, at in zip(image.axes, index, strict=False))
            raise InputError(f"{path} has examples at {where}, which is not looked at. Change --at, or the labels.")
        if any(one.mask.box[axis].stop > shape[axis] for one in objects for axis in (0, 1)):
            raise InputError(f"{path} has objects beyond the edge of {image.path.name}. They are of another image.")
        found[index] = [replace(one, mask=BoxedMask(one.mask.origin, one.mask.mask, shape)) for one in objects]
    return found


def _read(path: Path, image: PlannedImage) -> Iterator[tuple[tuple[int, ...], tuple[MaskObject, ...]]]:
    """Yield planes of the image, and the objects that a file has there."""
    if path.name.lower().endswith(_MASK_FILES):
        indices = list(np.ndindex(*image.shape[:-2]))
        for one in _masks(path, image):
            if one.plane >= len(indices):
                raise InputError(f"{path} has objects on plane {one.plane}; {image.path.name} has {len(indices)}.")
            yield indices[one.plane], one.objects
    elif path.suffix.lower() == ".png":
        labels = read_labels(path)
        _require_shape(path, labels.shape, image)
        yield _whole_index((), image), from_labels(path.name, labels).objects
    else:
        with open_stack(path) as stack:
            if stack.rgb or np.dtype(stack.data.dtype).kind not in "uib":
                raise InputError(
                    f"{path} is no labels image: labels are whole numbers, 0 for background and the number of its "
                    "object in every other pixel. Save the labels layer, not the image."
                )
            _require_shape(path, stack.shape, image)
            for index in np.ndindex(*stack.shape[:-2]):
                labels = np.asarray(stack.data[index])
                if labels.any():
                    yield _whole_index(index, image), from_labels(path.name, labels.astype(np.int64)).objects


def _masks(path: Path, image: PlannedImage) -> list[AnnotatedImage]:
    """Read the masks of one image out of a file that may have several images."""
    kind = recognise(path)
    if kind is None:
        raise InputError(f"{path} holds no masks in a format that is known.")
    read = kind.read(path)
    names = {one.name for one in read}
    mine = [one for one in read if one.name == image.path.name or len(names) == 1]
    if not mine:
        raise InputError(f"{path} has masks of {len(names)} images, and none of them is {image.path.name}.")
    for one in mine:
        if kind.name in _SIZED and one.shape != image.shape[-2:]:
            raise _other_shape(path, one.shape, image, image.shape[-2:])
    return mine


def _free_axes(image: PlannedImage) -> Mapping[int, int]:
    """Return the axes before y and x on which only one index is looked at, and that index."""
    indices = np.array([plane.index for plane in image.planes]).reshape(len(image.planes), -1)
    return {axis: int(at[0]) for axis, at in enumerate(indices.T) if (at == at[0]).all()}


def _require_shape(path: Path, shape: tuple[int, ...], image: PlannedImage) -> None:
    """Refuse labels that are of another image; axes of which only one index is looked at may be missing."""
    if shape not in (image.shape, _short(image)):
        raise _other_shape(path, shape, image, image.shape)


def _other_shape(path: Path, shape: tuple[int, ...], image: PlannedImage, wanted: tuple[int, ...]) -> InputError:
    return InputError(
        f"{path} is {' x '.join(map(str, shape))} pixels, {image.path.name} is {' x '.join(map(str, wanted))}. Give "
        "labels of the image that the examples lie on, in its shape; --example-image names another image."
    )


def _short(image: PlannedImage) -> tuple[int, ...]:
    fixed = _free_axes(image)
    return tuple(size for axis, size in enumerate(image.shape) if axis not in fixed)


def _whole_index(index: tuple[int, ...], image: PlannedImage) -> tuple[int, ...]:
    """Complete the index of a plane of labels that lack axes of which only one index is looked at."""
    count = len(image.shape) - 2
    if len(index) == count:
        return index
    fixed, left = _free_axes(image), iter(index)
    return tuple(fixed[axis] if axis in fixed else next(left) for axis in range(count))
