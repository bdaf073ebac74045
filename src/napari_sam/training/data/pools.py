"""Where crops come from: nuclei at a typical size, objects of many kinds each at its own, synthetic scenes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import ndimage

from napari_sam.training.data.augment import random_crop, typical_size
from napari_sam.training.synthetic.shapes import log_uniform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    from napari_sam.evaluation.dataset import LabelledImage
    from napari_sam.training.synthetic.scene_dataset import SceneBank

_TYPICAL_SIZES = (7.0, 140.0)  # crop pixels: roots of areas that the median object of an image is brought to
SIZES = (8.0, 160.0)
"""Those that a chosen object is brought to."""
_SCALES = (0.1, 6.0)  # crop pixels per image pixel
_LEAST_THICKNESS = 2.5  # crop pixels: what is thinner is a line, not a mask

# How a crop of many kinds is chosen: around an object brought to some size, around a whole structure, anywhere.
_SIZED, _WHOLE = 0.6, 0.3
_WHOLE_SHARES = (0.35, 0.85)  # of the crop's side, that a whole structure spans


@dataclass(frozen=True, slots=True)
class TrainingCrop:
    """A square of an image.

    Attributes
    ----------
    image : numpy.ndarray, shape (S, S, 3), uint8
    labels : numpy.ndarray, shape (L, S, S), int32
        Levels of objects, 0 for background.
    wanted : int
        Label, of the first level, of the object that the crop was cut around; 0 for none.
    complete : bool
        Whether all objects of the kind are labelled, so that what is unlabelled is background.
    source : int
        Place of its image in the pool; -1 where nobody asks for it.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.int32]
    wanted: int = 0
    complete: bool = True
    source: int = -1


class Pool(Protocol):
    """Draws crops."""

    def crop(self, rng: Generator, side: int) -> TrainingCrop:
        """Draw a crop of `side` pixels."""


class ScenePool:
    """Crops of synthetic scenes."""

    def __init__(self, bank: SceneBank) -> None:
        self._bank = bank

    def crop(self, rng: Generator, side: int) -> TrainingCrop:
        """Draw a crop that covers most of a scene, or a part of it enlarged."""
        image, levels = self._bank[int(rng.integers(len(self._bank)))]
        scale = side / image.shape[0] * log_uniform(rng, 0.9, 2.2)
        return TrainingCrop(*random_crop(rng, image, levels, side, scale))


class TypicalPool:
    """Crops of images whose objects are all of about one size, such as nuclei.

    Parameters
    ----------
    images : sequence of LabelledImage
        (H, W, 3) uint8. Rare kinds are drawn more often than their number says: by its square root.
    """

    def __init__(self, images: Sequence[LabelledImage]) -> None:
        self._images = images
        self._sizes = [typical_size(item.labels) for item in images]
        self._kinds = _by_kind(images)
        weights = np.sqrt([len(members) for members in self._kinds.values()])
        self._weights = weights / weights.sum()

    def crop(self, rng: Generator, side: int) -> TrainingCrop:
        """Draw a crop in which the image's median object has a random size."""
        members = list(self._kinds.values())[int(rng.choice(len(self._kinds), p=self._weights))]
        index = members[int(rng.integers(len(members)))]
        item = self._images[index]
        scale = float(np.clip(log_uniform(rng, *_TYPICAL_SIZES) / self._sizes[index], 0.4, 6))
        return TrainingCrop(*random_crop(rng, item.image, item.labels[None], side, scale))


@dataclass(frozen=True, slots=True)
class KindSettings:
    """How a kind of image is drawn.

    Attributes
    ----------
    weight : float
        How often, against kinds of weight 1.
    complete : bool
        Whether all objects of the kind are labelled: only then does the dense head learn from it.
    """

    weight: float = 1.0
    complete: bool = False


@dataclass(frozen=True, slots=True)
class _Objects:
    """The objects of an image: labels, root of the area, thickness, bounding box (y0, x0, y1, x1), image pixels."""

    labels: NDArray[np.int64]
    sizes: NDArray[np.float64]
    thickness: NDArray[np.float64]
    boxes: NDArray[np.int64]


class ObjectPool:
    """Crops of images of many kinds, whose objects differ in size by orders of magnitude: each crop suits one object.

    Parameters
    ----------
    images : sequence of LabelledImage
        (H, W, 3) uint8.
    settings : mapping of str to KindSettings
        Of each kind; a kind without has the defaults.
    sizes : (float, float)
        Crop pixels: roots of areas that a chosen object is brought to.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        settings: Mapping[str, KindSettings] | None = None,
        sizes: tuple[float, float] = SIZES,
    ) -> None:
        self._images, self._sizes = images, sizes
        self._settings = dict(settings or {})
        self._objects = [_measured(item.labels) for item in images]
        kinds = _by_kind(images)
        self._kinds = {
            kind: kept
            for kind, members in kinds.items()
            if (kept := [i for i in members if len(self._objects[i].labels)])
        }
        weights = np.array([self._settings_of(kind).weight for kind in self._kinds])
        self._weights = weights / weights.sum()

    def _settings_of(self, kind: str) -> KindSettings:
        return self._settings.get(kind, KindSettings())

    def crop(self, rng: Generator, side: int) -> TrainingCrop:
        """Draw a crop around an object that is brought to a random size, around a whole one, or anywhere."""
        kind = list(self._kinds)[int(rng.choice(len(self._kinds), p=self._weights))]
        members = self._kinds[kind]
        index = members[int(rng.integers(len(members)))]
        item, objects = self._images[index], self._objects[index]
        # Small objects are many, large ones few: by the inverse of the logarithm both are asked for.
        chances = 1 / np.log2(objects.sizes**2 + 2)
        row = int(rng.choice(len(chances), p=chances / chances.sum()))
        y0, x0, y1, x1 = objects.boxes[row]
        choice = rng.random()
        if choice < _SIZED:
            scale, wanted = log_uniform(rng, *self._sizes) / objects.sizes[row], int(objects.labels[row])
        elif choice < _SIZED + _WHOLE:
            scale, wanted = side * rng.uniform(*_WHOLE_SHARES) / max(y1 - y0, x1 - x0), int(objects.labels[row])
        else:
            scale, wanted = log_uniform(rng, 0.5, 2.0), 0
        scale = max(scale, log_uniform(rng, 1.0, 2.0) * _LEAST_THICKNESS / objects.thickness[row])
        centre = _inside(rng, item.labels, int(objects.labels[row]), (y0, x0, y1, x1), choice < _SIZED)
        scale = float(np.clip(scale, *_SCALES))
        image, labels = random_crop(rng, item.image, item.labels[None], side, scale, centre)
        return TrainingCrop(image, labels, wanted, self._settings_of(kind).complete, index)


def _by_kind(images: Sequence[LabelledImage]) -> dict[str, list[int]]:
    kinds: dict[str, list[int]] = {}
    for index, item in enumerate(images):
        kinds.setdefault(item.kind, []).append(index)
    return kinds


def _measured(labels: NDArray[np.integer]) -> _Objects:
    """Measure the objects of an image, specks of fewer than four pixels aside."""
    rows = []
    for label, found in enumerate(ndimage.find_objects(labels), 1):
        if found is None:
            continue
        mask = labels[found] == label
        area = int(mask.sum())
        if area < 4:
            continue
        deepest = float(ndimage.distance_transform_edt(np.pad(mask, 1)).max())
        box = (found[0].start, found[1].start, found[0].stop, found[1].stop)
        rows.append((label, np.sqrt(area), 2 * deepest - 1, box))
    if not rows:
        return _Objects(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros((0, 4), np.int64))
    names, sizes, thickness, boxes = zip(*rows, strict=True)
    return _Objects(np.array(names), np.array(sizes), np.array(thickness), np.array(boxes))


def _inside(
    rng: Generator, labels: NDArray[np.integer], label: int, box: tuple[int, int, int, int], at_random: bool
) -> tuple[float, float]:
    """Choose the middle of a crop, (y, x): a pixel of the object, or the middle of its bounding box."""
    y0, x0, y1, x1 = box
    if not at_random:
        return (y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2
    pixels = np.flatnonzero(labels[y0:y1, x0:x1] == label)
    y, x = divmod(int(pixels[rng.integers(len(pixels))]), int(x1 - x0))
    return float(y0 + y), float(x0 + x)
