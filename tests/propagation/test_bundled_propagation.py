"""The bundled model carries objects through a small volume."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam.cache.memory import EmbeddingCache
from napari_sam.evaluation.synthetic_volumes import synthetic_volume
from napari_sam.inference.engine import Engine
from napari_sam.planes.source import ArrayPlanes
from napari_sam.propagation import STRATEGIES, Annotated, PropagationStep, propagate


@pytest.fixture(scope="module")
def engine():
    return Engine.load("bundled", "cpu", cache=EmbeddingCache(1 << 28))


@pytest.fixture(scope="module")
def volume():
    return synthetic_volume("vessels", 1, (10, 64, 64))


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "projection"])
def test_a_vessel_is_carried_through_the_volume(engine, volume, strategy):
    label = 1 + np.bincount(volume.labels.ravel())[1:].argmax()
    truth = volume.labels == label
    planes = ArrayPlanes(volume.image, 0, (0, None, None), (float(volume.image.min()), float(volume.image.max())))
    known = [1, 8] if strategy == "interpolate" else [5]
    annotated = [Annotated(index, truth[index]) for index in known]
    found = np.zeros_like(truth)
    found[known] = truth[known]
    for step in propagate(engine, planes, annotated, strategy=strategy):
        if isinstance(step, PropagationStep):
            found[step.index] = step.mask
    assert (found & truth).sum() / (found | truth).sum() > 0.7
