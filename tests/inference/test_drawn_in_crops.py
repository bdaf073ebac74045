"""Scribbles and areas on planes that are looked at through crops."""

from __future__ import annotations

import numpy as np
import pytest

from fakes import SmallCanvas
from napari_sam.cache.memory import EmbeddingCache
from napari_sam.inference.engine import Engine
from napari_sam.masks import iou
from napari_sam.planes import Crop
from napari_sam.planes.plane import Plane
from napari_sam.planes.source import PlaneSource
from napari_sam.predictor import Predictor
from napari_sam.prompts import AreaPrompt, PointPrompt, PromptSet, ScribblePrompt

Y, X = np.ogrid[:900, :1100]


@pytest.mark.parametrize("radius", [12, 300])
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (3.0, 1.0)])
@pytest.mark.parametrize("kind", ["area", "scribble"])
def test_what_is_drawn_finds_its_object_on_a_large_plane(radius, spacing, kind):
    model = SmallCanvas()
    disc = (Y - 450) ** 2 + (X - 500) ** 2 <= radius**2
    source = PlaneSource.of(Plane(np.where(disc, 200, 0).astype(np.uint8), spacing=spacing))
    path = [(450, 500 - radius / 2), (450, 500 + radius / 2)]
    drawn = AreaPrompt.of(disc) if kind == "area" else ScribblePrompt(path)
    found = Engine(Predictor(model, "digest"), EmbeddingCache()).segment(source, PromptSet((drawn,)))
    whole = np.zeros((900, 1100), bool)
    (top, left), mask = found.candidates[0].origin, found.candidates[0].mask
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    assert iou(whole, disc) > 0.85  # the fake answers at half the resolution
    if kind == "area":
        # The area covers as much of the model's canvas as the object does.
        logits, answer = model.decoded[-1].masks[0, 0].numpy(), found.found[0].logits
        assert iou(logits > 0, answer > 0) > 0.8


@pytest.mark.parametrize("steps", [(1, 1), (8, 8), (4, 16)])
def test_an_area_is_brought_into_a_crop_and_never_lost_there(steps):
    crop = Crop((32, 64), (256, 256), steps)
    tiny = AreaPrompt((131, 201), np.ones((2, 1), bool))
    [moved] = crop.prompts(PromptSet((tiny,))).areas
    assert moved.mask.sum() >= 1
    assert np.abs(crop.to_plane(moved.origin) - (131.5, 201)).max() <= max(steps)


def test_what_lies_outside_a_crop_is_left_out():
    crop = Crop((32, 64), (256, 256))
    outside = AreaPrompt((0, 0), np.ones((20, 20), bool), False), ScribblePrompt([(1, 1), (2, 2)], False)
    inside = PointPrompt((40, 70))
    assert crop.prompts(PromptSet((*outside, inside))) == PromptSet((PointPrompt((8, 6)),))
