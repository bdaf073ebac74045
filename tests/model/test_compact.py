from __future__ import annotations

import copy
import dataclasses
import json

import numpy as np
import pytest
import torch

from napari_sam.errors import WeightsError
from napari_sam.model import mask_drawing
from napari_sam.model.compact import canvas, encoder, windows
from napari_sam.model.compact import model as compact_model
from napari_sam.model.compact.canvas import normalise
from napari_sam.model.compact.model import CompactConfig, CompactSam, build_compact
from napari_sam.model.compact.windowed_decode import View, look
from napari_sam.model.protocol import PromptTensors
from napari_sam.predictor import Predictor
from napari_sam.prompts import PointPrompt

TINY = CompactConfig(
    widths=(8, 12, 16),
    blocks=(1, 1, 1),
    attention_blocks=1,
    attention_heads=2,
    decoder_widths=(8, 8, 16),
    decoder_depth=1,
    decoder_heads=2,
)


@pytest.fixture(scope="module")
def model() -> CompactSam:
    torch.manual_seed(0)
    return CompactSam(TINY).eval().requires_grad_(False)


def clicks(*positions: tuple[float, float], labels: list[int] | None = None) -> PromptTensors:
    """One object, clicks at (x, y)."""
    points = torch.tensor([positions], dtype=torch.float32).reshape(1, -1, 2)
    return PromptTensors(points, torch.tensor([labels or [1] * len(positions)]))


def encoded(model: CompactSam, plane: tuple[int, int]):
    image = np.random.default_rng(0).integers(0, 256, (*plane, 3), dtype=np.uint8)
    frame = model.frame(plane)
    return model.encode(model.preprocess(image, frame)), frame


class TestConfig:
    def test_round_trip(self):
        assert CompactConfig.from_json(TINY.to_json()) == TINY

    @pytest.mark.parametrize("text", ["{", "[1, 2]", '{"heads": 3}', "null", '"words"'])
    def test_damage_is_told(self, text):
        with pytest.raises(WeightsError):
            CompactConfig.from_json(text)

    def test_model_is_rebuilt_from_its_metadata(self, model):
        twin = build_compact(model.config.to_json())
        twin.load_state_dict(model.state_dict())
        assert twin.config == TINY

    def test_shipped_size_fits_the_wheel(self):
        parameters = sum(p.numel() for p in CompactSam().parameters())
        assert parameters * 2 <= 30e6


class TestFrame:
    @pytest.mark.parametrize("plane", [(1, 1), (17, 300), (128, 128), (256, 320), (520, 696), (2048, 1500), (5000, 40)])
    def test_canvas(self, model, plane):
        frame = model.frame(plane)
        assert all(side % 16 == 0 and side >= 128 for side in frame.canvas)
        assert max(frame.content) <= 1536
        assert all(0 <= canvas - content for canvas, content in zip(frame.canvas, frame.content, strict=True))
        assert frame.anchor == 0.5

    def test_small_planes_are_enlarged_and_large_ones_shrunk(self, model):
        assert model.frame((256, 128)).content == (512, 256)
        assert model.frame((400, 300)).content == (640, 480)  # the mean of 400 and 1024
        assert model.frame((1200, 500)).content == (1200, 500)
        assert model.frame((3072, 2048)).content == (1536, 1024)

    def test_unequal_spacing_becomes_square(self, model):
        assert model.frame((220, 1100), spacing=(5.0, 1.0)).content == (1100, 1100)


class TestPreprocess:
    def test_dark_image_looks_like_its_bright_twin(self):
        bright = torch.randint(0, 25, (1, 3, 64, 64), generator=torch.Generator().manual_seed(0)) * 10
        dark, bright = (bright // 10).to(torch.uint8), bright.to(torch.uint8)
        assert torch.allclose(normalise(dark), normalise(bright), atol=0.05)

    def test_constant_image_stays_flat(self):
        for value in (0, 128, 255):
            flat = normalise(torch.full((1, 3, 32, 32), value, dtype=torch.uint8))
            assert torch.isfinite(flat).all()
            assert flat.std() == 0

    def test_each_image_by_itself(self):
        images = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
        assert torch.equal(normalise(images)[1:], normalise(images[1:]))

    def test_padding_repeats_the_last_row(self, model):
        image = np.random.default_rng(1).integers(0, 256, (1100, 70, 3), dtype=np.uint8)
        frame = model.frame((1100, 70))
        pixels = model.preprocess(image, frame)
        assert pixels.shape == (1, 3, *frame.canvas)
        assert torch.equal(pixels[..., -1], pixels[..., 69])
        assert torch.equal(pixels[..., -1, :], pixels[..., 1099, :])


class TestLook:
    def test_a_window_over_all_of_the_plane_equals_the_whole(self, model):
        features, _frame = encoded(model, (128, 128))  # 256 model pixels, as the window
        nothing = torch.full((4,), torch.nan)
        prompts = PromptTensors(
            torch.tensor([[[60.0, 80.0], [10.0, 20.0]], [[200.0, 100.0], [0.0, 0.0]]]),
            torch.tensor([[1, 0], [1, -1]]),
            torch.stack((nothing, torch.tensor([150.0, 70.0, 240.0, 130.0]))),
        )
        whole, quality = model.respond(features, torch.zeros(2, dtype=torch.long), prompts)
        for index, seen in enumerate(look(model.decoder, [View(features[:4], prompts, 256)], multimask=True)[0]):
            assert seen.corner == (0, 0)
            torch.testing.assert_close(seen.logits, whole[index], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(seen.scores, quality[index], atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("at", [(3.0, 5.0), (1020.0, 1000.0), (500.0, 700.0)])
    def test_the_window_holds_the_click(self, model, monkeypatch, at):
        features, _frame = encoded(model, (1024, 1024))
        monkeypatch.setattr(model.decoder, "forward", constant_decoder(-1.0))
        ((seen,),) = look(model.decoder, [View(features[:4], clicks(at), 256)], multimask=False)
        (y, x), (height, width) = seen.corner, seen.logits.shape[1:]
        assert y <= at[1] // 4 < y + height
        assert x <= at[0] // 4 < x + width
        assert 64**2 <= height * width <= 100**2

    def test_the_window_grows_while_the_mask_touches_its_edge(self, model, monkeypatch):
        features, frame = encoded(model, (900, 700))
        monkeypatch.setattr(model.decoder, "forward", constant_decoder(1.0))
        ((seen,),) = look(model.decoder, [View(features[:4], clicks((20.0, 30.0)), 256)], multimask=True)
        assert seen.logits.shape[1:] == (frame.canvas[0] // 4, frame.canvas[1] // 4)

    def test_a_box_wider_than_the_window_is_seen_whole(self, model, monkeypatch):
        features, _frame = encoded(model, (1024, 1024))
        monkeypatch.setattr(model.decoder, "forward", constant_decoder(-1.0))
        prompts = PromptTensors(torch.zeros(1, 0, 2), torch.zeros(1, 0).long(), torch.tensor([[100.0, 200, 900, 400]]))
        ((seen,),) = look(model.decoder, [View(features[:4], prompts, 256)], multimask=False)
        (y, x), (height, width) = seen.corner, seen.logits.shape[1:]
        assert y <= 50
        assert x <= 25
        assert y + height >= 100
        assert x + width >= 225


class TestDecode:
    def test_objects_are_answered_apart(self, model):
        features, frame = encoded(model, (700, 900))
        one, two = clicks((100.0, 100.0)), clicks((800.0, 600.0))
        both = PromptTensors(torch.cat((one.points, two.points)), torch.cat((one.labels, two.labels)))
        together = model.decode(features, both, frame, multimask=True)
        for index, alone in enumerate((one, two)):
            expected = model.decode(features, alone, frame, multimask=True)
            torch.testing.assert_close(together.logits[index], expected.logits[0], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(together.scores[index], expected.scores[0], atol=1e-4, rtol=1e-4)

    def test_padding_says_nothing(self, model):
        features, frame = encoded(model, (300, 300))
        plain = model.decode(features, clicks((100.0, 120.0)), frame, multimask=True)
        padded = clicks((100.0, 120.0), (250.0, 10.0), labels=[1, -1])
        torch.testing.assert_close(
            model.decode(features, padded, frame, multimask=True).logits, plain.logits, atol=1e-4, rtol=1e-4
        )

    @pytest.mark.parametrize("change", ["polarity", "place", "box", "mask"])
    def test_every_prompt_counts(self, model, change):
        features, frame = encoded(model, (300, 300))
        base = clicks((100.0, 120.0), (150.0, 100.0))
        shape = (1, 1, *model.logits_shape(frame))
        other = {
            "polarity": clicks((100.0, 120.0), (150.0, 100.0), labels=[1, 0]),
            "place": clicks((100.0, 120.0), (150.0, 140.0)),
            "box": PromptTensors(base.points, base.labels, torch.tensor([[80.0, 90.0, 170.0, 150.0]])),
            "mask": PromptTensors(base.points, base.labels, None, torch.randn(shape) * 4),
        }[change]
        one, two = (model.decode(features, prompts, frame, multimask=False).logits for prompts in (base, other))
        assert (one - two).abs().max() > 1e-3


class TestUpscale:
    @pytest.mark.parametrize(("plane", "spacing"), [((256, 200), (1, 1)), ((90, 700), (4, 1)), ((2000, 1400), (1, 1))])
    def test_a_border_comes_back_where_it_was(self, model, plane, spacing):
        frame = model.frame(plane, spacing)
        rows, columns = model.logits_shape(frame)
        border = np.array([0.5, 0.4]) * plane  # of a rectangle from the upper left corner, data pixels
        (x, y) = frame.to_model(border)
        centres = [torch.arange(n) * 2 + 0.5 for n in (rows, columns)]
        logits = torch.minimum((float(y) - centres[0])[:, None], (float(x) - centres[1])[None, :])
        mask = model.upscale(logits[None, None], frame)[0, 0] > 0
        assert mask.shape == plane
        found = mask.any(1).sum().item(), mask.any(0).sum().item()
        assert np.allclose(found, border + 0.5, atol=1.01)

    @pytest.mark.parametrize(("plane", "spacing"), [((1500, 1103), (1, 1)), ((900, 301), (1, 3)), ((128, 131), (1, 1))])
    def test_large_and_small_areas_are_interpolated_alike(self, model, monkeypatch, plane, spacing):
        frame = model.frame(plane, spacing)
        rows, columns = model.logits_shape(frame)
        coarse = torch.randn(1, 2, rows // 8, columns // 8, generator=torch.Generator().manual_seed(0))
        logits = torch.nn.functional.interpolate(coarse, (rows, columns), mode="bilinear")
        ways = []
        for much in (0, 10**12):
            monkeypatch.setattr(mask_drawing, "MUCH", much)
            ways.append(model.upscale(logits, frame))
        torch.testing.assert_close(*ways, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize(("plane", "spacing"), [((1500, 1103), (1, 1)), ((900, 301), (1, 3)), ((128, 131), (1, 1))])
    @pytest.mark.parametrize("threshold", [0.0, 1.3, -1.5])
    @pytest.mark.parametrize("much", [0, 10**12])
    def test_masks_are_where_the_logits_on_the_plane_exceed_the_threshold(
        self, model, monkeypatch, plane, spacing, threshold, much
    ):
        monkeypatch.setattr(mask_drawing, "MUCH", much)
        frame = model.frame(plane, spacing)
        rows, columns = model.logits_shape(frame)
        coarse = torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
        logits = torch.nn.functional.interpolate(coarse, (rows, columns), mode="bicubic")
        logits[0, 1] = canvas.OUTSIDE  # nothing at all
        logits[0, 2, rows // 3 :] = canvas.OUTSIDE
        masks = model.masks(logits, frame, threshold)
        on_plane = model.upscale(logits, frame)
        assert masks[0, 0].any()
        assert not masks[0, 1].any()
        # Products over more cells round differently in the last digit.
        certain = (on_plane - threshold).abs() > 1e-4
        assert torch.equal(masks[certain], (on_plane > threshold)[certain])
        assert certain.float().mean() > 0.99

    def test_a_mask_is_drawn_from_the_cells_around_it_alone(self, model, monkeypatch):
        frame = model.frame((1000, 1000))
        logits = torch.full((1, 1, *model.logits_shape(frame)), -3.0)
        logits[..., 100:120, 200:230] = 2.0
        seen = []
        interpolation = windows.interpolation

        def counted(*args, **kwargs):
            found = interpolation(*args, **kwargs)
            seen.append(found[2].shape)
            return found

        monkeypatch.setattr(canvas, "interpolation", counted)
        assert model.masks(logits, frame, 0.0).any()
        assert [cells for _pixels, cells in seen] == [22, 32]


@pytest.mark.parametrize(
    ("corner", "cell", "touching"),
    [
        ((8, 8), (0, 5), True),
        ((8, 8), (15, 5), True),
        ((8, 8), (5, 0), True),
        ((8, 8), (5, 15), True),
        ((8, 8), (7, 9), False),
        ((0, 8), (0, 5), False),
        ((16, 8), (15, 5), False),
        ((8, 0), (5, 0), False),
        ((8, 24), (5, 15), False),
    ],
)
def test_masks_touch_the_window_but_not_the_edge_of_the_canvas(corner, cell, touching):
    logits = torch.full((1, 2, 16, 16), -1.0)
    logits[0, 1, *cell] = 1
    assert windows.touches(logits, torch.tensor([corner]), (16, 16), torch.tensor([(32, 40)])).tolist() == [touching]


class TestGlobalAttention:
    def block(self, monkeypatch, most: int):
        monkeypatch.setattr(encoder, "_MOST_KEYS", most)
        torch.manual_seed(0)
        block = encoder.GlobalBlock(8, 2)
        seen: list[int] = []
        block.attention.key.register_forward_hook(lambda _module, _inputs, output: seen.append(output.shape[1]))
        return block, seen

    @pytest.mark.parametrize(("shape", "most", "keys"), [((8, 8), 64, 64), ((8, 8), 63, 16), ((9, 20), 20, 21)])
    def test_keys_are_thinned_when_there_are_too_many(self, monkeypatch, shape, most, keys):
        block, seen = self.block(monkeypatch, most)
        assert block(torch.randn(1, 8, *shape)).shape == (1, 8, *shape)
        assert seen == [keys]

    def test_thinning_is_exact_where_neighbours_are_alike(self, monkeypatch):
        calm = torch.randn(1, 8, 4, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)
        tokens = calm.flatten(2).transpose(1, 2)
        block, _ = self.block(monkeypatch, 16)
        keys = encoder._thinned(tokens, calm.shape)
        assert keys.shape == (1, 16, 8)
        torch.testing.assert_close(block.attention(tokens, keys, keys), block.attention(tokens, tokens, tokens))


def test_progress_is_reported_and_may_cancel(model):
    image = np.zeros((64, 64, 3), np.uint8)
    seen: list[float] = []
    model.encode(model.preprocess(image, model.frame((64, 64))), seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0

    def stop(_fraction: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        model.encode(model.preprocess(image, model.frame((64, 64))), stop)


def test_config_json_is_plain(model):
    assert json.loads(model.config.to_json())["widths"] == [8, 12, 16]


def constant_decoder(value: float):
    """A decoder that gives one logit everywhere."""

    def decode(features, keys, prompts, origin, centre):
        batch, _, height, width = features[0].shape
        return torch.full((batch, 4, height, width), value), torch.zeros(batch, 4)

    return decode


@pytest.mark.parametrize(
    ("boxes", "labels", "added"),
    [
        ([[20, 20, 90, 90]], [[]], [1.5]),
        ([[20, 20, 90, 90]], [[-1]], [1.5]),  # padding is no click
        ([[20, 20, 90, 90]], [[1]], [0]),
        ([[20, 20, 90, 90], [float("nan")] * 4], [[-1], [1]], [1.5, 0]),
    ],
)
def test_the_offset_is_for_boxes_without_a_click(model, boxes, labels, added):
    plain = CompactSam(dataclasses.replace(TINY, box_offset=0.0)).eval()
    offset = CompactSam(dataclasses.replace(TINY, box_offset=1.5)).eval()
    found = []
    for one in (plain, offset):
        one.load_state_dict(model.state_dict())
        features, frame = encoded(one, (128, 128))
        told = PromptTensors(
            torch.full((len(labels), len(labels[0]), 2), 50.0), torch.tensor(labels).long(), torch.tensor(boxes)
        )
        with torch.inference_mode():
            found.append(one.decode(features, told, frame, multimask=False))
    before, after = found
    assert torch.equal(before.scores, after.scores)
    seen = before.logits > canvas.OUTSIDE
    for row, more in enumerate(added):
        assert seen[row].any()
        assert torch.allclose((after.logits - before.logits)[row][seen[row]], torch.tensor(float(more)), atol=1e-4)
        assert torch.equal(after.logits[row][~seen[row]], before.logits[row][~seen[row]])


class TestLookOver:
    """The best mask of a click is looked at once more, with itself as a prompt."""

    def raised(self, model, by):
        """Make a twin whose logits are higher: those of random weights are negative everywhere."""
        twin = copy.deepcopy(model)
        plain = twin.decoder.forward

        def forward(*given):
            logits, scores = plain(*given)
            return logits + by, scores

        twin.decoder.forward = forward
        return twin

    def answered(self, model, told):
        features, frame = encoded(model, (128, 128))
        with torch.inference_mode():
            found = model.decode(features, told, frame, multimask=True)
            return features, frame, found, model.decode_refined(features, told, frame, multimask=True)

    def test_the_first_mask_is_drawn_again_from_itself_and_the_rest_stays(self, model):
        told = clicks((40.0, 50.0))
        model = self.raised(model, 1.7)
        features, frame, found, over = self.answered(model, told)
        assert (found.logits[:, 0] > 0).any(), "there is nothing to look at"
        prompts = dataclasses.replace(told, masks=found.logits[:, :1])
        with torch.inference_mode():
            expected = model._answer(features, prompts, frame, multimask=False, sure=True)
        assert torch.equal(over.logits[:, :1], expected.logits)
        assert not torch.equal(over.logits[:, 0], found.logits[:, 0])
        assert torch.equal(over.logits[:, 1:], found.logits[:, 1:])
        assert torch.equal(over.scores, found.scores)

    def test_where_nothing_was_found_nothing_is_looked_at(self, model):
        _features, _frame, found, over = self.answered(self.raised(model, -30.0), clicks((40.0, 50.0)))
        assert torch.equal(over.logits, found.logits)

    def test_the_first_answer_is_not_doubted(self, model, monkeypatch):
        monkeypatch.setattr(compact_model, "_DOUBTFUL", 2.0)
        model, masks = self.raised(model, 1.7), []
        plain = model.candidates

        def noted(features, prompts, *given, **options):
            masks.append(prompts.masks is not None)
            return plain(features, prompts, *given, **options)

        model.candidates = noted
        features, frame = encoded(model, (128, 128))
        with torch.inference_mode():
            model.decode_refined(features, clicks((40.0, 50.0)), frame, multimask=True)
        assert masks == [False, True]

    @pytest.mark.parametrize(
        "more", [{"boxes": torch.tensor([[20.0, 20, 90, 90]])}, {"masks": torch.ones(1, 1, 64, 64)}]
    )
    def test_boxes_and_earlier_masks_have_been_looked_at(self, model, more):
        told = dataclasses.replace(clicks((40.0, 50.0)), **more)
        _features, _frame, found, over = self.answered(self.raised(model, 1.7), told)
        assert (found.logits > 0).any(), "there is nothing to look at"
        assert torch.equal(over.logits, found.logits)
        assert torch.equal(over.scores, found.scores)

    def test_a_click_is_looked_over_and_many_together_are_not(self, model):
        predictor = Predictor(self.raised(model, 1.7), "weights")
        embedding = predictor.embed(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
        click = [PointPrompt((20.0, 30.0))]
        one = predictor.predict(embedding, click)
        [together] = predictor.predict_many(embedding, [click], multimask=True)
        np.testing.assert_array_equal(one.scores, together.scores)
        np.testing.assert_array_equal(one.logits[1:], together.logits[1:])
        assert not np.array_equal(one.logits[0], together.logits[0])
