"""Does the compact model look at the right scale, and do its answers come back to the place where they belong?"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam.model.compact import scales
from napari_sam.model.compact.config import CompactConfig
from napari_sam.model.compact.model import CompactSam
from napari_sam.model.compact.windowed_decode import Look
from napari_sam.model.protocol import PromptTensors

TINY = CompactConfig((8, 12, 16), (1, 1, 1), 1, 2, (8, 8, 16), 1, 2, box_offset=0.0)


def box(*corners: float) -> PromptTensors:
    """One object with a box (x0, y0, x1, y1), canvas pixels."""
    return PromptTensors(torch.zeros(1, 0, 2), torch.zeros(1, 0).long(), torch.tensor([corners]).float())


def seen(size: float, score: float, scale: float = 1.0) -> scales.ScaleCandidate:
    return scales.ScaleCandidate(Look(torch.zeros(4, 4, 4), torch.zeros(4), (0, 0)), 0, scale, (0, 0), size, score)


class TestPyramid:
    @pytest.mark.parametrize(("canvas", "count"), [((128, 128), 1), ((192, 128), 2), ((512, 512), 3), ((1536, 144), 5)])
    def test_sizes(self, canvas, count):
        levels = scales.pyramid(torch.rand(1, 3, *canvas))
        assert len(levels) == count
        for index, level in enumerate(levels):
            assert all(side % 16 == 0 for side in level.shape[2:])
            assert all(side * 2**index >= whole for side, whole in zip(level.shape[2:], canvas, strict=True))

    def test_places_stay(self):
        canvas = torch.zeros(1, 3, 400, 336)
        canvas[..., 160:240, 96:128] = 1
        for index, level in enumerate(scales.pyramid(canvas)):
            step = 2**index
            assert torch.equal(level[0, 0, 160 // step : 240 // step, 96 // step : 128 // step].unique(), torch.ones(1))
            assert level[0, 0].sum() * step**2 == 80 * 32


class TestRescaled:
    @pytest.mark.parametrize("scale", [0.25, 0.5, 1.0, 4.0])
    def test_the_first_pixels_edge_stays_the_edge(self, scale):
        told = PromptTensors(
            torch.tensor([[[-0.5, 63.5]]]), torch.ones(1, 1).long(), torch.tensor([[-0.5, 7.5, 31.5, 63.5]])
        )
        found = scales.rescaled(told, scale, (64, 64))
        assert found.points.flatten().tolist() == [-0.5, 64 / scale - 0.5]
        assert found.boxes is not None
        assert found.boxes.flatten().tolist() == [-0.5, 8 / scale - 0.5, 32 / scale - 0.5, 64 / scale - 0.5]

    @pytest.mark.parametrize(("scale", "side"), [(0.25, 64), (0.5, 64), (1.0, 64), (2.0, 32), (8.0, 16)])
    def test_a_mask_stays_where_it_is(self, scale, side):
        mask = torch.full((1, 1, 128, 128), -8.0)
        mask[..., 32:64, 64:96] = 8  # canvas pixels 64 to 128 and 128 to 192
        origin = torch.tensor([[96.0, 48.0]]) if scale < 1 else None
        prompts = PromptTensors(torch.zeros(1, 1, 2), torch.ones(1, 1).long(), None, mask)
        found = scales.rescaled(prompts, scale, (side, side), origin).masks
        assert found is not None
        assert found.shape == (1, 1, side, side)
        rows, columns = (np.flatnonzero((found[0, 0] > 0).any(axis).numpy()) for axis in (1, 0))
        x0, y0 = (96, 48) if scale < 1 else (0, 0)
        edges = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)
        expected = [64 - y0, 128 - y0, 128 - x0, 192 - x0]
        assert [edge * 4 * scale for edge in edges] == pytest.approx(
            [min(v, side * 4 * scale) for v in expected], abs=2
        )

    def test_no_mask_stays_no_mask(self):
        prompts = PromptTensors(torch.zeros(2, 1, 2), torch.ones(2, 1).long(), None, torch.zeros(2, 1, 64, 64))
        prompts.masks[1, 0, 5:9, 5:9] = 3
        found = scales.rescaled(prompts, 2.0, (20, 20)).masks
        assert not found[0].any()
        assert found[1].any()


class TestKnownSizes:
    def test_box_before_mask_before_nothing(self):
        masks = torch.full((3, 1, 50, 50), -1.0)
        masks[1:, 0, :10, :10] = 1
        nothing = [torch.nan] * 4
        boxes = torch.tensor([nothing, nothing, [0.0, 0.0, 39.0, 9.0]])
        prompts = PromptTensors(torch.zeros(3, 1, 2), torch.ones(3, 1).long(), boxes, masks)
        assert scales.known_sizes(prompts) == [None, 20.0, 20.0]


class TestScalesFor:
    def test_an_unknown_object_is_looked_at_everywhere(self):
        assert scales.scales_for(None, 2, 8) == [1, 2, 4, 8]

    @pytest.mark.parametrize(
        ("size", "first"), [(7, 0.25), (15, 0.5), (30, 1), (60, 1), (100, 2), (220, 4), (500, 8), (5000, 8)]
    )
    def test_the_scale_that_fits_comes_first(self, size, first):
        assert scales.scales_for(size, 2, 8)[0] == first
        assert len(scales.scales_for(size, 2, 8)) == 2

    def test_a_plane_with_one_scale(self):
        assert scales.scales_for(500, 2, 1) == [1]


class TestBest:
    def test_the_best_first_and_unlike_the_next(self):
        found = [seen(50, 0.9), seen(51, 0.8, 2.0), seen(90, 0.7), seen(20, 0.3)]
        assert [c.score for c in scales.best(found, 3)] == [0.9, 0.7, 0.3]

    def test_filled_up_where_all_are_alike(self):
        assert [c.score for c in scales.best([seen(50, 0.6), seen(50, 0.9), seen(51, 0.7)], 3)] == [0.9, 0.7, 0.6]

    def test_a_scale_is_unfit_for_what_is_small_or_large_there(self):
        logits = torch.full((4, 64, 64), -1.0)
        logits[1, :2, :2] = logits[2, :12, :12] = logits[3] = 1  # 8, 48 and 256 pixels of the scale
        rated = scales.candidates(Look(logits, torch.full((4,), 0.9), (0, 0)), 2.0, (0, 0), multimask=True)
        assert [c.size for c in rated] == [16, 96, 512]
        assert rated[1].score == pytest.approx(0.9)
        assert rated[0].score < 0.7
        assert rated[2].score < 0.85


@pytest.fixture
def literal(monkeypatch) -> CompactSam:
    """A model that takes boxes at their word: each mask is the box."""
    torch.manual_seed(0)
    model = CompactSam(TINY).eval().requires_grad_(False)

    def decoder(features, keys, prompts, origin, centre):
        batch, _, height, width = features[0].shape
        xs, ys = (origin[:, axis, None] + 4 * torch.arange(count) + 1.5 for axis, count in ((0, width), (1, height)))
        x0, y0, x1, y1 = prompts.boxes.float()[:, :, None].unbind(1)
        inside = torch.minimum(torch.minimum(ys - y0, y1 - ys)[:, :, None], torch.minimum(xs - x0, x1 - xs)[:, None, :])
        return inside[:, None].repeat(1, 4, 1, 1), torch.full((batch, 4), 0.9)

    monkeypatch.setattr(model.decoder, "forward", decoder)
    return model


@pytest.mark.parametrize("plane", [(700, 1000), (200, 260), (3000, 2000)])
@pytest.mark.parametrize("side", [6, 12, 30, 80, 190])
@pytest.mark.parametrize("corner", [(2, 3), (101, 57)])
def test_a_box_comes_back_at_every_scale(literal, plane, side, corner):
    y, x = (min(at, whole - side - 2) for at, whole in zip(corner, plane, strict=True))
    frame = literal.frame(plane)
    features = literal.encode(literal.preprocess(np.zeros((*plane, 3), np.uint8), frame))
    edges = frame.to_model(np.array([[y - 0.5, x - 0.5], [y + side - 0.5, x + side - 0.5]])).flatten().tolist()
    decoded = literal.decode(features, box(*edges), frame, multimask=False)
    mask = literal.upscale(decoded.logits, frame)[0, 0].numpy() > 0
    expected = np.zeros(plane, bool)
    expected[y : y + side, x : x + side] = True
    overlap = (mask & expected).sum() / (mask | expected).sum()
    # A border lies on cells of two canvas pixels: the fewer of them an object has, the less of it can come back.
    length = side * min(frame.scale)  # canvas pixels; an object of three of them is hardly more than a cell
    assert overlap > (0.93 if length > 25 else 0.7 if length > 5 else 0.4)


def test_only_tiny_objects_are_enlarged(literal, monkeypatch):
    encoded = []
    encoder = literal.encoder.forward
    frame = literal.frame((600, 600))
    features = literal.encode(literal.preprocess(np.zeros((600, 600, 3), np.uint8), frame))
    monkeypatch.setattr(literal.encoder, "forward", lambda x, p: encoded.append(x.shape[2:]) or encoder(x, p))
    literal.decode(features, box(200, 200, 240, 250), frame, multimask=False)
    assert not encoded
    literal.decode(features, box(200, 200, 214, 215), frame, multimask=False)
    literal.decode(features, box(200, 200, 206, 205), frame, multimask=False)
    assert len(encoded) == 4  # every box is looked over twice
    assert all(128 <= min(shape) <= max(shape) <= 400 for shape in encoded)


def test_what_a_box_gave_is_looked_over_once_more(literal, monkeypatch):
    told = []
    answer = literal._answer
    monkeypatch.setattr(literal, "_answer", lambda f, p, *rest, **kw: told.append(p.masks) or answer(f, p, *rest, **kw))
    frame = literal.frame((400, 400))
    features = literal.encode(literal.preprocess(np.zeros((400, 400, 3), np.uint8), frame))
    nothing = torch.full((1, 4), torch.nan)
    prompts = PromptTensors(
        torch.full((2, 1, 2), 100.0),
        torch.tensor([[-1], [1]]),
        torch.cat((torch.tensor([[80.0, 80, 160, 150]]), nothing)),
    )
    literal.decode(features, prompts, frame, multimask=False)
    first, second = told
    assert first is None
    assert (second[0] > 0).any()
    assert not second[1].any()  # nothing is carried over where no box was drawn
