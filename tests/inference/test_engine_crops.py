"""Large planes: the engine looks at them through crops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from fakes import CANVAS, BrightnessModel, SmallCanvas
from napari_sam.cache.memory import EmbeddingCache
from napari_sam.errors import InputError
from napari_sam.inference.engine import Engine
from napari_sam.planes.plane import Plane
from napari_sam.predictor import Predictor
from napari_sam.prompts import BoxPrompt, MaskPrompt, PointPrompt, PromptSet


@pytest.fixture
def model():
    return SmallCanvas()


@pytest.fixture
def engine(model):
    return Engine(Predictor(model, "digest"), EmbeddingCache())


def disc(shape, centre, radius):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def iou(mask, truth):
    return (mask & truth).sum() / (mask | truth).sum()


def test_the_canvas_tells_how_much_the_model_sees(engine):
    assert engine.predictor.canvas_side == CANVAS
    assert Predictor(BrightnessModel(), "all").canvas_side > 1 << 16


def test_a_small_object_is_seen_at_full_detail(engine, model):
    truth = disc((900, 1100), (700, 300), 5)
    plane = Plane(np.where(truth, 200, 0).astype(np.uint8))
    answer = engine.predict(plane, PromptSet((PointPrompt((700, 300)),)))
    assert answer.masks.shape == (3, 900, 1100) and answer.masks.dtype == bool
    assert iou(answer.masks[0], truth) > 0.7
    assert answer.logits.shape == (3, *engine.predictor.grid(plane)[1])
    assert (np.diff(answer.scores) <= 0).all()
    assert model.encoded == 1


def test_a_large_object_is_whole_and_has_no_seam(engine):
    truth = disc((900, 1100), (450, 500), 300)
    plane = Plane(np.where(truth, 200, 0).astype(np.uint8))
    answer = engine.predict(plane, PromptSet((PointPrompt((450, 500)),)), multimask=False)
    mask = answer.masks[0]
    assert answer.masks.shape[0] == 1
    assert iou(mask, truth) > 0.95
    inner = disc((900, 1100), (450, 500), 280)
    assert mask[inner].all() and not mask[~disc((900, 1100), (450, 500), 320)].any()


def test_neighbouring_clicks_share_an_embedding(engine, model):
    plane = Plane(np.where(disc((900, 1100), (700, 300), 5), 200, 0).astype(np.uint8))
    for shift in range(-3, 4):
        engine.predict(plane, PromptSet((PointPrompt((700 + shift, 300)),)))
    assert model.encoded == 1


def test_a_small_plane_is_embedded_as_a_whole(engine, model):
    plane = Plane(np.where(disc((150, 190), (70, 30), 5), 200, 0).astype(np.uint8))
    answer = engine.predict(plane, PromptSet((PointPrompt((70, 30)),)))
    direct = engine.predictor.predict(engine.embed(plane), PromptSet((PointPrompt((70, 30)),)))
    assert model.encoded == 1
    np.testing.assert_array_equal(answer.masks, direct.masks)


def test_the_crop_is_seen_with_the_grey_values_of_the_whole_plane(engine, model):
    """A dim object in a plane with a bright spot elsewhere must not be stretched to white."""
    pixels = np.where(disc((900, 1100), (700, 300), 5), 20.0, 0.0)
    pixels[5, 5] = 200
    seen = []
    preprocess = model.preprocess
    model.preprocess = lambda image, frame: seen.append(image.max()) or preprocess(image, frame)
    engine.predict(Plane(pixels), PromptSet((PointPrompt((700, 300)),)))
    assert seen[0] == round(255 * 20 / 200)


def test_a_plane_of_one_grey_value_is_no_error(engine):
    answer = engine.predict(Plane(np.full((700, 700), 7.5)), PromptSet((PointPrompt((300, 300)),)))
    assert answer.masks.shape[1:] == (700, 700)


def test_answers_go_back_in_as_mask_prompts(engine, model):
    truth = disc((900, 1100), (700, 300), 40)
    plane = Plane(np.where(truth, 200, 0).astype(np.uint8))
    first = engine.predict(plane, PromptSet((PointPrompt((700, 300)),)))
    prompts = PromptSet((PointPrompt((700, 300)), PointPrompt((705, 303)), MaskPrompt(first.logits[0])))
    again = engine.predict(plane, prompts)
    assert iou(again.masks[0], truth) > 0.8
    told = model.decoded[-1].masks
    assert told is not None and told.shape[2:] == (64, 64)
    inside = (told[0, 0] > 0).numpy()
    assert 0.3 < inside.sum() * 4 / truth.sum() < 3  # cells of two pixels: about the object


def test_a_mask_prompt_alone_says_where_to_look(engine):
    plane = Plane(np.where(disc((900, 1100), (700, 300), 60), 200, 0).astype(np.uint8))
    _, grid = engine.predictor.grid(plane)
    logits = np.full(grid, -5, np.float32)
    logits[round(700 / 900 * grid[0]), round(300 / 1100 * grid[1])] = 5
    prompts = PromptSet((BoxPrompt((640, 240), (760, 360)), MaskPrompt(logits)))
    assert engine.predict(plane, prompts).masks[0][700, 300]


def test_a_mask_prompt_of_another_size_is_refused_on_a_large_plane_too(engine):
    prompts = PromptSet((PointPrompt((700, 300)), MaskPrompt(np.zeros((4, 4)))))
    with pytest.raises(InputError, match="mask prompt is 4 x 4"):
        engine.predict(Plane(np.zeros((900, 1100), np.uint8)), prompts)


def test_prompts_outside_a_large_plane_are_refused_where_they_are(engine):
    with pytest.raises(InputError, match="y=950"):
        engine.predict(Plane(np.zeros((900, 1100), np.uint8)), PromptSet((PointPrompt((950, 3)),)))


@pytest.fixture(scope="module")
def scene():
    """A plane of 6000 x 6000 pixels with a body of 20 pixels and one of 3000, in noise."""
    random = np.random.default_rng(0)
    shape = (6000, 6000)
    small, large = disc(shape, (700, 900), 10), disc(shape, (3500, 3200), 1500)
    noise = random.integers(0, 40, shape, dtype=np.uint8)
    pixels = noise + np.where(small, 110, 40).astype(np.uint8) + np.where(large, 60, 0).astype(np.uint8)
    return Plane(uniform_filter(pixels, 2)), small, large


def test_the_bundled_model_finds_the_small_and_the_large(scene):
    plane, small, large = scene
    engine = Engine.load("bundled", "cpu", cache=EmbeddingCache())
    for prompt in (PointPrompt((700, 900)), BoxPrompt((689, 889), (711, 911))):
        assert iou(engine.predict(plane, PromptSet((prompt,))).masks[0], small) > 0.8, prompt
    for prompt in (PointPrompt((3500, 3200)), BoxPrompt((1990, 1690), (5010, 4710))):
        mask = engine.predict(plane, PromptSet((prompt,))).masks[0]
        assert iou(mask, large) > 0.95, prompt
        # A seam, or a tile that is missing, would lie anywhere; what is wrong lies at the border.
        assert mask[disc(mask.shape, (3500, 3200), 1450)].all()
        assert not mask[~disc(mask.shape, (3500, 3200), 1550)].any()
