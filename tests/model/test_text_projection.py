"""Words as one more token, in SAM and in the compact model."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from napari_sam import BoxPrompt, MaskPrompt, PointPrompt, Predictor, PromptSet, TextPrompt
from napari_sam.errors import InputError, WeightsError
from napari_sam.inference.engine import Engine
from napari_sam.model.compact import windows
from napari_sam.model.compact.canvas import OUTSIDE
from napari_sam.model.compact.model import CompactSam
from napari_sam.model.protocol import PromptTensors
from napari_sam.model.text_projection import ClipSpace
from napari_sam.planes.plane import Plane
from sam_reference import picture, randomise, tiny_sam
from training.tiny import TINY

SPACE = ClipSpace("tiny", "Tiny:toy", 6)
IMAGE = picture(96, 128)


def compact() -> CompactSam:
    return randomise(CompactSam(TINY)).requires_grad_(requires_grad=False)


def taught(make):
    """A model with random weights, its projection's among them."""
    model = make()
    model.take_words(SPACE)
    generator = torch.Generator().manual_seed(5)
    for name, weights in model.named_parameters():
        if "text_projection" in name:
            weights.requires_grad_(requires_grad=False).normal_(generator=generator)
    return model


def text(seed: int = 0, clip: str = "tiny", width: int = 6) -> TextPrompt:
    return TextPrompt("a cell", np.random.default_rng(seed).normal(size=width), clip)


@pytest.fixture(scope="module", params=[tiny_sam, compact], ids=["SAM", "compact"])
def make(request):
    return request.param


@pytest.fixture(scope="module")
def predictor(make):
    return Predictor(taught(make), "weights", name="Toy")


@pytest.fixture(scope="module")
def embedding(predictor):
    return predictor.embed(IMAGE)


def test_without_words_a_taught_model_answers_as_before(make, predictor, embedding):
    plain = Predictor(make(), "weights")
    for prompts in ([PointPrompt((40, 50))], [BoxPrompt((10, 12), (70, 60)), PointPrompt((20, 20), False)]):
        before, now = plain.predict(plain.embed(IMAGE), prompts), predictor.predict(embedding, prompts)
        np.testing.assert_array_equal(before.logits, now.logits)
        np.testing.assert_array_equal(before.scores, now.scores)


def test_a_model_that_was_not_taught_has_the_weights_that_it_had(make):
    assert not any("text_projection" in key for key in make().state_dict())
    more = taught(make).state_dict().keys() - make().state_dict().keys()
    assert {key.partition("text_projection.")[2] for key in more} == {"project.weight", "project.bias", "kind.weight"}


def test_words_alone_give_one_mask_that_hangs_on_them(predictor, embedding):
    one, other = (predictor.predict(embedding, [text(seed)]) for seed in (0, 1))
    assert one.masks.shape == (1, 96, 128)
    assert np.abs(one.logits - other.logits).max() > 1e-3
    assert len(predictor.predict(embedding, [text()], multimask=True).masks) == 3


@pytest.mark.parametrize(
    "others",
    [
        [PointPrompt((40, 50)), PointPrompt((10, 90), False)],
        [BoxPrompt((10, 12), (70, 60))],
        [PointPrompt((40, 50)), BoxPrompt((10, 12), (70, 60))],
    ],
)
def test_words_go_with_points_and_boxes(predictor, embedding, others):
    without = predictor.predict(embedding, others).logits[0]
    with_words = predictor.predict(embedding, [*others, text()])
    assert len(with_words.masks) == 1
    assert np.abs(with_words.logits[0] - without).max() > 1e-3
    words_alone = predictor.predict(embedding, [text()]).logits[0]
    assert np.abs(with_words.logits[0] - words_alone).max() > 1e-3


def test_an_answer_to_words_can_be_improved_on(predictor, embedding):
    first = predictor.predict(embedding, [text()])
    again = predictor.predict(embedding, [text(), MaskPrompt(first.logits[0]), PointPrompt((40, 50))])
    assert np.isfinite(again.logits).all()
    assert np.abs(again.logits - first.logits).max() > 1e-3


def test_many_objects_are_answered_as_one_by_one(predictor, embedding):
    sets = [[text(seed)] for seed in range(3)]
    together = list(predictor.predict_many(embedding, sets))
    for prediction, prompts in zip(together, sets, strict=True):
        alone = predictor.predict(embedding, prompts)
        np.testing.assert_allclose(prediction.logits, alone.logits, atol=1e-4)
    with pytest.raises(InputError, match="words"):
        list(predictor.predict_many(embedding, [[text()], [PointPrompt((3, 3))]]))


def test_what_has_no_words_is_padding_in_the_compact_model():
    """In training, objects with words and objects without are in one batch."""
    model = taught(compact)
    features = model.features(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    points, labels = torch.full((2, 1, 2), 30.0), torch.ones((2, 1), dtype=torch.int64)
    boxes = torch.full((2, 4), torch.nan)
    texts = torch.stack([torch.tensor(text().embedding), torch.full((6,), torch.nan)])
    objects = torch.zeros(2, dtype=torch.int64)
    with_words, without = model.respond(features, objects, PromptTensors(points, labels, boxes, None, texts))[0]
    plain = model.respond(features, objects, PromptTensors(points, labels, boxes))[0]
    torch.testing.assert_close(without, plain[1], atol=1e-5, rtol=1e-5)
    assert (with_words - plain[0]).abs().max() > 1e-3


def test_background_far_away_does_not_say_where_to_look_for_words():
    points, words = torch.full((1, 1, 2), 30.0), torch.ones(1, 6)
    where = [
        windows.extents(PromptTensors(points, torch.tensor([[label]]), texts=texts), (50, 60)).tolist()
        for label, texts in ((0, words), (1, words), (0, None), (0, words * torch.nan))
    ]
    whole, place = [[0.0, 0.0, 50.0, 60.0]], [[7.5] * 4]
    assert where == [whole, place, place, place]


@pytest.mark.parametrize("beside", [[], [PointPrompt((5, 5), False)]], ids=["words", "words and background"])
def test_the_compact_model_looks_everywhere_for_words_but_enlarges_nothing(beside):
    model = taught(compact)
    predictor = Predictor(model, "weights")
    embedding = predictor.embed(IMAGE)
    encoded = []
    model.encoder.register_forward_hook(lambda *_: encoded.append(1))
    prediction = predictor.predict(embedding, [text(), *beside])
    assert not encoded
    assert (prediction.logits > OUTSIDE).all()
    predictor.predict(embedding, [text(), PointPrompt((40, 50))])
    assert encoded  # around a click there is something to enlarge


def test_words_are_looked_for_on_the_whole_of_a_large_plane(predictor):
    large = picture(40, 6 * predictor.canvas_side)
    prediction = Engine(predictor).predict(Plane(large), PromptSet((text(),)))
    assert prediction.masks.shape == (1, *large.shape[:2])


class TestMistakes:
    def test_a_model_without_words_says_what_can_be_done(self, make):
        plain = Predictor(make(), "weights", name="Plain")
        assert not plain.has_text_prompt
        assert plain.text_space is None
        with pytest.raises(InputError, match=r"Plain takes no words.*napari-sam find.*napari-sam train text"):
            plain.predict(plain.embed(IMAGE), [text()])

    def test_words_of_another_clip_model(self, predictor, embedding):
        assert predictor.has_text_prompt
        assert predictor.text_space == SPACE
        with pytest.raises(InputError, match="trained on embeddings of tiny, but these words were embedded by other"):
            predictor.predict(embedding, [PointPrompt((4, 4)), text(clip="other")])
        predictor.predict(embedding, [text(clip="Tiny:toy")])  # open_clip's name for the same

    def test_words_of_another_width(self, predictor, embedding):
        with pytest.raises(InputError, match="6 numbers, but the one of these words has 7"):
            predictor.predict(embedding, [text(width=7)])


class TestClipSpace:
    def test_it_stands_in_the_metadata(self):
        assert ClipSpace.from_json(SPACE.to_json()) == SPACE

    @pytest.mark.parametrize(
        "damaged",
        [
            "",
            "[1]",
            "{}",
            json.dumps({"model": "a", "source": "", "width": 0}),
            json.dumps({"model": "a", "source": "", "width": 10**9}),
            json.dumps({"model": "a", "source": "", "width": "512"}),
            json.dumps({"model": 3, "source": "", "width": 5}),
            json.dumps({"model": "a" * 10**4, "source": "", "width": 5}),
            "[" * 100_000,
        ],
    )
    def test_damage_is_told(self, damaged):
        with pytest.raises(WeightsError, match="which CLIP model"):
            ClipSpace.from_json(damaged)
