"""The bundled weights make wrong nuclei right: a part of the sample of fluorescent nuclei, with labels of BBBC038."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

import napari_sam
from napari_sam.automatic.laying import lay_in_place
from napari_sam.automatic.prompted import answer_objects, objects_of_labels
from napari_sam.automatic.prompted.refining import LEAST_AGREEMENT, LEAST_SCORE
from napari_sam.cache.memory import EmbeddingCache
from napari_sam.inference.engine import Engine
from napari_sam.masks import iou
from napari_sam.planes.plane import Plane
from napari_sam.planes.source import PlaneSource
from napari_sam.samples import fluorescence

PART = np.s_[200:456, 250:506]
TRUTH = Path(__file__).parents[1] / "fluorescence_labels.png"
CROSS = ndimage.generate_binary_structure(2, 1)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(napari_sam.load_predictor("bundled", device="cpu"), EmbeddingCache(1 << 28))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return fluorescence()[0][0][PART]


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return np.asarray(Image.open(TRUTH)).astype(int)


def ten(labels: np.ndarray) -> np.ndarray:
    """The ten largest objects: ten that a person would correct."""
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    return np.where(np.isin(labels, np.argsort(-areas)[:10]), labels, 0)


def each(labels: np.ndarray, change) -> np.ndarray:
    """Change every object, in the order of the ids; a pixel stays with the first."""
    out = np.zeros_like(labels)
    for label in np.unique(labels[labels > 0]):
        out[change(labels == label) & (out == 0)] = label
    return out


def otsu(pixels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """A threshold and a watershed by distance, as another tool would do; ids are those of the truth below."""
    bright = ndimage.gaussian_filter(pixels, 1.0) > 1.4 * threshold_otsu(pixels)
    depth = ndimage.distance_transform_edt(bright)
    regions = watershed(-depth, ndimage.label(depth > 3)[0], mask=bright)
    out = np.zeros_like(truth)
    for region in range(1, int(regions.max()) + 1):
        below = np.bincount(truth[regions == region])
        below[0] = 0
        if below.any():
            out[regions == region] = int(below.argmax())
    return out


ROUGH = {
    "eroded": lambda pixels, truth: each(ten(truth), lambda mask: ndimage.binary_erosion(mask, CROSS, 3)),
    "dilated": lambda pixels, truth: each(ten(truth), lambda mask: ndimage.binary_dilation(mask, CROSS, 3)),
    "shifted": lambda pixels, truth: ndimage.shift(ten(truth), (4, 4), order=0),
    "a threshold and a watershed": lambda pixels, truth: np.where(
        np.isin(otsu(pixels, truth), np.unique(ten(truth))), otsu(pixels, truth), 0
    ),
}


def refined(engine: Engine, pixels: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """What accepting all that is good makes of labels."""
    objects = objects_of_labels(rough)
    lots = answer_objects(engine, PlaneSource.of(Plane(pixels)), objects)
    found = sorted((one for lot in lots for one in lot), key=lambda one: one.mask.area)
    good = [one for one in found if one.score >= LEAST_SCORE and one.agreement >= LEAST_AGREEMENT]
    ids = np.array([0, *(objects[one.asked].label for one in good)])
    laid = lay_in_place([one.mask for one in good], ids[1:].tolist(), rough)
    exact = np.where(np.isin(rough, ids[np.unique(laid)]), 0, rough)
    return np.where(laid > 0, ids[laid], exact)


def mean_iou(labels: np.ndarray, truth: np.ndarray) -> float:
    ids = np.unique(labels[labels > 0])
    return float(np.mean([iou(labels == label, truth == label) for label in ids]))


@pytest.mark.parametrize("name", sorted(ROUGH))
def test_ten_wrong_objects_become_better(engine, pixels, truth, name):
    rough = ROUGH[name](pixels, truth)
    assert len(np.unique(rough)) == 11
    before = mean_iou(rough, truth)
    exact = refined(engine, pixels, rough)
    assert set(np.unique(exact)) == set(np.unique(rough))
    after = mean_iou(exact, truth)
    print(f"{name}: mean IoU {before:.3f} before, {after:.3f} after")  # noqa: T201  # the numbers of the docs
    assert before < 0.85
    assert after > before + 0.03


def test_exact_objects_are_hardly_changed(engine, pixels, truth):
    assert mean_iou(refined(engine, pixels, truth), truth) > 0.9
