"""The bundled weights on a real image: a part of the sample of fluorescent nuclei, with its labels of BBBC038 (CC0)."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import napari_sam
from napari_sam.automatic import QUICK, DenseSettings, segment_everything
from napari_sam.evaluation.average_precision import average_precision
from napari_sam.samples import fluorescence

PART = np.s_[200:456, 250:506]
TRUTH = Path(__file__).with_name("fluorescence_labels.png")


@pytest.fixture(scope="module")
def predictor() -> napari_sam.Predictor:
    return napari_sam.load_predictor("bundled", device="cpu")


@pytest.mark.parametrize(("settings", "floor"), [(DenseSettings(), 0.5), (QUICK, 0.5)])
def test_nuclei_are_found(predictor, settings, floor):
    [(image, _options, _kind)] = fluorescence()
    truth = np.asarray(Image.open(TRUTH)).astype(int)
    labels = segment_everything(predictor, predictor.embed(image[PART]), settings)
    assert labels.shape == truth.shape
    assert 0.8 * truth.max() <= labels.max() <= 1.2 * truth.max()
    curve = average_precision(truth, labels)
    assert curve[0] > 0.8
    assert curve.mean() > floor


@pytest.mark.parametrize("value", [0, 90, 255])
def test_a_constant_image_has_no_objects(predictor, value):
    labels = segment_everything(predictor, predictor.embed(np.full((130, 170), value, np.uint8)))
    assert labels.shape == (130, 170)
    assert not labels.any()


def test_maps_lie_on_the_plane_and_see_the_nuclei(predictor):
    [(image, _options, _kind)] = fluorescence()
    truth = np.asarray(Image.open(TRUTH)) > 0
    maps = predictor.dense(predictor.embed(image[PART]))
    for values in (maps.foreground, maps.centre, maps.border):
        assert values.shape == truth.shape
        assert values.dtype == np.float32
        assert values.min() >= 0
        assert values.max() <= 1
    assert maps.foreground[truth].mean() > 0.8
    assert maps.foreground[~truth].mean() < 0.1
    assert maps.border[truth].mean() < maps.border[~truth].mean() - 0.3
