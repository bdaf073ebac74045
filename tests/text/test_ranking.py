from __future__ import annotations

import numpy as np
import pytest

from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask
from napari_sam.text.query import TextQuery
from napari_sam.text.ranking import MaskEmbeddings, embed_masks, rank, rank_embeddings


@pytest.fixture(scope="module")
def embeddings(encoder, scene):
    image, masks, _names = scene
    return embed_masks(encoder, image, masks)


def test_a_phrase_finds_its_objects_and_ranks_them_first(encoder, scene):
    image, masks, names = scene
    ranking = rank(encoder, image, masks, TextQuery(("red",)))
    red = [name == "red" for name in names]
    # Blue and green look more like red than like grey ground, as far as this model knows: only red wins clearly.
    assert {names[place] for place in ranking.order[:2]} == {"red"}
    assert ranking.best[red].min() > 0.9
    assert len(ranking) == len(masks)


@pytest.mark.parametrize("wanted", ["red", "green", "blue"])
def test_negative_words_take_what_is_theirs(encoder, scene, embeddings, wanted):
    _image, _masks, names = scene
    negatives = tuple({"red", "green", "blue"} - {wanted})
    ranking = rank_embeddings(encoder, embeddings, TextQuery((wanted,), negatives))
    assert ranking.chosen().tolist() == [name == wanted for name in names]


def test_without_the_negative_word_it_would_be_found(encoder, embeddings):
    """Two words that mean the same to the model halve what each of them has."""
    alone = rank_embeddings(encoder, embeddings, TextQuery(("red",)))
    against = rank_embeddings(encoder, embeddings, TextQuery(("red",), ("Red",)))  # the tokens are those of red
    assert alone.best[0] > 0.9
    assert against.best[0] == pytest.approx(alone.best[0] / (1 + alone.best[0]), abs=1e-4)


def test_several_phrases_give_classes_with_the_probability_of_each(encoder, scene, embeddings):
    _image, _masks, names = scene
    ranking = rank_embeddings(encoder, embeddings, TextQuery(("blue", "red", "green")))
    found = [ranking.query.phrases[place] for place in ranking.classes[ranking.chosen()]]
    assert found == [name for name in names if name != "background"]
    assert ranking.scores.shape == (6, 3)
    assert ranking.probabilities.sum(axis=1) == pytest.approx(np.ones(6), abs=1e-5)
    assert (ranking.best == ranking.scores.max(axis=1)).all()


def test_background_words_keep_the_ground_out(encoder, scene, embeddings):
    _image, _masks, names = scene
    ground = names.index("background")
    ranking = rank_embeddings(encoder, embeddings, TextQuery(("red", "blue", "green")))
    assert ranking.probabilities[ground].argmax() == ranking.query.words.index("background")
    assert not ranking.chosen()[ground]
    # Were it not among the words, something else would have to win.
    without = rank_embeddings(encoder, embeddings, TextQuery(("red", "blue", "green"), background=()))
    assert without.best[ground] > ranking.best[ground]


def test_the_threshold_is_a_bound_that_may_be_met(encoder, embeddings):
    ranking = rank_embeddings(encoder, embeddings, TextQuery(("red",)))
    bound = float(np.sort(ranking.best)[2])
    assert ranking.chosen(bound).sum() == 4
    assert ranking.chosen(0).all()


def test_probabilities_are_the_softmax_of_scaled_cosines(encoder, embeddings):
    query = TextQuery(("red", "green"), ("blue",), templates=("a photo of {}", "an image of {}"))
    ranking = rank_embeddings(encoder, embeddings, query)
    sentences = [encoder.encode_text([f"a photo of {w}", f"an image of {w}"]).mean(axis=0) for w in query.words]
    texts = np.stack([vector / np.linalg.norm(vector) for vector in sentences])
    powers = np.exp(encoder.logit_scale * (embeddings.vectors @ texts.T).astype(np.float64))
    assert ranking.probabilities == pytest.approx(powers / powers.sum(axis=1, keepdims=True), abs=1e-4)
    assert ranking.query.words == ("red", "green", "blue", "background", "blur")


def test_another_phrase_costs_no_picture(encoder, scene, monkeypatch):
    image, masks, _names = scene
    kept = embed_masks(encoder, image, masks)
    pictures = []
    monkeypatch.setattr(encoder._model, "encode_image", pictures.append)
    rank_embeddings(encoder, kept, TextQuery(("red",)))
    rank_embeddings(encoder, kept, TextQuery(("green",))).chosen(0.2)
    assert pictures == []


def test_an_object_is_the_mean_of_both_views(encoder, scene, embeddings):
    from napari_sam.text.crops import CropSettings, crop_pairs

    image, masks, _names = scene
    masked, context = encoder.encode_images(list(crop_pairs(image, masks[:1], CropSettings())))
    assert np.linalg.norm(masked - context) > 0.01
    mean = (masked + context) / np.linalg.norm(masked + context)
    assert embeddings.vectors[0] == pytest.approx(mean, abs=1e-4)
    assert np.linalg.norm(embeddings.vectors, axis=1) == pytest.approx(np.ones(6), abs=1e-5)


def test_no_objects_make_an_empty_ranking(encoder, scene):
    ranking = rank(encoder, scene[0], [], TextQuery(("red", "blue")))
    assert ranking.scores.shape == (0, 2)
    assert (len(ranking), ranking.chosen().tolist(), ranking.order.tolist()) == (0, [], [])


def test_vectors_of_another_model_are_refused(encoder):
    with pytest.raises(InputError, match=r"embedded by other, not by .*tiny"):
        rank_embeddings(encoder, MaskEmbeddings(np.ones((1, 16), np.float32), "other"), TextQuery(("red",)))


@pytest.mark.parametrize(
    ("image", "mask", "words"),
    [
        (np.zeros((9, 9), np.uint8), np.ones((9, 9), bool), r"\(H, W, 3\)"),
        (np.zeros((9, 9, 3)), np.ones((9, 9), bool), "float64"),
        (np.zeros((9, 9, 3), np.uint8), np.ones((9, 8), bool), r"plane of \(9, 8\)"),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), bool), "A mask is empty"),
    ],
)
def test_images_and_masks_that_cannot_be_used(encoder, image, mask, words):
    with pytest.raises(InputError, match=words):
        embed_masks(encoder, image, [BoxedMask.of(mask)])
