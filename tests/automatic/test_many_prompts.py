"""What segmenting everything asks of a predictor: dense maps, and answers for many objects at once."""

import numpy as np
import pytest
import torch

from fakes import BrightnessModel, blob
from napari_sam import predictor as module
from napari_sam.errors import InputError
from napari_sam.model.compact.model import CompactConfig, CompactSam
from napari_sam.model.protocol import Decoded
from napari_sam.predictor import Predictor
from napari_sam.prompts import BoxPrompt, MaskPrompt, PointPrompt

TINY = CompactConfig(
    widths=(8, 12, 16),
    blocks=(1, 1, 1),
    attention_blocks=1,
    attention_heads=2,
    decoder_widths=(8, 8, 16),
    decoder_depth=1,
    decoder_heads=2,
)


@pytest.fixture
def compact() -> Predictor:
    torch.manual_seed(0)
    return Predictor(CompactSam(TINY).eval().requires_grad_(False), "tiny")


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (140, 200), dtype=np.uint8)


def test_many_are_answered_as_each_alone(compact, image):
    embedding = compact.embed(image)
    sets = [[PointPrompt((y, x))] for y in (20, 70, 120) for x in (30, 150)]
    together = list(compact.predict_many(embedding, sets, multimask=True))
    assert len(together) == len(sets)
    for answer, prompts in zip(together, sets, strict=True):
        alone = compact.predict(embedding, prompts, multimask=True)
        assert np.allclose(answer.scores, alone.scores, atol=1e-4)
        assert np.allclose(answer.logits, alone.logits, atol=1e-3)
        assert (answer.masks == alone.masks).mean() > 0.999


def test_objects_with_unequal_numbers_of_points(compact, image):
    embedding = compact.embed(image)
    sets = [
        [BoxPrompt((20, 20), (60, 70))],
        [BoxPrompt((70, 90), (120, 160)), PointPrompt((90, 120)), PointPrompt((75, 95), positive=False)],
    ]
    for answer, prompts in zip(compact.predict_many(embedding, sets), sets, strict=True):
        assert np.allclose(answer.logits, compact.predict(embedding, prompts).logits, atol=1e-3)


def test_only_the_best_are_given_when_so_asked(compact, image):
    embedding = compact.embed(image)
    prompts = [PointPrompt((70, 100))]
    [best] = compact.predict_many(embedding, [prompts], multimask=True, most=1)
    everything = compact.predict(embedding, prompts)
    assert best.masks.shape == (1, 140, 200)
    assert best.scores[0] == pytest.approx(everything.scores.max(), abs=1e-5)
    assert np.array_equal(best.masks[0], everything.masks[0])


def test_few_are_decoded_at_a_time_and_only_when_needed(monkeypatch):
    class Counting(BrightnessModel):
        def decode(self, features, prompts, frame, *, multimask):
            self.decoded.append(prompts)
            count = len(prompts.points)
            return Decoded(torch.zeros(count, 1, *self.logits_shape(frame)), torch.zeros(count, 1))

    model = Counting()
    predictor = Predictor(model, "w")
    embedding = predictor.embed(blob())
    monkeypatch.setattr(module, "_MOST_VALUES", 40 * 60 * 2)
    answers = predictor.predict_many(embedding, [[PointPrompt((5, 5))]] * 5, most=1)
    next(answers)
    assert [len(prompts.points) for prompts in model.decoded] == [2]
    assert len(list(answers)) == 4
    assert [len(prompts.points) for prompts in model.decoded] == [2, 2, 1]


def test_no_objects_no_answers(compact, image):
    assert list(compact.predict_many(compact.embed(image), [])) == []


def test_objects_of_unlike_kinds_are_refused(compact, image):
    embedding = compact.embed(image)
    sets = [[PointPrompt((5, 5))], [BoxPrompt((5, 5), (20, 20))]]
    with pytest.raises(InputError, match="box or none"):
        list(compact.predict_many(embedding, sets))
    logits = compact.predict(embedding, sets[0]).logits[0]
    with pytest.raises(InputError, match="masks"):
        list(compact.predict_many(embedding, [sets[0], [PointPrompt((5, 5)), MaskPrompt(logits)]]))


def test_prompts_are_checked_one_by_one(compact, image):
    with pytest.raises(InputError, match="outside"):
        list(compact.predict_many(compact.embed(image), [[PointPrompt((5, 5))], [PointPrompt((5, 500))]]))


def test_dense_maps_have_the_plane_s_pixels(compact, image):
    assert compact.has_dense_head
    maps = compact.dense(compact.embed(image))
    for values in (maps.foreground, maps.centre, maps.border):
        assert values.shape == (140, 200)
        assert values.dtype == np.float32
        assert ((values >= 0) & (values <= 1)).all()


def test_dense_maps_are_interpolated_between_cells(compact):
    frame = compact.embed(np.zeros((140, 200), np.uint8)).frame
    height, width = (side // 4 for side in frame.canvas)
    column = torch.arange(width, dtype=torch.float32).expand(1, 3, height, width)
    maps = CompactSam(TINY).dense_maps((column,) * 5, frame)
    cells = torch.logit(maps[0, 70, 40:60].double())
    expected = (torch.arange(40, 60) + 0.5) * frame.scale[1] / 4 - 0.5
    assert torch.allclose(cells[cells < 10], expected[cells < 10].double(), atol=0.05)
    first = torch.logit(maps[0, 70, :12].double())
    assert torch.allclose(first, ((torch.arange(12) + 0.5) * frame.scale[1] / 4 - 0.5).clamp(0).double(), atol=0.01)


def test_a_model_without_dense_head_says_so():
    predictor = Predictor(BrightnessModel(), "w", name="Plain SAM")
    assert not predictor.has_dense_head
    with pytest.raises(InputError, match=r"Plain SAM has no dense head.*bundled"):
        predictor.dense(predictor.embed(blob()))


def test_another_model_s_embedding_is_refused(compact, image):
    other = Predictor(BrightnessModel(), "other").embed(blob())
    with pytest.raises(InputError, match="Embed the image again"):
        compact.dense(other)
    with pytest.raises(InputError, match="Embed the image again"):
        list(compact.predict_many(other, [[PointPrompt((5, 5))]]))


def test_mirrored_views_are_turned_back(compact, monkeypatch, image):
    embedding = compact.embed(image)
    model = compact._model
    pooled = torch.nn.functional.avg_pool2d
    # An encoder that commutes with mirroring: every view says the same of the same place.
    monkeypatch.setattr(model.encoder, "forward", lambda pixels, tell: (tell(1.0), (pooled(pixels[:, :1], 4),))[1])
    monkeypatch.setattr(model.dense, "forward", lambda f4: f4.expand(-1, 3, -1, -1))
    own = model.dense(pooled(embedding.features[5].float()[:, :1], 4))
    features = (*embedding.features[:4], own, *embedding.features[5:])
    seen: list[float] = []
    one, four = (model.dense_maps(features, embedding.frame, views, seen.append) for views in (1, 4))
    torch.testing.assert_close(one, four)
    assert seen == pytest.approx([1 / 3, 2 / 3, 1])
